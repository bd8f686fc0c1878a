package claimjson

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPointers is the number of different pointers in one Paths: each has a bit
// in a uint64, so that a name's whole bookkeeping is a few AND and OR.
const maxPointers = 64

// Target is one watched pointer. Cut marks members whose byte spans are
// recorded for removal.
type Target struct {
	Pointer string
	Cut     bool
}

// Paths is a compiled set of RFC 6901 pointers. Safe for concurrent use.
type Paths struct {
	root   node
	bits   []uint64 // of each target, in the order given
	stands Stands
}

// A node is a place that some pointer names or passes. Names that fold equal
// lead to the same node, because a variant's value is searched as well; which
// pointers a spelling serves is kept with the spelling.
type node struct {
	own      uint64 // pointers that end here
	below    uint64 // pointers that pass through here
	cut      bool   // a pointer that ends here is to be cut
	cutBelow bool   // one that passes through is
	children []child
	initials uint32 // bit c&31: some child begins, folded, with the ASCII letter c of either case
	beyond   []rune // beyond ASCII, with which some child begins, folded
	lengths  uint64 // bit n: some child has n runes; 63 stands for every longer one
	longest  int    // no decoded name longer than this is a child
}

type child struct {
	folded    string
	length    int // runes
	spellings []spelling
	node      *node
}

// A spelling's bits are the pointers that have it at this place.
type spelling struct {
	text string
	bits uint64
}

// Stands tells whether a watched name can stand in a text on the way to a field, of which
// it is given the inside of the string token, without its quotes, valid, and with its
// escapes, and whether an object or array begins in it.
type Stands func(inside []byte, begins bool) bool

// Compile prepares targets for Scan: found.Values[i] will belong to targets[i].
//
// Several targets may share a pointer, and one may be a prefix of another; at most
// 64 different ones fit. Pointers that differ only in letter case are accepted,
// but each is then a variant of the other.
//
// Without stands, a name stands in each text in which an object or array begins.
func Compile(targets []Target, stands Stands) (*Paths, error) {
	if stands == nil {
		stands = func(_ []byte, begins bool) bool { return begins }
	}
	p := &Paths{bits: make([]uint64, len(targets)), stands: stands}
	known := make(map[string]uint64, len(targets))
	for i, t := range targets {
		tokens, err := Tokens(t.Pointer)
		if err != nil {
			return nil, err
		}
		b, ok := known[t.Pointer]
		if !ok {
			if len(known) == maxPointers {
				return nil, fmt.Errorf("at most %d different JSON pointers can be watched, of which '%s' is one more", maxPointers, t.Pointer)
			}
			b = 1 << len(known)
			known[t.Pointer] = b
		}
		n := &p.root
		for _, token := range tokens {
			n.below |= b
			n.cutBelow = n.cutBelow || t.Cut
			n = n.add(token, b)
		}
		n.own |= b
		n.cut = n.cut || t.Cut
		p.bits[i] = b
	}
	return p, nil
}

// Tokens returns the decoded reference tokens of a pointer (RFC 6901). It refuses
// the empty pointer, which is the whole document.
func Tokens(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("'%s' is no JSON pointer: it begins with a slash, as in '/%s'", pointer, strings.ReplaceAll(strings.TrimPrefix(pointer, "$."), ".", "/"))
	}
	if !utf8.ValidString(pointer) {
		return nil, fmt.Errorf("%q is not UTF-8", pointer)
	}
	tokens := strings.Split(pointer[1:], "/")
	for i, t := range tokens {
		if t == "" {
			return nil, fmt.Errorf("'%s' names a member without a name", pointer)
		}
		if strings.Count(t, "~") != strings.Count(t, "~0")+strings.Count(t, "~1") {
			return nil, fmt.Errorf("'%s' has a bare ~: write ~0 for ~ and ~1 for / (RFC 6901)", pointer)
		}
		// Section 4: ~1 first, so that ~01 becomes ~1.
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

// add notes that the pointer of bit b passes from n by name, and returns where to.
func (n *node) add(name string, b uint64) *node {
	folded := foldString(name)
	var c *child
	for i := range n.children {
		if n.children[i].folded == folded {
			c = &n.children[i]
		}
	}
	if c == nil {
		n.children = append(n.children, child{folded: folded, length: utf8.RuneCountInString(folded), node: new(node)})
		c = &n.children[len(n.children)-1]
		n.index(c)
	}
	for i := range c.spellings {
		if c.spellings[i].text == name {
			c.spellings[i].bits |= b
			return c.node
		}
	}
	c.spellings = append(c.spellings, spelling{name, b})
	return c.node
}

// index notes what tells most other names from the child's.
func (n *node) index(c *child) {
	first, _ := utf8.DecodeRuneInString(c.folded)
	if first < utf8.RuneSelf {
		n.initials |= 1 << (first & 31)
	}
	for r := unicode.SimpleFold(first); ; r = unicode.SimpleFold(r) {
		if r >= utf8.RuneSelf {
			n.beyond = append(n.beyond, r)
		}
		if r == first {
			break
		}
	}
	n.lengths |= 1 << min(c.length, 63)
	n.longest = max(n.longest, utf8.UTFMax*c.length)
}
