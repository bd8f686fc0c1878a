package parsertest

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
)

// spellings are the ways to write a name or a value, by their names in placeholders.
var spellings = map[string]func(string) string{
	"upper":        strings.ToUpper,
	"fold":         strings.NewReplacer("s", "ſ", "k", "\u212a").Replace,
	"percent":      each("%%%02x"),
	"double":       each("%%25%02x"),
	"u":            each("%%u%04x"),
	"json":         each(`\u%04x`),
	"hex":          each(`\x%02x`),
	"qp":           each("=%02X"),
	"octal":        each(`\%03o`),
	"backslash":    each(`\%c`),
	"first":        first("%%%02x"),
	"jsonfirst":    first(`\u%04x`),
	"dot":          underscore("."),
	"dotpercent":   underscore("%2e"),
	"bracket":      underscore("["),
	"space":        underscore(" "),
	"plus":         underscore("+"),
	"spacepercent": underscore("%20"),
	"head":         func(text string) string { return text[:len(text)/2] },
	"tail":         func(text string) string { return text[len(text)/2:] },
	"base64":       func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
	"overlong":     overlong,
}

func each(format string) func(string) string {
	return func(text string) string {
		var b strings.Builder
		for _, c := range text {
			fmt.Fprintf(&b, format, c)
		}
		return b.String()
	}
}

func first(format string) func(string) string {
	return func(text string) string { return fmt.Sprintf(format, text[0]) + text[1:] }
}

func underscore(by string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, "_", by) }
}

// overlong writes each ASCII letter as two bytes, where UTF-8 allows one.
func overlong(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%%%02x%%%02x", 0xc0|text[i]>>6, 0x80|text[i]&0x3f)
	}
	return b.String()
}

// encode returns a body in a character encoding or content coding.
func encode(encoding, text string) ([]byte, error) {
	var b bytes.Buffer
	switch encoding {
	case "":
		return []byte(text), nil
	case "utf-16le", "utf-16be":
		return appendUnits(byteOrder(encoding), utf16.Encode([]rune(text))), nil
	case "utf-32le", "utf-32be":
		return appendUnits(byteOrder(encoding), []rune(text)), nil
	case "latin-1":
		return charmap.ISO8859_1.NewEncoder().Bytes([]byte(text))
	case "cp037":
		return charmap.CodePage037.NewEncoder().Bytes([]byte(text))
	case "utf-7":
		return []byte(strings.NewReplacer("_", "+AF8-", "{", "+AHs-", `"`, "+ACI-", "}", "+AH0-").Replace(text)), nil
	case "gzip":
		return compressed(&b, gzip.NewWriter(&b), text)
	case "deflate":
		return compressed(&b, zlib.NewWriter(&b), text)
	}
	return nil, fmt.Errorf("no encoding %s", encoding)
}

func compressed(b *bytes.Buffer, w io.WriteCloser, text string) ([]byte, error) {
	if _, err := io.WriteString(w, text); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

func byteOrder(encoding string) binary.AppendByteOrder {
	if strings.HasSuffix(encoding, "le") {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

func appendUnits[U uint16 | rune](order binary.AppendByteOrder, units []U) (b []byte) {
	for _, unit := range units {
		if _, wide := any(unit).(rune); wide {
			b = order.AppendUint32(b, uint32(unit))
		} else {
			b = order.AppendUint16(b, uint16(unit))
		}
	}
	return b
}
