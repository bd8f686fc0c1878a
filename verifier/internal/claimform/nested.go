package claimform

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// A branch is a token of nested names, in its normal form, with what is found
// there and the tokens that follow.
type branch struct {
	form     []rune
	fields   []int // nested names that end here
	ways     []int // texts on the way
	branches []*branch
}

// grow adds a name.
func grow(branches []*branch, name Name, i int) []*branch {
	at := &branches
	for k, token := range name.Path {
		form := normalise(token)
		if len(form) == 0 {
			return branches // no parser makes such a key of brackets or dots
		}
		next := slices.IndexFunc(*at, func(b *branch) bool { return slices.Equal(b.form, form) })
		if next < 0 {
			next = len(*at)
			*at = append(*at, &branch{form: form})
		}
		b := (*at)[next]
		switch {
		case k < len(name.Path)-1:
		case name.Way:
			b.ways = append(b.ways, i)
		default:
			b.fields = append(b.fields, i)
		}
		at = &b.branches
	}
	return branches
}

// maxNested is how long a name may be that is taken apart. A longer one stands for
// all names with that root.
const maxNested = 4 << 10

// nested adds to h.matched what some parser makes of a name that may begin with a
// root's token. There are three ways to take it apart:
//   - what is between dots and brackets, whichever these are (Spring, old versions
//     of Rack);
//   - what is in closed brackets, and all before them; what is between or behind
//     them is ignored (PHP, Rack, qs);
//   - the same, where a dot is a bracket that the next one closes (qs that reads
//     dots).
//
// A name may also end at a NUL, as PHP's does.
func (n *Names) nested(root *branch, name []byte, c coding, h *Matches) {
	if len(name) > maxNested {
		root.each(h.match)
		return
	}
	if c.escaped(name) {
		h.name = decode(h.name[:0], name, c)
		name = h.name
	}
	w := walk{name: name, matches: h, root: root}
	w.takeApart()
	if end := bytes.IndexByte(name, 0); end >= 0 {
		w.name = name[:end]
		w.takeApart()
	}
}

// each calls a function with all names of a tree.
func (b *branch) each(of func(name int)) {
	for _, i := range b.fields {
		of(i)
	}
	for _, i := range b.ways {
		of(i)
	}
	for _, next := range b.branches {
		next.each(of)
	}
}

// walk follows a name through a tree.
type walk struct {
	name    []byte
	matches *Matches
	root    *branch
	at      *branch // nil where the root's token has not been read yet
	lost    bool
}

func (w *walk) takeApart() {
	w.between()
	if bytes.ContainsAny(w.name, "[].") { // a dot may be PHP's underscore
		w.closed(false)
		w.closed(true)
	}
}

// between takes a name apart at every dot and bracket.
func (w *walk) between() {
	w.at, w.lost = nil, false
	from := 0
	for i, c := range w.name {
		if c == '[' || c == ']' || c == '.' {
			w.token(w.name[from:i])
			from = i + 1
		}
	}
	w.token(w.name[from:])
	w.end()
}

// closed takes a name apart at closed brackets.
func (w *walk) closed(dots bool) {
	w.at, w.lost = nil, false
	first, begin := true, none // of the bracket that is open
	for i := 0; i <= len(w.name); i++ {
		ended := i == len(w.name)
		opens := !ended && (w.name[i] == '[' || w.name[i] == '.' && dots)
		if begin != none && (!ended && w.name[i] == ']' || (ended || opens) && w.name[begin] == '.') {
			if first {
				w.token(w.name[:begin])
			}
			w.token(w.name[begin+1 : i])
			first, begin = false, none
		}
		if opens {
			begin = i
		}
	}
	if first {
		w.token(w.name)
	}
	w.end()
}

// token goes on to a token, if there is such a branch, and passes over indexes.
func (w *walk) token(text []byte) {
	if w.lost {
		return
	}
	if len(text) > 0 && !(isAlphanumeric(text[0]) && isAlphanumeric(text[len(text)-1])) {
		text = bytes.TrimFunc(text, func(r rune) bool { return isBlank(r) || r == '\'' || r == '"' })
	}
	if w.at == nil {
		switch {
		case len(text) == 0: // brackets that come first
		case w.begins(text):
			w.at = w.root
		default:
			w.lost = true
		}
		return
	}
	for _, b := range w.at.branches {
		if b.is(text) {
			w.at = b
			for _, i := range b.fields {
				w.matches.match(i)
			}
			return
		}
	}
	for _, c := range text {
		w.lost = w.lost || c < '0' || '9' < c
	}
}

// end finds the texts on the way that the whole name stands for.
func (w *walk) end() {
	if w.at == nil || w.lost {
		return
	}
	for _, i := range w.at.ways {
		w.matches.match(i)
	}
}

// begins reports whether the root's token is text, but for what does not count in
// front of a name.
func (w *walk) begins(text []byte) bool {
	const ignored, bang, mark = 0, 1, 2
	for seen := ignored; len(text) > 0; {
		if w.root.is(text) {
			return true
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '!' && seen == ignored:
			seen = bang
		case (r == '_' || r == '.') && seen < mark:
			seen = mark
		case r != '[' && r != ']' && r != '?' && !isBlank(r):
			return false
		}
		text = text[size:]
	}
	return false
}

// is reports whether text has the branch's normal form.
func (b *branch) is(text []byte) bool {
	form := b.form
	for len(text) > 0 && len(form) > 0 {
		r, size := rune(text[0]), 1
		if r < utf8.RuneSelf {
			r = rune(normalBytes[r])
		} else if r, size = utf8.DecodeRune(text); isBlank(r) {
			r = '_'
		}
		if r != form[0] && (r < utf8.RuneSelf || !names.FoldsTo(r, form[0])) {
			return false
		}
		form, text = form[1:], text[size:]
	}
	return len(form)+len(text) == 0
}

// normalBytes is what ASCII is in a normal form, but at its ends.
var normalBytes = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		t[c] = byte(names.Fold(rune(c)))
		if c == '.' || c == '[' || isBlank(rune(c)) {
			t[c] = '_'
		}
	}
	return t
}()
