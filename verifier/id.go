package verifier

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// maxID is the longest id of a conversation or a visitor, in bytes.
const maxID = 255

// idPunctuation is what such an id may have besides letters and digits: what
// Matrix, XMPP, Teams and Relay put into theirs, and no backend reads in two ways.
const idPunctuation = "._:~@!$&'()*+,;=/-"

// validID holds for the ids of conversations and visitors.
func validID(id []byte) bool {
	if len(id) > maxID {
		return false
	}
	for _, c := range id {
		alphanumeric := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !alphanumeric && strings.IndexByte(idPunctuation, c) < 0 {
			return false
		}
	}
	return true
}

// AppendID appends the canonical form of the id in that field, of a conversation or
// a visitor, to dst. It is for use after [Verifier.Verify], like [Reading.Unverified].
func (r *Reading) AppendID(dst []byte, f Field) []byte { return appendCanonicalID(dst, r.claim[f]) }

// appendCanonicalID appends the canonical form of a conversation's or visitor's id
// to dst. Two ids that some backend takes for one have the same: databases compare
// without letter case, and where an id is a number, programs cast it. So 42, 042,
// 42.0 and 4.2e1 are one, and -0 is 0.
//
// Integers are compared exactly, up to as many digits as an id may have: of
// neighbors with 19 digits, as Twitter's and Discord's ids are, each is its own.
// Any other number is the float64 that is nearest to it.
func appendCanonicalID(dst, id []byte) []byte {
	if n, ok := parseNumeral(id); ok {
		return n.appendValue(dst)
	}
	for _, c := range id {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// sameID reports whether two ids have one canonical form.
func sameID(a, b []byte) bool {
	var one, other [maxID + 1]byte
	return bytes.Equal(a, b) || bytes.Equal(appendCanonicalID(one[:0], a), appendCanonicalID(other[:0], b))
}

// numeral is an id of the form -?digits(.digits)?([eE][+-]?digits)?
type numeral struct {
	text            []byte
	whole, fraction []byte // digits
	exponent        int
}

// farExponent stands for all exponents beyond it: no digits that an id has room for
// bring such a number back into the range of a float64.
const farExponent = 10_000

func parseNumeral(id []byte) (n numeral, ok bool) {
	if len(id) == 0 || len(id) > maxID {
		return n, false
	}
	n.text = id
	rest := bytes.TrimPrefix(id, []byte("-"))
	n.whole, rest = cutDigits(rest)
	if len(n.whole) == 0 {
		return n, false
	}
	if len(rest) > 0 && rest[0] == '.' {
		if n.fraction, rest = cutDigits(rest[1:]); len(n.fraction) == 0 {
			return n, false
		}
	}
	if len(rest) == 0 {
		return n, true
	}
	if rest[0]|0x20 != 'e' {
		return n, false
	}
	rest = rest[1:]
	negative := len(rest) > 0 && rest[0] == '-'
	if negative || len(rest) > 0 && rest[0] == '+' {
		rest = rest[1:]
	}
	digits, rest := cutDigits(rest)
	for _, d := range digits {
		n.exponent = min(n.exponent*10+int(d-'0'), farExponent)
	}
	if negative {
		n.exponent = -n.exponent
	}
	return n, len(digits) > 0 && len(rest) == 0
}

// cutDigits cuts text behind the digits that it begins with.
func cutDigits(text []byte) (digits, rest []byte) {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	return text[:end], text[end:]
}

func (n *numeral) appendValue(dst []byte) []byte {
	var room [maxID]byte
	digits := append(append(room[:0], n.whole...), n.fraction...)
	point := len(n.whole) + n.exponent // where it stands, counted from the first digit
	significant := bytes.TrimLeft(digits, "0")
	point -= len(digits) - len(significant)
	significant = bytes.TrimRight(significant, "0")
	switch {
	case len(significant) == 0:
		return append(dst, '0')
	case len(significant) <= point && point <= maxID:
		if n.text[0] == '-' {
			dst = append(dst, '-')
		}
		dst = append(dst, significant...)
		for range point - len(significant) {
			dst = append(dst, '0')
		}
		return dst
	}
	value, _ := strconv.ParseFloat(string(n.text), 64) // beyond its range ±Inf
	switch {
	case value == 0:
		return append(dst, '0')
	case math.IsInf(value, 0):
		return append(dst, strconv.FormatFloat(value, 'g', -1, 64)...) // "Inf", which no id in lower case is
	case value == math.Trunc(value):
		return strconv.AppendFloat(dst, value, 'f', 0, 64)
	}
	return strconv.AppendFloat(dst, value, 'f', -1, 64)
}

// maxExact is 2^53-1, the largest integer up to which a float64 holds all.
const maxExact = 1<<53 - 1

// numberID reports whether a JSON number may be an id: one that every parser keeps
// (RFC 8259 section 6), and prints so that it has the same canonical form.
func numberID(token []byte) bool {
	value, err := strconv.ParseFloat(string(token), 64)
	return err == nil && math.Abs(value) <= maxExact
}
