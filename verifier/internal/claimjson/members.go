package claimjson

import (
	"bytes"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// memberDecoder walks an object. jsontext refuses what the claim's own members are
// refused for at every depth: duplicate names, half surrogate pairs, invalid UTF-8.
type memberDecoder struct {
	decoder jsontext.Decoder
	buffer  bytes.Buffer
	name    []byte
}

var memberDecoders = sync.Pool{New: func() any { return new(memberDecoder) }}

// Members calls visit with the decoded name of each of the object's members and
// its value as it was sent, both valid only during the call.
func Members(object []byte, visit func(name []byte, value jsontext.Value) error) error {
	d := memberDecoders.Get().(*memberDecoder)
	d.buffer = *bytes.NewBuffer(object)
	d.decoder.Reset(&d.buffer)
	defer func() {
		// The object is part of a request, which the pool must not hold on to.
		d.buffer = bytes.Buffer{}
		d.decoder.Reset(eof{})
		memberDecoders.Put(d)
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

// Elements calls visit with each element of a valid array, whose Start and End count from
// the array's.
func Elements(array []byte, visit func(Value)) {
	s := scanner{body: array}
	for i := endSpaces(array, 1); array[i] != ']'; {
		end := s.skip(i)
		v := Value{Kind: kindOf(array[i]), Start: i, End: end}
		v.Escaped = v.Kind == String && bytes.IndexByte(array[i:end], '\\') >= 0
		visit(v)
		if i = endSpaces(array, end); array[i] == ',' {
			i = endSpaces(array, i+1)
		}
	}
}

// eof is what a decoder in the pool reads from.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// Quote returns the text as a JSON string.
func Quote(text string) []byte {
	quoted, _ := jsontext.AppendQuote(nil, text) // fails on invalid UTF-8 only, which was refused
	return quoted
}

// AppendASCII appends a valid JSON value without the space between its tokens
// and with everything beyond printable ASCII escaped (RFC 8259 section 7), so
// that it can stand in a header.
func AppendASCII(dst, value []byte) []byte {
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
