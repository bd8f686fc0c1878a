// Package claimform reads forms and queries strictly and says where watched
// fields stand, to the byte.
//
// A gateway that verifies an id in a form must never read another id than the
// backend's parser will. Parsers of forms differ in what they split at, in how
// they compare names and in what they forgive. A field is therefore only read
// in the one spelling that all of them read alike; every other spelling that
// one of them takes for the field is reported as a variant, and a body that two
// of them could take apart differently is an error.
package claimform

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// Name is a name to look for.
type Name struct {
	// Path are the tokens of a JSON pointer, unescaped. A single one is a form's
	// field of that name. Several are a nested one, which forms write user[id] or
	// user.id, with indexes of arrays anywhere between: whatever stands under
	// such a name is a variant.
	Path []string
	// Way says that what is wanted may stand within the value, as a text. Every
	// match of such a name has its value; a name that goes on, but for indexes, is
	// none.
	Way bool
	// Text says, with Way, that the value itself is a text that is read. It has errors as
	// that of any field has, and is there all the same unless its bytes are not known.
	Text bool
}

// Names is a compiled set of names. It is safe for concurrent use.
type Names struct {
	list  []Name
	plain []string // by name: the one spelling that is no variant, or that of a nested name in brackets
	bare  []bool   // by name: nothing is left of it in its normal form, so that it has one spelling only
	way   int      // one that is Name.Way, or none
	roots []*branch
	machine
}

// Compile prepares names, whose indexes Match.Name will bear. A name without
// tokens, or with an empty one, is never found, and nor is a nested one with a
// token of spaces and brackets alone.
func Compile(names []Name) *Names {
	n := &Names{list: slices.Clone(names), plain: make([]string, len(names)), bare: make([]bool, len(names)), way: none}
	s := newSpeller(names)
	for i, name := range names {
		if len(name.Path) == 0 || slices.Contains(name.Path, "") {
			continue
		}
		n.plain[i] = bracketed(name.Path)
		if name.Way && n.way == none {
			n.way = i
		}
		if len(name.Path) == 1 && !name.Way {
			n.bare[i] = s.spell(name.Path[0], i)
		} else {
			n.roots = grow(n.roots, name, i)
		}
	}
	for k, root := range n.roots {
		s.root(root.form, n.charset()+1+k)
	}
	s.spell("_charset_", n.charset())
	n.machine = s.compile()
	return n
}

// charset is the index of a form's field _charset_, which says how all others
// are encoded (RFC 7578 section 4.6).
func (n *Names) charset() int { return len(n.list) }

// bracketed writes the tokens of a pointer as most forms do.
func bracketed(path []string) string {
	name := path[0]
	for _, token := range path[1:] {
		name += "[" + token + "]"
	}
	return name
}

// match adds to h.matched the names that some parser takes name for.
func (n *Names) match(name []byte, c coding, h *Matches) {
	symbols, at := &n.symbols[c], n.start
	for i := 0; i < len(name); {
		symbol := uint32(symbols[name[i]])
		if symbol != escape {
			i++
		} else {
			symbol, i = n.character(name, i, c)
		}
		if at = n.next[at<<n.shift|symbol]; at < n.settled {
			break
		}
	}
	n.take(n.found[at], name, c, h)
}

// character returns the symbol of what stands at i in more than one byte, and the
// index after it.
func (n *Names) character(text []byte, i int, c coding) (symbol uint32, end int) {
	r, size := utf8.RuneError, 1
	if text[i] >= utf8.RuneSelf {
		r, size = utf8.DecodeRune(text[i:])
	}
	if end = i + size; size > 1 {
		return n.symbol(r), end
	}
	switch b, after := c.byte(text, i); {
	case b >= utf8.RuneSelf:
		r, end, _ = c.longRune(text, i)
		return n.symbol(r), end
	case after > end:
		return uint32(n.symbols[plain][b]), after
	}
	r, end, _ = c.rune(text, i)
	return n.symbol(r), end
}

// take adds to h.matched the names that are found for a name.
func (n *Names) take(found []int, name []byte, c coding, h *Matches) {
	for _, i := range found {
		if root := i - n.charset() - 1; root >= 0 {
			n.nested(n.roots[root], name, c, h)
		} else if i == n.charset() || !n.bare[i] || n.is(i, name, c) {
			h.match(i)
		}
	}
}

// variant reports whether a name is the i-th in another spelling than the plain one.
func (n *Names) variant(i int, name []byte, c coding) bool {
	return len(n.list[i].Path) > 1 && !n.list[i].Way || !n.is(i, name, c)
}

// is reports whether a name is exactly the i-th.
func (n *Names) is(i int, name []byte, c coding) bool {
	want := n.plain[i]
	if len(name) > 6*len(want) { // no escape has more than six bytes
		return false
	}
	if !c.escaped(name) {
		return string(name) == want
	}
	var room [64]byte
	return string(decode(room[:0], name, c)) == want
}

func isBlank(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r <= ' ' || r == 0x7f
	case r < 0x1680:
		return r == 0x85 || r == 0xa0
	}
	return r == byteOrderMark || unicode.IsSpace(r)
}

// none is no index.
const none = -1

const byteOrderMark = 0xfeff
