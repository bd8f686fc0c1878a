package claimform

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// URLEncoded reads an application/x-www-form-urlencoded body or a raw query.
//
// With strict, for a body that is declared to be a form, a bad percent escape
// anywhere is an error, and so is a name that is not UTF-8; otherwise a bad
// escape is one only in a watched field. On an error h is empty.
//
// A name that decodes to exactly a watched name is a plain hit, with an empty
// value where there is no '='. It is a variant if its segment holds a raw ';',
// at which some parsers split and for which Go drops the segment, or if its
// value holds "]=", where qs ends the name.
func URLEncoded(raw []byte, n *Names, strict bool, h *Hits) error {
	h.Reset()
	u := urlencoded{raw: raw, names: n, hits: h, strict: strict}
	if err := u.read(); err != nil {
		h.Reset()
		return err
	}
	return nil
}

type urlencoded struct {
	raw    []byte
	names  *Names
	hits   *Hits
	strict bool
	bad    bool // there may be a bad escape
	split  bool // there is a raw ';'
	// leading says that every segment so far is cut with the '&' after it. A
	// later one is cut with the '&' before it, so that it does not matter which
	// of its neighbours stay.
	leading bool
}

func (u *urlencoded) read() error {
	// C strings, of which PHP's parse_str makes use, end at a NUL.
	if bytes.IndexByte(u.raw, 0) >= 0 {
		return ErrEscape
	}
	u.bad = badEscape(u.raw)
	u.split = bytes.IndexByte(u.raw, ';') >= 0
	u.leading = true
	for start := 0; start < len(u.raw); {
		end := len(u.raw)
		if i := bytes.IndexByte(u.raw[start:], '&'); i >= 0 {
			end = start + i
		}
		if err := u.segment(start, end); err != nil {
			return err
		}
		start = end + 1
	}
	return nil
}

// segment reads what stands between two '&'.
func (u *urlencoded) segment(start, end int) error {
	h := u.hits
	from, seg := len(h.List), u.raw[start:end]
	split := u.split && bytes.IndexByte(seg, ';') >= 0
	whole, occurrences, valid := false, 0, true
	for p := start; p < end; {
		q := end
		if split {
			if i := bytes.IndexByte(u.raw[p:end], ';'); i >= 0 {
				q = p + i
			}
		}
		span := Span{p - 1, q}
		if p == start {
			span.Start = start
		}
		if p < q && u.part(p, q, split, span) {
			occurrences++
			whole = whole || p == start
		}
		valid = valid && (!u.strict || u.validName(u.raw[p:q]))
		p = q + 1
	}
	if u.bad && badEscape(seg) {
		if len(h.List) > from {
			return &FieldError{h.List[from].Name, ErrEscape}
		}
		if u.strict {
			return ErrEscape
		}
	}
	if !valid {
		return ErrUTF8
	}
	if whole {
		u.trim(h.List[from:], Span{start, end}, occurrences)
	}
	u.leading = u.leading && whole && occurrences == 1
	return u.value(h.List[from:], seg)
}

// part looks for watched names in a segment or what ';' splits of it.
func (u *urlencoded) part(p, q int, split bool, span Span) bool {
	if !u.names.begins(u.raw[p]) {
		return false
	}
	h := u.hits
	name := nameOf(u.raw[p:q])
	h.name, name = decode(h.name[:0], name, true)
	found := u.names.match(name, h)
	for _, i := range found {
		variant := split || string(name) != u.names.list[i]
		h.List = append(h.List, Hit{Name: i, Variant: variant, Span: span})
		span.Start = span.End
	}
	return len(found) > 0
}

// trim gives the hits of a segment whose own name is watched all of its bytes:
// what remained of it would be another field. One hit takes a '&' along;
// several, which ';' splits, leave it, since each may be cut alone.
func (u *urlencoded) trim(hits []Hit, seg Span, occurrences int) {
	if occurrences == 1 {
		switch {
		case !u.leading:
			seg.Start--
		case seg.End < len(u.raw):
			seg.End++
		}
		hits[0].Span.Start = seg.Start
	}
	next := seg.End
	for i := len(hits) - 1; i >= 0; i-- {
		s := &hits[i].Span
		if s.Start == s.End {
			s.Start = next
		}
		s.End, next = next, s.Start
	}
}

// value reads the value of a segment for its plain hits, which are of one name.
func (u *urlencoded) value(hits []Hit, seg []byte) error {
	first := slices.IndexFunc(hits, func(hit Hit) bool { return !hit.Variant })
	if first < 0 {
		return nil
	}
	name := hits[first].Name
	var value []byte
	if i := bytes.IndexByte(seg, '='); i >= 0 {
		value = seg[i+1:]
	}
	text := u.names.list[name]
	if text[len(text)-1] != ']' && endsBracket(value) {
		for i := range hits {
			hits[i].Variant = true
		}
		return nil
	}
	u.hits.text, value = decode(u.hits.text, value, true)
	if !utf8.Valid(value) {
		return &FieldError{name, ErrUTF8}
	}
	if !isASCII(seg) {
		return &FieldError{name, ErrEscape}
	}
	for i := range hits {
		if !hits[i].Variant {
			hits[i].Value = value[:len(value):len(value)]
		}
	}
	return nil
}

// endsBracket says whether a value holds "]=", for which qs, that of newer
// versions also escaped, looks first: "id=x]=y" is a field "id=x]" there.
func endsBracket(value []byte) bool {
	for i := 0; ; i++ {
		k := bytes.IndexByte(value[i:], '=')
		if k < 0 {
			return false
		}
		i += k
		if i > 0 && value[i-1] == ']' || i > 2 && value[i-3] == '%' && value[i-2] == '5' && value[i-1]|0x20 == 'd' {
			return true
		}
	}
}

// isASCII says whether nothing is left unescaped that the WHATWG URL standard's
// serializer escapes for its meaning in another charset: busboy reads raw bytes
// as Latin-1, and Ruby's URI refuses them.
func isASCII(s []byte) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (u *urlencoded) validName(seg []byte) bool {
	name := nameOf(seg)
	for _, c := range name {
		if c >= utf8.RuneSelf || c == '%' {
			u.hits.name, name = decode(u.hits.name[:0], name, true)
			return utf8.Valid(name)
		}
	}
	return true
}

func nameOf(segment []byte) []byte {
	if i := bytes.IndexByte(segment, '='); i >= 0 {
		return segment[:i]
	}
	return segment
}
