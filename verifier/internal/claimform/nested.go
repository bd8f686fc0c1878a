package claimform

import (
	"slices"

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

// nested adds to h.matched what some parser makes of a name that may begin with a
// root's token. There are three ways to take it apart:
//   - what is in closed brackets, and all before them; what is between or behind
//     them is ignored (PHP, Rack, qs);
//   - the same, where a dot is a bracket that the next one closes (qs that reads
//     dots);
//   - what is between dots and brackets, whichever these are (Spring, old versions
//     of Rack).
//
// A name may also end at a NUL, as PHP's does.
func (n *Names) nested(root *branch, name []byte, c coding, h *Hits) {
	for _, dots := range []bool{false, true} {
		w := walk{name: name, coding: c, hits: h, root: root}
		w.closed(dots)
	}
	w := walk{name: name, coding: c, hits: h, root: root}
	w.between()
	for i := 0; i < len(name); {
		r, end, _ := c.rune(name, i)
		if r == 0 {
			n.nested(root, name[:i], c, h)
			return
		}
		i = end
	}
}

// walk follows a name through a tree.
type walk struct {
	name   []byte
	coding coding
	hits   *Hits
	root   *branch
	at     *branch // nil where the root's token has not been read yet
	lost   bool
}

// closed takes a name apart at closed brackets.
func (w *walk) closed(dots bool) {
	first, open, begin, dot := true, none, 0, false // open is where the content of a bracket begins, and begin the bracket
	inside := func(end int) {
		if first {
			first = false
			w.token(w.name[:begin])
		}
		w.token(w.name[open:end])
		open, dot = none, false
	}
	for i := 0; i < len(w.name); {
		r, end, _ := w.coding.rune(w.name, i)
		switch {
		case r == '[' || r == '.' && dots:
			if dot {
				inside(i)
			}
			open, begin, dot = end, i, r == '.'
		case r == ']' && open != none:
			inside(i)
		}
		i = end
	}
	if dot {
		inside(len(w.name))
	}
	if first {
		w.token(w.name)
	}
	w.end()
}

// between takes a name apart at every dot and bracket.
func (w *walk) between() {
	from := 0
	for i := 0; i < len(w.name); {
		r, end, _ := w.coding.rune(w.name, i)
		if r == '[' || r == ']' || r == '.' {
			w.token(w.name[from:i])
			from = end
		}
		i = end
	}
	w.token(w.name[from:])
	w.end()
}

// token goes on to a token, if there is such a branch, and passes over indexes.
func (w *walk) token(text []byte) {
	if w.lost {
		return
	}
	text = w.trim(text)
	if w.at == nil {
		if len(text) == 0 {
			return // brackets that come first
		}
		if w.begins(text) {
			w.at = w.root
			return
		}
		w.lost = true
		return
	}
	for _, b := range w.at.branches {
		if w.is(text, b.form) {
			w.at = b
			for _, i := range b.fields {
				w.hits.match(i)
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
		w.hits.match(i)
	}
}

// trim cuts outer blanks and quotes.
func (w *walk) trim(text []byte) []byte {
	start, stop := none, 0
	for i := 0; i < len(text); {
		r, end, _ := w.coding.rune(text, i)
		if !isBlank(r) && r != '\'' && r != '"' {
			if start == none {
				start = i
			}
			stop = end
		}
		i = end
	}
	return text[max(start, 0):stop]
}

// begins says whether the root's token is text, but for what does not count in
// front of a name.
func (w *walk) begins(text []byte) bool {
	const ignored, bang, mark = 0, 1, 2
	for seen := ignored; len(text) > 0 && !w.is(text, w.root.form); {
		r, end, _ := w.coding.rune(text, 0)
		switch {
		case r == '!' && seen == ignored:
			seen = bang
		case (r == '_' || r == '.') && seen < mark:
			seen = mark
		case r != '[' && r != ']' && r != '?' && !isBlank(r):
			return false
		}
		text = text[end:]
	}
	return len(text) > 0
}

// is says whether text has that normal form.
func (w *walk) is(text []byte, form []rune) bool {
	for i := 0; i < len(text); {
		r, end, _ := w.coding.rune(text, i)
		if r == '.' || r == '[' || isBlank(r) {
			r = '_'
		}
		if len(form) == 0 || !names.FoldsTo(r, form[0]) {
			return false
		}
		form, i = form[1:], end
	}
	return len(form) == 0
}
