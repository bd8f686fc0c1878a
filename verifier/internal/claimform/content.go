package claimform

import "bytes"

// maxHeader is how many bytes a part's header may have, including the empty line
// that ends it. A body with a longer one does not read in one way: what names stand
// in it would have to be looked for across all of it.
const maxHeader = 8 << 10

// header reads a part's header.
func (m *Multipart) header(p []byte) int {
	end := []byte("\r\n\r\n")
	if len(m.head) == 0 { // as a rule all of it is there, and need not be copied
		if i := bytes.Index(p[:min(len(p), maxHeader)], end); i >= 0 {
			m.begin(p[:i+len(end)])
			return i + len(end)
		}
	}
	had := len(m.head)
	m.head = append(m.head, p[:min(len(p), maxHeader-had)]...)
	from := max(0, had-len(end)+1)
	i := bytes.Index(m.head[from:], end)
	if i < 0 {
		if len(m.head) == maxHeader {
			return m.fail()
		}
		return len(m.head) - had
	}
	m.head = m.head[:from+i+len(end)]
	n := len(m.head) - had
	m.begin(m.head)
	m.head = m.head[:0]
	return n
}

// begin begins a part's content.
func (m *Multipart) begin(head []byte) {
	// Some parsers look beyond an empty line that comes first, Rack and werkzeug among them.
	if head[0] == '\r' || bytes.Contains(head, m.delimiter) || !m.describe(head) {
		m.step = broken
		return
	}
	m.step = content
	m.count(len(head), 0)
	m.spend(len(head))
}

// content reads a part's content up to the end of the next delimiter.
func (m *Multipart) content(p []byte) int {
	at, ok := m.search(p)
	if !ok {
		m.take(p)
		m.count(m.part.length, len(m.delimiter)+1)
		return len(p)
	}
	m.take(p[:max(at, 0)])
	before := m.tail[:len(m.tail)+min(at, 0)]
	n := m.part.length + min(at, 0) - len("\r\n")
	m.count(n, 0)
	if !bytes.HasSuffix(before, []byte("\r\n")) {
		m.step = broken
	}
	if m.step == content {
		m.spend(n)
		m.finish(n, m.read+at)
		m.delimit(m.read + at)
	}
	return at + len(m.delimiter)
}

// search returns where in p a delimiter begins, which is negative if it began
// before.
func (m *Multipart) search(p []byte) (at int, ok bool) {
	if len(m.tail) > 0 {
		seam := append(m.tail, p[:min(len(p), len(m.delimiter)-1)]...)
		if i := bytes.Index(seam, m.delimiter); i >= 0 {
			return i - len(m.tail), true
		}
	}
	at = bytes.Index(p, m.delimiter)
	return at, at >= 0
}

// take takes note of content.
func (m *Multipart) take(p []byte) {
	m.keep(p)
	m.part.length += len(p)
	keep := len(m.delimiter) + 1
	if len(p) >= keep {
		m.tail = append(m.ends[:0], p[len(p)-keep:]...)
		return
	}
	drop := max(0, len(m.tail)+len(p)-keep)
	m.tail = append(append(m.ends[:0], m.tail[drop:]...), p...)
}

// count stops reading where a field has more bytes than are left for fields. Of
// these the last slack may turn out to be none of it.
func (m *Multipart) count(length, slack int) {
	if m.part.field && int64(length-slack) > m.allowed {
		m.tooLong, m.step = true, broken
	}
}

// spend takes a field's bytes off those that are left.
func (m *Multipart) spend(length int) {
	if m.part.field {
		m.allowed -= int64(length)
	}
}
