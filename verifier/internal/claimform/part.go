package claimform

import (
	"bytes"
	"unicode/utf8"
)

// part is the part that is being read.
type part struct {
	start  int // of its delimiter
	length int // of its content so far
	field  bool
	first  int // of its matches

	kept    bool  // its content goes to Matches.text
	text    int   // where it begins there
	whole   bool  // whatever its length, since it is a text on the way
	unnamed bool  // it may be a text on the way, since its header does not read in one way
	long    bool  // more than can be kept
	charset bool  // it is the field _charset_
	ascii   bool  // its value must be ASCII
	err     error // of a field
	wayErr  error // of a text on the way
}

// describe reads a part's header. It reports false for a part that is made of parts
// itself, which RFC 7578 section 4.3 deprecates and parsers differ over.
func (m *Multipart) describe(head []byte) bool {
	p, matches := &m.part, m.matches
	p.first, p.text = len(matches.List), len(matches.text)
	var h header
	if !h.parse(head) {
		return m.unreadable(head)
	}
	if h.nested {
		return false
	}
	name := h.disposition.name
	matches.matched = matches.matched[:0]
	m.names.match(name, plain, matches)
	if bytes.IndexByte(name, '%') >= 0 {
		// Browsers escape quotes and line breaks so, and some parsers undo it.
		m.names.match(name, percent, matches)
	}
	p.field = !h.disposition.file && !h.otherType
	p.ascii, p.err, p.wayErr = h.charset == inASCII, h.fieldError(), h.wayError()
	for _, i := range matches.matched {
		if i == m.names.charset() {
			p.charset, p.kept = true, true
			continue
		}
		way := m.names.list[i].Way
		if way && h.disposition.file {
			// A file, or with Spring's @RequestPart a JSON document.
			p.unnamed = true
			continue
		}
		match := Match{Name: i, Variant: m.names.variant(i, name, plain), Span: Span{Start: p.start}}
		matches.add(match)
		p.whole = p.whole || way
		p.kept = p.kept || way || !match.Variant && p.err == nil
	}
	p.field = p.field || p.kept
	return true
}

// unreadable takes a part whose header does not read in one way. It is nobody's and
// no field, unless a watched name can stand in the header or the content may be a
// text on the way.
func (m *Multipart) unreadable(head []byte) bool {
	if ContainsFold(head, "multipart/") {
		return false
	}
	m.charset = m.charset || ContainsFold(head, "_charset_")
	if m.refused == nil {
		if m.inHeader == nil {
			m.refused = ErrHeader
		} else if name, stands := m.inHeader(head); stands {
			m.refused = &HeaderError{name}
		}
	}
	p := &m.part
	if p.unnamed = m.names.way != none; p.unnamed && mayBeCoded(head) {
		p.wayErr = ErrPart
		m.onWay()
	}
	return true
}

// mayBeCoded reports whether a header that does not read in one way may say that
// the content's bytes are not those of its text.
func mayBeCoded(head []byte) bool {
	if ContainsFold(head, "base64") || ContainsFold(head, "quoted-printable") || ContainsFold(head, "uuencode") {
		return true
	}
	return ContainsFold(head, "charset") && !ContainsFold(head, "utf-8") && !ContainsFold(head, "utf8")
}

// onWay takes an unreadable part for a text on the way.
func (m *Multipart) onWay() {
	p := &m.part
	p.unnamed = false
	m.matches.matched = m.matches.matched[:0]
	if m.matches.match(m.names.way); len(m.matches.matched) > 0 {
		m.matches.add(Match{Name: m.names.way, Variant: true, Span: Span{Start: p.start}})
		p.kept, p.whole, p.field = true, true, true
	}
}

// keep takes content of a part that is found.
func (m *Multipart) keep(content []byte) {
	p, h := &m.part, m.matches
	if p.unnamed {
		content = m.begins(content)
	}
	if !p.kept {
		return
	}
	// Of the last bytes a delimiter may be made.
	if !p.whole && h.kept+len(h.text)-p.text+len(content)-(len(m.delimiter)+1) > maxText {
		p.kept, p.long = false, true
		h.text = h.text[:p.text]
		return
	}
	h.text = append(h.text, content...)
}

// begins looks for the first character of what may be a text on the way, and
// returns the content from there on. Such a text begins with an object or an
// array, perhaps behind a byte-order mark, spaces, a comment or a guard.
func (m *Multipart) begins(content []byte) []byte {
	for i, c := range content {
		switch c {
		case 0, 0xef, 0xbb, 0xbf, 0xfe, 0xff:
		case '{', '[', '/', '#', ')':
			m.onWay()
			return content[i:]
		default:
			if !isBlank(rune(c)) {
				m.part.unnamed = false
				return nil
			}
		}
	}
	return nil
}

// finish completes the matches of a part, which has a content of that length and
// ends at that offset.
func (m *Multipart) finish(length, end int) {
	p, h := &m.part, m.matches
	var value []byte
	if p.kept {
		h.text = h.text[:len(h.text)-(p.length-length)]
		value = h.text[p.text:len(h.text):len(h.text)]
	}
	if p.charset && (p.err != nil || p.long || !leavesUTF8(value)) {
		m.charset = true
	}
	long, used := p.long || h.kept+len(value) > maxText, false
	for i := p.first; i < len(h.List); i++ {
		match := &h.List[i]
		match.Span.End = end
		match.At = Span{end - len("\r\n") - length, end - len("\r\n")}
		switch name := m.names.list[match.Name]; {
		case name.Way:
			match.Err = p.wayErr
			if name.Text && p.err == nil && p.ascii && !isASCII(value) {
				match.Err = ErrPart
			} else if name.Text {
				match.Err = p.err
			}
			if !name.Text || p.wayErr == nil {
				match.Value, used = value, true
			}
		case p.err != nil:
			match.Err = p.err
		case match.Variant:
		case long:
			match.Err = ErrLong
		// undici drops a byte-order mark.
		case !utf8.Valid(value) || bytes.HasPrefix(value, []byte("\ufeff")):
			match.Err = ErrUTF8
		case p.ascii && !isASCII(value):
			match.Err = ErrPart
		default:
			match.Value, used = value, true
			if !p.whole {
				h.kept += len(value)
			}
		}
	}
	if !used {
		h.text = h.text[:p.text]
	}
}
