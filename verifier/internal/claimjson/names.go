package claimjson

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// find returns the child that a raw name (without its quotes) leads to, and
// which of its spellings the name is: -1 for another letter case.
func (n *node) find(raw []byte) (*child, int) {
	if len(raw) == 0 {
		return nil, 0
	}
	// Folding keeps ASCII within ASCII, so a first byte that stands for itself decides.
	if c := raw[0]; c < utf8.RuneSelf && c != '\\' && n.initials>>(c&31)&1 == 0 {
		return nil, 0
	}
	// Only what some readers drop, which is escaped, makes a longer name a child.
	if len(raw) > n.longest && bytes.IndexByte(raw, '\\') < 0 {
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
		if len(c.folded) != len(raw) || !foldsTo(raw, c.folded) {
			continue
		}
		for k := range c.spellings {
			if string(raw) == c.spellings[k].text {
				return c, k
			}
		}
		return c, -1
	}
	return nil, 0
}

// findDecoded is find for names with escapes or beyond ASCII, whose length
// says nothing: U+017F folds to S, U+212A to K. Half a surrogate pair is no
// text, so a name that has one is no spelling of any child; but some readers
// replace it by U+FFFD, and some drop it.
func (n *node) findDecoded(raw []byte) (*child, int) {
	c, lone := n.fold(raw, false)
	if lone {
		if c == nil {
			c, _ = n.fold(raw, true)
		}
		return c, -1
	}
	if c != nil {
		escaped := bytes.IndexByte(raw, '\\') >= 0
		for k := range c.spellings {
			if text := c.spellings[k].text; escaped && decodesTo(raw, text) || !escaped && string(raw) == text {
				return c, k
			}
		}
	}
	return c, -1
}

// fold returns the child that a decoded name folds to, half surrogates dropped
// or replaced, and whether it has met one. If not, dropping them would find no
// child either.
func (n *node) fold(raw []byte, drop bool) (_ *child, lone bool) {
	first, size, half := decodeRune(raw, 0)
	for drop && half && size < len(raw) {
		raw = raw[size:]
		first, size, half = decodeRune(raw, 0)
	}
	if lone = half; lone && drop {
		return nil, true
	}
	if first < utf8.RuneSelf && n.initials>>(first&31)&1 == 0 || first >= utf8.RuneSelf && !slices.Contains(n.beyond, first) {
		return nil, lone
	}
	first = names.Fold(first)
	for i := range n.children {
		c := &n.children[i]
		if c.first != first {
			continue
		}
		folds, half := decodedFoldsTo(raw[size:], c.folded[utf8.RuneLen(first):], drop)
		lone = lone || half
		if folds {
			return c, lone
		}
	}
	return nil, lone
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

// decodedFoldsTo says whether a raw name folds to folded once decoded, half
// surrogates dropped or replaced, and whether it has met one.
func decodedFoldsTo(raw []byte, folded string, drop bool) (folds, lone bool) {
	i := 0
	for _, want := range folded {
		var r rune
		for {
			if i == len(raw) {
				return false, lone
			}
			size, half := 1, false
			if r = rune(raw[i]); r >= utf8.RuneSelf || r == '\\' {
				r, size, half = decodeRune(raw, i)
				lone = lone || half
			}
			i += size
			if !half || !drop {
				break
			}
		}
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		if r != want && (r < utf8.RuneSelf || !names.FoldsTo(r, want)) {
			return false, lone
		}
	}
	for i < len(raw) {
		_, size, half := decodeRune(raw, i)
		if lone = lone || half; !half || !drop {
			return false, lone
		}
		i += size
	}
	return true, lone
}

// decodesTo says whether a raw name without half surrogates is text once decoded.
func decodesTo(raw []byte, text string) bool {
	i := 0
	for _, want := range text {
		if i == len(raw) {
			return false
		}
		r, size := rune(raw[i]), 1
		if r >= utf8.RuneSelf || r == '\\' {
			r, size, _ = decodeRune(raw, i)
		}
		if r != want {
			return false
		}
		i += size
	}
	return i == len(raw)
}

func foldString(s string) string { return strings.Map(names.Fold, s) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
