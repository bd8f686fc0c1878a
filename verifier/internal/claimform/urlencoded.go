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
	valid  bool // it is UTF-8 but for its escapes
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
	u.valid = !u.strict || utf8.Valid(u.raw)
	u.leading = true
	for start := 0; start < len(u.raw); start++ {
		if u.raw[start] == '&' {
			u.leading = false
			continue
		}
		var err error
		if start, err = u.segment(start); err != nil {
			return err
		}
		if u.hits.More && !u.strict {
			return nil
		}
	}
	return nil
}

// segment reads what stands between two '&', and returns its end.
func (u *urlencoded) segment(start int) (end int, err error) {
	h := u.hits
	equals, odd := u.endName(start)
	if end = equals; end < len(u.raw) && u.raw[end] != '&' {
		end = u.until('&', end+1, len(u.raw))
	}
	name := u.raw[start:equals]
	split := u.split && u.until(';', equals, end) < end
	found := u.find(name)
	if !found && !split && !(u.strict && (odd || u.bad)) { // as most
		u.leading = false
		return end, nil
	}
	from, seg := len(h.List), u.raw[start:end]
	whole, occurrences, valid := false, 0, true
	for p := start; p < end; {
		if u.raw[p] == ';' {
			p++
			continue
		}
		span := Span{start, end}
		if p > start {
			equals, odd = u.endName(p)
			name = u.raw[p:equals]
			found = u.find(name)
			span.Start = p - 1
		}
		if split {
			span.End = u.until(';', equals, end)
		}
		if found {
			u.add(name, split, span)
			occurrences++
			whole = whole || p == start
		}
		valid = valid && !(odd && u.strict && !validName(name))
		p = span.End + 1
	}
	if u.bad && badEscape(seg) {
		if len(h.List) > from {
			return end, &FieldError{h.List[from].Name, ErrEscape}
		}
		if u.strict {
			return end, ErrEscape
		}
	}
	if !valid {
		return end, ErrUTF8
	}
	if occurrences == 0 || h.More {
		u.leading = false
		return end, nil
	}
	if whole {
		u.trim(h.List[from:], Span{start, end}, occurrences)
	}
	u.leading = u.leading && whole && occurrences == 1
	return end, u.value(h.List[from:], seg)
}

// endName returns where a name ends that begins at i, and whether it may not be
// UTF-8 once it is decoded.
func (u *urlencoded) endName(i int) (end int, odd bool) {
	for ; i < len(u.raw); i++ {
		switch c := u.raw[i]; {
		case c == '=' || c == '&' || c == ';':
			return i, odd
		case c == '%' && i+1 < len(u.raw) && u.raw[i+1] >= '8':
			odd = true
		case c >= utf8.RuneSelf:
			odd = odd || !u.valid
		}
	}
	return i, odd
}

// until returns the index of the first c from i on, or end.
func (u *urlencoded) until(c byte, i, end int) int {
	if i == end || u.raw[i] == c {
		return i
	}
	if n := bytes.IndexByte(u.raw[i:end], c); n >= 0 {
		return i + n
	}
	return end
}

// find looks for the names that a name in a segment, or in what ';' splits of
// it, stands for, unless there are too many already.
func (u *urlencoded) find(name []byte) bool {
	h := u.hits
	if h.More || len(name) == 0 {
		return false
	}
	first, end := name[0], 1
	if first == '%' {
		first, end = query.byte(name, 0)
	}
	if !u.names.begins[first] || len(name)-end+1 < u.names.shortest {
		return false
	}
	h.matched = h.matched[:0]
	u.names.match(name, query, h)
	return len(h.matched) > 0
}

// add adds hits for the names that find has found.
func (u *urlencoded) add(name []byte, split bool, span Span) {
	for _, i := range u.hits.matched {
		u.hits.add(Hit{Name: i, Variant: split || !u.names.is(i, name, query), Span: span})
		span.Start = span.End
	}
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
	value, err := u.hits.decode(value)
	if err != nil {
		return &FieldError{name, err}
	}
	if !utf8.Valid(value) {
		return &FieldError{name, ErrUTF8}
	}
	if !isASCII(seg) {
		return &FieldError{name, ErrEscape}
	}
	for i := range hits {
		if !hits[i].Variant {
			hits[i].Value = value
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

// validName says whether a name is UTF-8 once it is decoded.
func validName(name []byte) bool {
	for i := 0; i < len(name); {
		b, end := query.byte(name, i)
		if valid := b < utf8.RuneSelf; !valid {
			if _, end, valid = query.longRune(name, i); !valid {
				return false
			}
		}
		i = end
	}
	return true
}
