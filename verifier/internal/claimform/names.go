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
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/fold"
)

// Names is a compiled set of watched names. It is safe for concurrent use.
type Names struct {
	list     []string
	byForm   map[string][]int // indexes of the names with that normal form
	longest  int              // normal form, in bytes
	initials [utf8.RuneSelf]bool
}

// Compile prepares names, whose indexes Hit.Name will bear. An empty name is
// never found.
func Compile(names []string) *Names {
	n := &Names{list: slices.Clone(names), byForm: make(map[string][]int)}
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
	return n
}

func (n *Names) add(form string, i int) {
	n.byForm[form] = append(n.byForm[form], i)
	n.longest = max(n.longest, len(form))
	if form != "" && form[0] < utf8.RuneSelf {
		n.initials[form[0]] = true
	}
}

// normalise returns the normal form of a whole name.
func normalise(name string) string {
	var f former
	for _, r := range name {
		if !f.take(r, len(name)*utf8.UTFMax) {
			break
		}
	}
	return string(f.form)
}

// match collects in h.matched the names that some parser takes name for. Beside
// the whole name that is the name before a bracket: PHP, Rack and qs read arrays
// and objects so, and a watched name may itself be one of an object's.
func (n *Names) match(name []byte, h *Hits) []int {
	h.matched = h.matched[:0]
	f := former{form: h.form[:0]}
	bracket := false
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		i += size
		if (r == '[' || r == ']' && !bracket) && len(f.form) > 0 {
			n.found(&f, name, h)
			bracket = true
		}
		if !f.take(r, n.longest) {
			break
		}
	}
	if !f.tooLong {
		n.found(&f, name, h)
	}
	h.form = f.form
	return h.matched
}

func (n *Names) found(f *former, name []byte, h *Hits) {
	for _, i := range n.byForm[string(f.form)] {
		// Blanks and brackets alone stand for no name but themselves.
		if len(f.form) == 0 && string(name) != n.list[i] || slices.Contains(h.matched, i) {
			continue
		}
		h.matched = append(h.matched, i)
	}
}

// begins says whether a name that begins with c may be a watched one. An
// ASCII letter or digit folds to ASCII and is never dropped from a normal form.
func (n *Names) begins(c byte) bool {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	if 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
		return n.initials[c]
	}
	return true
}

// A former builds the normal form of a name, in which two names are equal if
// any parser takes one for the other:
//   - it ends at a NUL, as PHP's does;
//   - it has no outer blanks, which PHP, Rack and hand-written parsers cut, no
//     byte-order mark, which readers of text drop, no leading question mark,
//     which WHATWG URL's URLSearchParams drops, and no leading brackets, which
//     Rack and qs drop;
//   - '.', blanks and '[' are '_', as for PHP;
//   - letters are folded, as for parsers that ignore their case.
type former struct {
	form    []byte
	blanks  int // seen since the last of form
	tooLong bool
}

// take appends a rune. It returns false when the form is complete or longer
// than longest bytes.
func (f *former) take(r rune, longest int) bool {
	switch {
	case r == 0:
		return false
	case isBlank(r):
		if len(f.form) > 0 {
			f.blanks++
		}
		return true
	case len(f.form) == 0 && (r == '[' || r == ']' || r == '?'):
		return true
	case r == '.' || r == '[':
		r = '_'
	default:
		r = fold.Rune(r)
	}
	if len(f.form)+f.blanks+utf8.RuneLen(r) > longest {
		f.tooLong = true
		return false
	}
	for ; f.blanks > 0; f.blanks-- {
		f.form = append(f.form, '_')
	}
	f.form = utf8.AppendRune(f.form, r)
	return true
}

func isBlank(r rune) bool {
	return r <= ' ' || r == 0x7f || r == 0xfeff || r >= utf8.RuneSelf && unicode.IsSpace(r)
}
