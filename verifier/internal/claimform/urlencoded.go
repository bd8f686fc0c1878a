package claimform

import (
	"bytes"
	"unicode/utf8"
)

// URLEncoded reads an application/x-www-form-urlencoded body or a raw query.
//
// With strict, for a body that is declared to be a form, it is an error where a
// bad percent escape stands in any but a watched field, where a name is not
// UTF-8, and where a field _charset_ names another charset. On an error h is
// empty. What is wrong with a single watched field is its match's error.
//
// A name that decodes to exactly a watched name is a plain match, with an empty
// value where there is no '='. It is a variant if its segment holds a raw ';',
// at which some parsers split and for which Go drops the segment, or if its
// value holds "]=", where qs ends the name.
func URLEncoded(raw []byte, n *Names, strict bool, h *Matches) error {
	h.begin(len(n.list))
	u := urlencoded{raw: raw, names: n, matches: h, strict: strict}
	if err := u.read(); err != nil {
		h.forget()
		return err
	}
	return nil
}

type urlencoded struct {
	raw     []byte
	names   *Names
	matches *Matches
	strict  bool
	bad     bool // there may be a bad escape
	split   bool // there is a raw ';'
	valid   bool // it is UTF-8 but for its escapes
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
	}
	return nil
}

// segment reads what stands between two '&', and returns its end.
func (u *urlencoded) segment(start int) (end int, err error) {
	equals, odd, found := u.readName(start)
	if end = equals; end < len(u.raw) && u.raw[end] != '&' {
		end = u.until('&', end+1, len(u.raw))
	}
	name := u.raw[start:equals]
	split := u.split && u.until(';', equals, end) < end
	if !found && !split && !(u.strict && (odd || u.bad)) { // as most
		u.leading = false
		return end, nil
	}
	from, whole, occurrences := len(u.matches.List), false, 0
	for p := start; p < end; {
		if u.raw[p] == ';' {
			p++
			continue
		}
		span := Span{start, end}
		if p > start {
			equals, odd, found = u.readName(p)
			name = u.raw[p:equals]
			span.Start = p - 1
		}
		if split {
			span.End = u.until(';', equals, end)
		}
		if u.strict && odd && !validName(name) {
			return end, ErrUTF8
		}
		own := len(u.matches.List)
		if found {
			if err := u.add(name, Span{min(equals+1, end), end}, split, span); err != nil {
				return end, err
			}
			if len(u.matches.List) > own {
				occurrences++
				whole = whole || p == start
			}
		}
		if u.strict && u.bad && badEscape(u.raw[p:span.End]) && !u.mark(u.matches.List[own:], ErrEscape) {
			return end, ErrEscape
		}
		p = span.End + 1
	}
	matches := u.matches.List[from:]
	if u.bad && badEscape(u.raw[start:end]) {
		u.mark(matches, ErrEscape)
	}
	if whole {
		u.trim(matches, Span{start, end}, occurrences)
	}
	u.leading = u.leading && whole && occurrences == 1
	return end, nil
}

// readName reads a name that begins at i. It returns where it ends, whether it
// may not be UTF-8 once it is decoded, and whether it stands for names that are
// looked for, which u.matches has then.
//
// Hostile bodies are made of short names that are nearly looked for. What such a
// name is must not be asked at each of its bytes: the processor would guess wrong.
func (u *urlencoded) readName(i int) (end int, odd, found bool) {
	n, at, start := u.names, u.names.start, i
	u.matches.matched = u.matches.matched[:0]
	for symbol := uint32(0); symbol != stop && i < len(u.raw); {
		for _, c := range u.raw[i:min(i+8, len(u.raw))] {
			if symbol = uint32(n.symbols[query][c]); symbol >= stop {
				break
			}
			at = n.next[at<<n.shift|symbol]
			i++
		}
		switch {
		case symbol == stop:
		case at == dead:
			end, more := u.endName(i)
			return end, odd || more, false
		case symbol == escape:
			odd = odd || u.odd(i)
			symbol, i = n.character(u.raw, i, query)
			at = n.next[at<<n.shift|symbol]
		}
	}
	if len(n.found[at]) == 0 {
		return i, odd, false
	}
	n.take(n.found[at], u.raw[start:i], query, u.matches)
	return i, odd, len(u.matches.matched) > 0
}

// odd reports whether what is escaped at i may not be UTF-8 once it is decoded.
func (u *urlencoded) odd(i int) bool {
	c := u.raw[i]
	return c == '%' && i+1 < len(u.raw) && u.raw[i+1] >= '8' || c >= utf8.RuneSelf && !u.valid
}

// endName returns where a name ends that begins at i, and whether it may not be
// UTF-8 once it is decoded.
func (u *urlencoded) endName(i int) (end int, odd bool) {
	for ; i < len(u.raw); i++ {
		switch c := u.raw[i]; {
		case c == '=' || c == '&' || c == ';':
			return i, odd
		case c == '%' || c >= utf8.RuneSelf:
			odd = odd || u.odd(i)
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

// add adds matches for the names that readName has found. The value is all that follows
// in the segment: what ';' splits of it is another field for some.
func (u *urlencoded) add(name []byte, at Span, split bool, span Span) error {
	value := u.raw[at.Start:at.End]
	for _, i := range u.matches.matched {
		if i == u.names.charset() {
			if text := decode(nil, value, query); u.strict && !leavesUTF8(text) {
				return ErrCharset
			}
			continue
		}
		match := Match{Name: i, Variant: split || u.names.variant(i, name, query), Span: span, At: at}
		u.value(&match, value)
		u.matches.add(match)
	}
	return nil
}

// mark gives an error to the matches of fields that are no texts on the way, and reports
// whether there are such.
func (u *urlencoded) mark(matches []Match, err error) (marked bool) {
	for i := range matches {
		match := &matches[i]
		switch name := u.names.list[match.Name]; {
		case name.Way && !name.Text:
			continue
		case !name.Way:
			match.Value = nil
		}
		match.Err, marked = err, true
	}
	return marked
}

// trim gives the matches of a segment whose own name is watched all of its bytes:
// what remained of it would be another field. One occurrence takes a '&' along;
// several, which ';' splits, leave it, since each may be cut alone.
func (u *urlencoded) trim(matches []Match, seg Span, occurrences int) {
	if occurrences == 1 {
		switch {
		case !u.leading:
			seg.Start--
		case seg.End < len(u.raw):
			seg.End++
		}
		for i := range matches {
			matches[i].Span = seg
		}
		return
	}
	next := seg.End
	for i := len(matches) - 1; i >= 0; {
		start := matches[i].Span.Start
		for ; i >= 0 && matches[i].Span.Start == start; i-- {
			matches[i].Span.End = next
		}
		next = start
	}
}
