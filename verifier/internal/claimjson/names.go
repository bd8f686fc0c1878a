package claimjson

import (
	"strings"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/fold"
)

// find returns the child that a raw name (without its quotes) leads to, and
// which of its spellings the name is: -1 for another letter case.
func (n *node) find(raw []byte) (*child, int) {
	if len(raw) == 0 || len(raw) > n.longest {
		return nil, 0
	}
	// Folding keeps ASCII within ASCII, so a first byte that stands for itself decides.
	if c := raw[0]; c < utf8.RuneSelf && c != '\\' && n.initials>>(c&31)&1 == 0 {
		return nil, 0
	}
	for _, c := range raw {
		if c >= utf8.RuneSelf || c == '\\' {
			return n.findDecoded(raw)
		}
	}
	if n.lengths>>min(len(raw), 63)&1 == 0 {
		return nil, 0
	}
	for i := range n.children {
		c := &n.children[i]
		if len(c.folded) != len(raw) {
			continue
		}
		for k := range c.spellings {
			if string(raw) == c.spellings[k].text {
				return c, k
			}
		}
		if foldsTo(raw, c.folded) {
			return c, -1
		}
	}
	return nil, 0
}

// findDecoded is find for names with escapes or beyond ASCII, whose length
// says nothing: U+017F folds to S, U+212A to K.
func (n *node) findDecoded(raw []byte) (*child, int) {
	for i := range n.children {
		c := &n.children[i]
		if !decodedFoldsTo(raw, c.folded) {
			continue
		}
		for k := range c.spellings {
			if decodesTo(raw, c.spellings[k].text) {
				return c, k
			}
		}
		return c, -1
	}
	return nil, 0
}

// foldsTo says whether an ASCII name of the same length folds to folded.
func foldsTo(raw []byte, folded string) bool {
	for i, c := range raw {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != folded[i] {
			return false
		}
	}
	return true
}

func decodedFoldsTo(raw []byte, folded string) bool {
	i := 0
	for _, want := range folded {
		if i == len(raw) {
			return false
		}
		r, size, _ := decodeRune(raw, i)
		if fold.Rune(r) != want {
			return false
		}
		i += size
	}
	return i == len(raw)
}

// decodesTo says whether a raw name is text once decoded. An unpaired
// surrogate is no text, though many parsers read U+FFFD for it.
func decodesTo(raw []byte, text string) bool {
	i := 0
	for _, want := range text {
		if i == len(raw) {
			return false
		}
		r, size, lone := decodeRune(raw, i)
		if lone || r != want {
			return false
		}
		i += size
	}
	return i == len(raw)
}

func foldString(s string) string { return strings.Map(fold.Rune, s) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
