package claimform

import (
	"bytes"
	"unicode/utf8"
)

// value reads the value of a hit.
func (u *urlencoded) value(hit *Hit, value []byte) {
	if u.names.list[hit.Name].Way {
		hit.Value, _ = u.hits.decode(value, true)
		return
	}
	text := u.names.plain[hit.Name]
	if text[len(text)-1] != ']' && endsBracket(value) {
		hit.Variant = true
	}
	if hit.Variant {
		return
	}
	decoded, err := u.hits.decode(value, false)
	switch {
	case err != nil:
		hit.Err = err
	case !utf8.Valid(decoded):
		hit.Err = ErrUTF8
	case !isASCII(u.raw[hit.Span.Start:hit.Span.End]):
		hit.Err = ErrEscape
	default:
		hit.Value = decoded
	}
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
