package verifier

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// attributeDecoder walks an attributes' object. jsontext refuses what the
// claim's own members are refused for at every depth: names that stand twice,
// half surrogate pairs, invalid UTF-8.
type attributeDecoder struct {
	decoder jsontext.Decoder
	buffer  bytes.Buffer
	name    []byte
}

var attributeDecoders = sync.Pool{New: func() any { return new(attributeDecoder) }}

// eachAttribute calls visit with each member's decoded name and its value as
// it was sent, both valid only during the call.
func eachAttribute(object []byte, visit func(name []byte, value jsontext.Value) error) error {
	d := attributeDecoders.Get().(*attributeDecoder)
	d.buffer = *bytes.NewBuffer(object)
	d.decoder.Reset(&d.buffer)
	defer func() {
		// The object is part of a request, which the pool must not hold on to.
		d.buffer = bytes.Buffer{}
		d.decoder.Reset(eof{})
		attributeDecoders.Put(d)
	}()
	if _, err := d.decoder.ReadToken(); err != nil {
		return err
	}
	for d.decoder.PeekKind() != '}' {
		quoted, err := d.decoder.ReadValue()
		if err != nil {
			return err
		}
		if d.name, err = jsontext.AppendUnquote(d.name[:0], quoted); err != nil {
			return err
		}
		value, err := d.decoder.ReadValue()
		if err != nil {
			return err
		}
		if err := visit(d.name, value); err != nil {
			return err
		}
	}
	_, err := d.decoder.ReadToken()
	return err
}

// eof is what a decoder in the pool reads from.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// checkAttributes holds an attributes' object to the limits. Members that are
// fields of their own do not count.
func (v *Verifier) checkAttributes(object []byte) error {
	l := &v.policy.Limits
	if len(object) > l.AttributeBytes {
		return malformed(Attributes, fmt.Sprintf("are larger than %d bytes", l.AttributeBytes))
	}
	count, scalars := 0, true
	err := eachAttribute(object, func(name []byte, value jsontext.Value) error {
		if v.owned(name) {
			return nil
		}
		count++
		switch value.Kind() {
		case '{', '[', 'n':
			scalars = false
		}
		return nil
	})
	switch {
	case err != nil:
		return malformed(Attributes, "hold a name twice, or half a surrogate pair")
	case count > l.Attributes:
		return malformed(Attributes, fmt.Sprintf("are more than %d", l.Attributes))
	case l.Scalars && !scalars:
		return malformed(Attributes, "hold a value that is neither string, number nor boolean")
	}
	return nil
}

// owned reports whether a member of the attributes is a field of its own.
func (v *Verifier) owned(name []byte) bool {
	for _, o := range v.policy.Owned {
		if o == string(name) {
			return true
		}
	}
	return false
}

// AppendAttributes appends the claim's attributes, phone and company among
// them, to dst as one JSON object on one line, in ASCII alone, or nothing
// where there are none. A phone or company that is a field of its own hides an
// attribute of the same name. Shape must have passed.
func (v *Verifier) AppendAttributes(dst []byte, c *Claim) []byte {
	start := len(dst)
	member := func(name []byte, value []byte) {
		separator := byte(',')
		if len(dst) == start {
			separator = '{'
		}
		dst = append(dst, separator)
		dst = appendASCII(dst, name)
		dst = append(dst, ':')
		dst = appendASCII(dst, value)
	}
	own := [...]Field{Phone, Company}
	for _, f := range own {
		if len(c[f]) > 0 {
			member(quote(f.String()), quote(string(c[f])))
		}
	}
	if len(c[Attributes]) > 0 {
		_ = eachAttribute(c[Attributes], func(name []byte, value jsontext.Value) error {
			for _, f := range own {
				if len(c[f]) > 0 && string(name) == f.String() {
					return nil
				}
			}
			if !v.owned(name) {
				member(quote(string(name)), value)
			}
			return nil
		})
	}
	if len(dst) > start {
		dst = append(dst, '}')
	}
	return dst
}

func quote(text string) []byte {
	quoted, _ := jsontext.AppendQuote(nil, text) // fails on invalid UTF-8 only, which was refused
	return quoted
}

// appendASCII appends a valid JSON value without the blanks between its tokens
// and with everything beyond printable ASCII escaped (RFC 8259 section 7), so
// that it can stand in a header.
func appendASCII(dst, value []byte) []byte {
	inString := false
	for i := 0; i < len(value); {
		switch c := value[i]; {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(value[i:])
			dst = appendEscaped(dst, r)
			i += size
			continue
		case c == 0x7f:
			dst = appendEscaped(dst, rune(c))
		case !inString && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
		case inString && c == '\\':
			dst = append(dst, c, value[i+1])
			i += 2
			continue
		default:
			inString = inString != (c == '"')
			dst = append(dst, c)
		}
		i++
	}
	return dst
}

func appendEscaped(dst []byte, r rune) []byte {
	if r > 0xffff {
		r -= 0x10000
		dst = appendEscaped(dst, 0xd800+(r>>10))
		r = 0xdc00 + (r & 0x3ff)
	}
	const hexDigits = "0123456789abcdef"
	return append(dst, '\\', 'u', hexDigits[r>>12&0xf], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
}

// Attribute returns one member of an object that AppendAttributes made: a
// string's text, anything else as JSON. It is "" where there is none.
func Attribute(object []byte, wanted string) string {
	if len(object) == 0 {
		return ""
	}
	var found string
	_ = eachAttribute(object, func(name []byte, value jsontext.Value) error {
		if string(name) != wanted {
			return nil
		}
		found = string(value)
		if value.Kind() == '"' {
			text, _ := jsontext.AppendUnquote(nil, value)
			found = string(text)
		}
		return io.EOF // found
	})
	return found
}
