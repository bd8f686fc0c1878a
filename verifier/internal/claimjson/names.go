package claimjson

import (
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
	for _, c := range raw {
		if c >= utf8.RuneSelf || c == '\\' {
			return n.findDecoded(raw)
		}
	}
	return n.findASCII(raw)
}

func (n *node) findASCII(name []byte) (*child, int) {
	if !n.hasLength(len(name)) {
		return nil, 0
	}
	for i := range n.children {
		c := &n.children[i]
		if len(c.folded) == len(name) && foldsTo(name, c.folded) {
			return c, c.spelled(name)
		}
	}
	return nil, 0
}

// findDecoded is find for names with escapes or beyond ASCII. Half a surrogate
// pair is no text, so a name that has one is no spelling of any child; but some
// readers replace it by U+FFFD, and some drop it.
func (n *node) findDecoded(raw []byte) (*child, int) {
	first, _, lone := decodeRune(raw, 0)
	if !lone && !n.begins(first) {
		return nil, 0
	}
	var space [128]byte
	name := space[:]
	if len(name) < n.longest+utf8.UTFMax {
		name = make([]byte, n.longest+utf8.UTFMax)
	}
	size, length, lone := n.decode(name, raw, false)
	c, spelled := n.match(name[:size], length)
	if lone {
		if spelled = -1; c == nil {
			size, length, _ = n.decode(name, raw, true)
			c, _ = n.match(name[:size], length)
		}
	}
	return c, spelled
}

// begins reports whether some child begins with r, folded.
func (n *node) begins(r rune) bool {
	if r < utf8.RuneSelf {
		return n.initials>>(r&31)&1 != 0
	}
	return slices.Contains(n.beyond, r)
}

// decode writes to dst the name that a raw one stands for, with half surrogates
// dropped or replaced, and reports whether it has one. It returns the name's size
// in bytes and its length in runes: none for one that is longer than any child's.
func (n *node) decode(dst, raw []byte, drop bool) (size, length int, lone bool) {
	for i := 0; i < len(raw); {
		if size > n.longest {
			return 0, 0, lone
		}
		r, wide, half := rune(raw[i]), 1, false
		if r >= utf8.RuneSelf || r == '\\' {
			r, wide, half = decodeRune(raw, i)
			lone = lone || half
		}
		if i += wide; !half || !drop {
			size += utf8.EncodeRune(dst[size:], r)
			length++
		}
	}
	return size, length, lone
}

// match is find for a name that is decoded and has that many runes.
func (n *node) match(name []byte, length int) (*child, int) {
	if length == len(name) {
		return n.findASCII(name)
	}
	if !n.hasLength(length) {
		return nil, 0
	}
	for i := range n.children {
		c := &n.children[i]
		if c.length == length && runesFoldTo(name, c.folded) {
			return c, c.spelled(name)
		}
	}
	return nil, 0
}

// hasLength reports whether some child has that many runes: folding a name does
// not change how many it has.
func (n *node) hasLength(length int) bool { return n.lengths>>min(length, 63)&1 != 0 }

// spelled returns which spelling a name is that folds to the child's: -1 for none.
func (c *child) spelled(name []byte) int {
	for k := range c.spellings {
		if string(name) == c.spellings[k].text {
			return k
		}
	}
	return -1
}

// foldsTo reports whether an ASCII name of the same length folds to folded.
func foldsTo(name []byte, folded string) bool {
	for i, c := range name {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != folded[i] {
			return false
		}
	}
	return true
}

// runesFoldTo is foldsTo for any name of as many runes.
func runesFoldTo(name []byte, folded string) bool {
	for _, want := range folded {
		r, size := rune(name[0]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(name)
		} else if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		if r != want && (r < utf8.RuneSelf || !names.FoldsTo(r, want)) {
			return false
		}
		name = name[size:]
	}
	return true
}

func foldString(s string) string { return strings.Map(names.Fold, s) }
