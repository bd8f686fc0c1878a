// Package claimform reads forms and queries strictly and says where watched
// fields stand, to the byte.
//
// A gateway that verifies an id in a form must never read another id than the
// backend's parser will. Parsers of forms differ in what they split at, in how
// they compare names and in what they forgive. A field is therefore only read
// in the one spelling that all of them read alike; every other spelling that
// one of them takes for the field is reported as a variant, and a body that two
// of them could take apart differently is refused.
package claimform

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// Names is a compiled set of watched names. It is safe for concurrent use.
type Names struct {
	list []string
	// nodes are a trie of the names' normal forms, the first its root: of a name
	// no more is read than a watched one has in common with it.
	nodes    []node
	begins   [256]bool // a watched name may begin with that byte
	shortest int       // of the normal forms, in runes
}

type node struct {
	edges []edge
	names []int // whose normal form ends here
}

type edge struct {
	r  rune
	to int
}

// Compile prepares names, whose indexes Hit.Name will bear. An empty name is
// never found.
func Compile(names []string) *Names {
	n := &Names{list: slices.Clone(names), nodes: make([]node, 1), shortest: math.MaxInt}
	for i, name := range names {
		if name == "" {
			continue
		}
		form := normalise(name)
		n.add(form, i)
		// PHP reads "id " and "id." as "id_", of which outer blanks leave "id".
		if trimmed := strings.TrimRight(form, "_"); trimmed != form {
			n.add(trimmed, i)
		}
	}
	for c := range rune(len(n.begins)) {
		r, ok := new(former).take(c)
		if c >= utf8.RuneSelf {
			r, ok = utf8.RuneError, true // what is not UTF-8
		}
		n.begins[c] = !ok || n.step(0, r) >= 0 || c == '%' || c == '+'
	}
	for _, e := range n.nodes[0].edges {
		n.begins[string(e.r)[0]] = true
	}
	n.begins[string(rune(byteOrderMark))[0]] = true
	for _, blanks := range unicode.White_Space.R16 {
		for r := rune(blanks.Lo); r <= rune(blanks.Hi); r += rune(blanks.Stride) {
			n.begins[string(r)[0]] = true
		}
	}
	return n
}

func (n *Names) add(form string, i int) {
	n.shortest = min(n.shortest, utf8.RuneCountInString(form))
	at := 0
	for _, folded := range form {
		next := n.step(at, folded)
		if next < 0 {
			next = len(n.nodes)
			n.nodes = append(n.nodes, node{})
			n.nodes[at].edges = append(n.nodes[at].edges, edge{folded, next})
			// And one for each rune beyond ASCII that folds to it: to fold what a
			// client sends would cost more than all the rest.
			for r := unicode.SimpleFold(folded); r != folded; r = unicode.SimpleFold(r) {
				if r >= utf8.RuneSelf {
					n.nodes[at].edges = append(n.nodes[at].edges, edge{r, next})
				}
			}
		}
		at = next
	}
	n.nodes[at].names = append(n.nodes[at].names, i)
}

// step returns the node to which a rune leads, -1 where no watched name has it.
func (n *Names) step(at int, r rune) int {
	for _, e := range n.nodes[at].edges {
		if e.r == r {
			return e.to
		}
	}
	return -1
}

// normalise returns the normal form of a whole name.
func normalise(name string) string {
	var f former
	var form []rune
	for _, r := range name {
		r, ok := f.take(r)
		if r == 0 {
			break
		}
		if ok {
			form = append(form, slices.Repeat([]rune{'_'}, f.blanks)...)
			form = append(form, names.Fold(r))
			f.blanks = 0
		}
	}
	return string(form)
}

// match adds to h.matched the names that some parser takes name for. Beside the
// whole name that is the name before a bracket: PHP, Rack and qs read arrays
// and objects so, and a watched name may itself be one of an object's.
func (n *Names) match(name []byte, c coding, h *Hits) {
	var f former
	at, bracket := 0, false
	for i := 0; i < len(name); {
		if r := usual[name[i]]; r != 0 && f.blanks == 0 {
			f.began = true
			i++
			if at = n.step(at, r); at < 0 {
				return
			}
			continue
		}
		r, size := utf8.DecodeRune(name[i:])
		end := i + size
		if r == '%' || r == '+' || r == utf8.RuneError {
			r, end, _ = c.rune(name, i)
		}
		i = end
		if (r == '[' || r == ']' && !bracket) && f.began {
			n.found(at, name, c, h)
			bracket = true
		}
		r, ok := f.take(r)
		if r == 0 {
			break
		}
		if !ok {
			continue
		}
		for ; f.blanks > 0 && at >= 0; f.blanks-- {
			at = n.step(at, '_')
		}
		if at < 0 {
			return
		}
		if at = n.step(at, r); at < 0 {
			return
		}
	}
	n.found(at, name, c, h)
}

func (n *Names) found(at int, name []byte, c coding, h *Hits) {
	for _, i := range n.nodes[at].names {
		// Blanks and brackets alone stand for no name but themselves.
		if at == 0 && !n.is(i, name, c) || slices.Contains(h.matched, i) {
			continue
		}
		h.matched = append(h.matched, i)
	}
}

// is says whether a name is exactly the i-th.
func (n *Names) is(i int, name []byte, c coding) bool {
	want := n.list[i]
	if len(name) > 6*len(want) { // no escape has more than six bytes
		return false
	}
	if !c.escaped(name) {
		return string(name) == want
	}
	var room [64]byte
	return string(decode(room[:0], name, c)) == want
}

// A former makes the normal form of a name, in which two names are equal if
// any parser takes one for the other:
//   - it ends at a NUL, as PHP's does;
//   - it has no outer blanks, which PHP, Rack and hand-written parsers cut, no
//     byte-order mark, which readers of text drop, no leading question mark,
//     which WHATWG URL's URLSearchParams drops, and no leading brackets, which
//     Rack and qs drop;
//   - '.', blanks and '[' are '_', as for PHP;
//   - letters are folded, as for parsers that ignore their case.
type former struct {
	began  bool
	blanks int // since the last rune of the form, which are '_' if another follows
}

// take returns the rune that r adds to the form, folded if it is ASCII; ok is
// false where it adds none. A NUL completes the form.
func (f *former) take(r rune) (folded rune, ok bool) {
	switch {
	case 'a' <= r && r <= 'z':
		r -= 'a' - 'A'
	case r == 0:
		return 0, false
	case isBlank(r):
		if f.began {
			f.blanks++
		}
		return r, false
	case !f.began && (r == '[' || r == ']' || r == '?'):
		return r, false
	case r == '.' || r == '[':
		r = '_'
	}
	f.began = true
	return r, true
}

// usual holds what take returns for the bytes that it treats alike wherever
// they stand and however a name is written, and 0 for all others.
var usual = func() (t [256]rune) {
	for c := range rune(utf8.RuneSelf) {
		first, ok := new(former).take(c)
		if ok && c != '?' && c != ']' && c != '[' && c != '%' && c != '+' {
			t[c] = first
		}
	}
	return t
}()

func isBlank(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r <= ' ' || r == 0x7f
	case r < 0x1680:
		return r == 0x85 || r == 0xa0
	}
	return r == byteOrderMark || unicode.IsSpace(r)
}

const byteOrderMark = 0xfeff
