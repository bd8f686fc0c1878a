package claimform

import (
	"bytes"
	"unicode/utf8"
)

// value reads the value of a match.
func (u *urlencoded) value(match *Match, value []byte) {
	if name := u.names.list[match.Name]; name.Way {
		match.Value, _ = u.matches.decode(value, true)
		match.Variant = match.Variant || name.Text && endsBracket(value)
		if name.Text && !isASCII(value) {
			match.Err = ErrEscape
		}
		return
	}
	text := u.names.plain[match.Name]
	if text[len(text)-1] != ']' && endsBracket(value) {
		match.Variant = true
	}
	if match.Variant {
		return
	}
	decoded, err := u.matches.decode(value, false)
	switch {
	case err != nil:
		match.Err = err
	case !utf8.Valid(decoded):
		match.Err = ErrUTF8
	case !isASCII(u.raw[match.Span.Start:match.Span.End]):
		match.Err = ErrEscape
	default:
		match.Value = decoded
	}
}

// endsBracket reports whether a value holds "]=", for which qs, that of newer
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

// isASCII reports whether nothing is left unescaped that the WHATWG URL standard's
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

// validName reports whether a name is UTF-8 once it is decoded.
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

// Decoded appends to dst where spans of a match's decoded value stand in the query or
// urlencoded body that was read. The match has no error, so that its escapes are plain.
func Decoded(dst []Span, raw []byte, match *Match, spans []Span) []Span {
	i, decoded := match.At.Start, 0
	until := func(offset int) int {
		for ; decoded < offset; decoded++ {
			if raw[i] == '%' {
				i += len("%XX") - 1
			}
			i++
		}
		return i
	}
	for _, s := range spans {
		start := until(s.Start)
		dst = append(dst, Span{start, until(s.End)})
	}
	return dst
}
