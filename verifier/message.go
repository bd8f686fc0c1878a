package verifier

import (
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// message is a template of what is signed: fields and literal text.
type message struct {
	text  string
	parts []part
	nonce int
	// timestampAdjacent is set where a timestamp touches other fields without a
	// separator, so that a signed message could be split in a second way.
	timestampAdjacent bool
}

type part struct {
	field   Field
	literal []byte // where not nil, the part is this text
}

// parseMessage reads a template such as "{user_id}{nonce}{timestamp}". Nonces
// are nonceLength characters long.
//
// It refuses a template of which a signed message could be split into fields
// in two ways: with "{user_id}{email}", the signature of user "ab" with e-mail
// "c" would be one of user "a" with e-mail "bc" too.
func parseMessage(text string, nonceLength int) (message, error) {
	m := message{text: text, nonce: nonceLength}
	seen := [numFields]bool{}
	for rest := text; rest != ""; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			open = len(rest)
		}
		if open > 0 {
			if strings.IndexByte(rest[:open], '}') >= 0 {
				return m, fmt.Errorf("message %q has a } without a {", text)
			}
			m.parts = append(m.parts, part{literal: []byte(rest[:open])})
			rest = rest[open:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return m, fmt.Errorf("message %q has a { without a }", text)
		}
		f, ok := parseField(rest[1:end])
		if !ok || (f != UserID && f != Email && f != Timestamp && f != Nonce) {
			err := fmt.Errorf("message %q: %s is not one of {user_id}, {email}, {timestamp}, {nonce}", text, rest[:end+1])
			if meant := choice.Nearest(strings.Trim(rest[:end], "{ "), []string{"user_id", "email", "timestamp", "nonce"}); meant != "" {
				err = fmt.Errorf("%w (did you mean {%s}?)", err, meant)
			}
			return m, err
		}
		if seen[f] {
			return m, fmt.Errorf("message %q names {%s} twice", text, f)
		}
		seen[f] = true
		m.parts = append(m.parts, part{field: f})
		rest = rest[end+1:]
	}
	if !seen[UserID] {
		return m, fmt.Errorf("message %q lacks {user_id}: its signature would prove nothing about the user", text)
	}
	if nonceLength < 1 {
		return m, fmt.Errorf("a nonce has at least one character, not %d", nonceLength)
	}
	return m, m.unambiguous()
}

// excludes reports whether no value of the field holds the byte. User ids and
// e-mail addresses hold no control characters, timestamps only digits, nonces
// only the characters of base64url.
func (f Field) excludes(b byte) bool {
	switch f {
	case Timestamp:
		return b < '0' || b > '9'
	case Nonce:
		return !nonceByte(b)
	default:
		return b < ' ' || b == 0x7f
	}
}

// unambiguous fixes the field boundaries from both ends of the template as far
// as they can be: by a field's length, or by a neighbouring literal character
// that the field cannot hold. At most one field may remain between the two.
func (m *message) unambiguous() error {
	first, last := 0, len(m.parts)-1
	for ; first <= last; first++ {
		p := m.parts[first]
		if p.fixed() {
			continue
		}
		if first == last || m.parts[first+1].literal == nil || !p.field.excludes(m.parts[first+1].literal[0]) {
			break
		}
	}
	for ; last > first; last-- {
		p := m.parts[last]
		if p.fixed() {
			continue
		}
		before := m.parts[last-1].literal
		if before == nil || !p.field.excludes(before[len(before)-1]) {
			break
		}
	}
	if first < last {
		one, other := m.parts[first].field, m.parts[last].field
		why := fmt.Sprintf("between {%s} and {%s}", one, other)
		switch between := m.parts[first+1 : last]; {
		case len(between) == 0:
			why = fmt.Sprintf("since nothing separates {%s} from {%s}", one, other)
		case len(between) == 1 && len(between[0].literal) == 1:
			why = fmt.Sprintf("since {%s} and {%s} may both hold '%s'", one, other, between[0].literal)
		}
		return fmt.Errorf("message %q could be split in two ways, %s, so that one signature would fit two users: "+
			"put a newline there, which neither may hold", m.text, why)
	}
	for i, p := range m.parts {
		if p.literal == nil && p.field == Timestamp {
			m.timestampAdjacent = m.touches(i-1, true) || m.touches(i+1, false)
			if m.timestampAdjacent && !allFixed(m.parts[:i]) && !allFixed(m.parts[i+1:]) {
				return fmt.Errorf("message %q: {timestamp}, of 10 or 13 digits, runs into its neighbour; "+
					"put a character that is no digit on either side of it", m.text)
			}
		}
	}
	return nil
}

// fixed reports whether the part has a length of its own, that of a timestamp
// being one of two.
func (p *part) fixed() bool { return p.literal != nil || p.field == Nonce || p.field == Timestamp }

func allFixed(parts []part) bool {
	return !slices.ContainsFunc(parts, func(p part) bool { return !p.fixed() })
}

// touches reports whether part i, a neighbour of the timestamp, could hand it
// digits or take some of its own.
func (m *message) touches(i int, before bool) bool {
	if i < 0 || i >= len(m.parts) {
		return false
	}
	lit := m.parts[i].literal
	if lit == nil {
		return true
	}
	b := lit[0]
	if before {
		b = lit[len(lit)-1]
	}
	return !Timestamp.excludes(b)
}

// String returns the template.
func (m *message) String() string { return m.text }

// Signs reports whether the field is part of the message.
func (m *message) Signs(f Field) bool {
	return slices.ContainsFunc(m.parts, func(p part) bool { return p.literal == nil && p.field == f })
}

// write feeds the claim's message to a hash.
func (m *message) write(h hash.Hash, c *claim) {
	for i := range m.parts {
		_, _ = h.Write(m.parts[i].bytes(c)) // a hash never returns an error
	}
}

func (p *part) bytes(c *claim) []byte {
	if p.literal != nil {
		return p.literal
	}
	return c[p.field]
}

// Append appends the claim's message to dst.
func (m *message) Append(dst []byte, c *claim) []byte {
	for i := range m.parts {
		dst = append(dst, m.parts[i].bytes(c)...)
	}
	return dst
}

// split finds the timestamp of a message under the assumption that it has
// width digits, and reports whether the message has such a reading at all.
func (m *message) split(text []byte, width int) (timestamp []byte, ok bool) {
	lo, hi := 0, len(m.parts)
	take := func(p part, front bool) bool {
		n := len(p.literal)
		if p.literal == nil {
			if n = m.nonce; p.field == Timestamp {
				n = width
			}
		}
		if n > len(text) {
			return false
		}
		piece := text[:n]
		if front {
			text = text[n:]
		} else {
			piece, text = text[len(text)-n:], text[:len(text)-n]
		}
		switch {
		case p.literal != nil:
			return string(piece) == string(p.literal)
		case p.field == Timestamp:
			timestamp = piece
			return digits(piece)
		default:
			return validNonce(piece, m.nonce)
		}
	}
	for ; lo < hi && m.parts[lo].fixed(); lo++ {
		if !take(m.parts[lo], true) {
			return nil, false
		}
	}
	for ; hi > lo && m.parts[hi-1].fixed(); hi-- {
		if !take(m.parts[hi-1], false) {
			return nil, false
		}
	}
	// What lies between is at least one field that is not empty. Where it holds
	// the timestamp too, that one is set off by its neighbours.
	return timestamp, len(text) > 0 && timestamp != nil
}

func digits(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < '0' || c > '9' })
}

func nonceByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '-'
}

func validNonce(b []byte, length int) bool {
	return len(b) == length && !slices.ContainsFunc(b, func(c byte) bool { return !nonceByte(c) })
}
