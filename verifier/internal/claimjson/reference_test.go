package claimjson_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// The reference reads the same things in the plainest way: a tree built by
// encoding/json, and one walk of it for each pointer.

type tree struct {
	kind       claimjson.Kind
	start, end int
	members    []member
	elements   []tree
}

type member struct {
	start int    // of the name's opening quote
	comma int    // after the value; -1: none
	name  string // decoded; half a surrogate pair stays as the byte 0xff, which is in no text
	value tree
}

// readTree reads a body that json.Valid accepts.
func readTree(t testing.TB, body []byte) tree {
	r := reader{t, body, json.NewDecoder(bytes.NewReader(body))}
	r.dec.UseNumber() // 1e999 is valid
	return r.value()
}

type reader struct {
	t    testing.TB
	body []byte
	dec  *json.Decoder
}

// token returns the next token and where it stands.
func (r *reader) token() (token json.Token, start, end int) {
	start = int(r.dec.InputOffset())
	for strings.IndexByte(" \t\r\n,:", r.body[start]) >= 0 {
		start++
	}
	token, err := r.dec.Token()
	if err != nil {
		r.t.Fatalf("reference cannot read %q: %v", r.body, err)
	}
	return token, start, int(r.dec.InputOffset())
}

func (r *reader) value() tree {
	token, start, end := r.token()
	v := tree{start: start, end: end}
	switch token := token.(type) {
	case string:
		v.kind = claimjson.String
	case json.Number:
		v.kind = claimjson.Number
	case nil:
		v.kind = claimjson.Null
	case bool:
		if v.kind = claimjson.False; token {
			v.kind = claimjson.True
		}
	case json.Delim:
		if v.kind = claimjson.Array; token == '{' {
			v.kind = claimjson.Object
		}
		for r.dec.More() {
			if v.kind == claimjson.Array {
				v.elements = append(v.elements, r.value())
			} else {
				v.members = append(v.members, r.member())
			}
		}
		_, _, v.end = r.token()
	}
	return v
}

func (r *reader) member() member {
	token, start, end := r.token()
	m := member{start: start, comma: -1, name: decodeName(string(r.body[start+1 : end-1]))}
	if got := strings.ReplaceAll(m.name, "\xff", "\ufffd"); got != token {
		r.t.Fatalf("reference reads the name %q as %q, encoding/json as %q", r.body[start:end], got, token)
	}
	m.value = r.value()
	if rest := bytes.TrimLeft(r.body[m.value.end:], " \t\r\n"); rest[0] == ',' {
		m.comma = len(r.body) - len(rest)
	}
	return m
}

// nesting returns how deep the containers of a valid body are nested.
func nesting(body []byte) (deepest int) {
	dec, depth := json.NewDecoder(bytes.NewReader(body)), 0
	dec.UseNumber()
	for {
		switch token, err := dec.Token(); {
		case err != nil:
			return deepest
		case token == json.Delim('{') || token == json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case token == json.Delim('}') || token == json.Delim(']'):
			depth--
		}
	}
}

// decodeName decodes the inside of a valid string.
func decodeName(raw string) string {
	var name strings.Builder
	unit := func(s string) rune {
		if len(s) < 6 || s[:2] != `\u` {
			return 0
		}
		n, _ := strconv.ParseUint(s[2:6], 16, 16)
		return rune(n)
	}
	for raw != "" {
		switch r := unit(raw); {
		case raw[0] != '\\':
			name.WriteByte(raw[0])
			raw = raw[1:]
		case raw[1] != 'u':
			name.WriteByte(map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '/': '/'}[raw[1]])
			raw = raw[2:]
		case utf16.DecodeRune(r, unit(raw[6:])) != utf8.RuneError:
			name.WriteRune(utf16.DecodeRune(r, unit(raw[6:])))
			raw = raw[12:]
		case utf16.IsSurrogate(r):
			name.WriteByte(0xff)
			raw = raw[6:]
		default:
			name.WriteRune(r)
			raw = raw[6:]
		}
	}
	return name.String()
}

func isVariant(name, token string) bool {
	dropped := strings.ReplaceAll(name, "\xff", "")
	return name != token && (strings.EqualFold(strings.ReplaceAll(name, "\xff", "\ufffd"), token) || strings.EqualFold(dropped, token))
}

// pointerTokens is naive on purpose: the pointers here are known to be good.
func pointerTokens(pointer string) []string {
	tokens := strings.Split(pointer[1:], "/")
	for i := range tokens {
		tokens[i] = strings.NewReplacer("~0", "~", "~1", "/").Replace(tokens[i])
	}
	return tokens
}

// A walk of a tree for one pointer.
type walk struct {
	body  []byte
	found claimjson.Value
	cut   map[int]bool // the members it leads to, by start; -1 for the whole body
	began *bool        // in an array: whether an object or array begins in one of its texts
}

// find looks into v, which is the body or the value of the member in, for tokens.
// first says that all names so far are exact and the first ones, and in no array.
func (w *walk) find(v *tree, in int, tokens []string, first, inArray bool) {
	switch v.kind {
	case claimjson.Array:
		outer := w.began
		if w.began == nil {
			w.began = new(bool)
		}
		for i := range v.elements {
			w.find(&v.elements[i], in, tokens, false, true)
		}
		w.began = outer
	case claimjson.String:
		inside := string(w.body[v.start+1 : v.end-1])
		begins := beginsJSON(inside)
		if w.began != nil {
			begins = begins || *w.began
			*w.began = begins
		}
		if stands([]byte(inside), begins) {
			w.found.Variant, w.found.Way = true, true
			w.cut[in] = true
		}
	}
	exact, variant := 0, 0
	for i := range v.members {
		m := &v.members[i]
		switch {
		case m.name == tokens[0]:
			exact++
		case isVariant(m.name, tokens[0]):
			variant++
			w.found.Variant = true
		default:
			continue
		}
		if exact > 1 || variant > 1 {
			w.found.Duplicate = true
		}
		isFirst := first && exact == 1 && m.name == tokens[0]
		if len(tokens) > 1 {
			outer := w.began
			w.began = nil
			w.find(&m.value, m.start, tokens[1:], isFirst, inArray)
			w.began = outer
			continue
		}
		w.cut[m.start] = true
		w.found.Variant, w.found.Way = w.found.Variant || inArray, w.found.Way || inArray
		if isFirst {
			w.found.Kind, w.found.Start, w.found.End = m.value.kind, m.value.start, m.value.end
		}
	}
}

// lookFor walks a body's tree for a pointer.
func lookFor(pointer string, body []byte, root *tree) walk {
	w := walk{body: body, cut: map[int]bool{}}
	w.find(root, -1, pointerTokens(pointer), true, false)
	return w
}

const skipped = `^(?:[\x00-\x20\x{85}\x{feff}\pZ]|\)\]\}'|(?://|#)[^\n\r\x{2028}\x{2029}]*[\n\r\x{2028}\x{2029}]|/\*(?:[^*]|\*+[^*/])*\*+/)*`

var (
	beginsAny   = regexp.MustCompile(skipped + `[{\[]`)
	skipsToHere = regexp.MustCompile(skipped + `(?:(?://|#)[^\n\r\x{2028}\x{2029}]*|/\*(?:[^*]|\*+[^*/])*\**)?$`)
)

// beginsJSON reports whether an object or array begins in a text: as far as half a
// surrogate pair, at which it cannot be told.
func beginsJSON(raw string) bool {
	text, _, lone := strings.Cut(decodeName(raw), "\xff")
	return beginsAny.MatchString(text) || lone && skipsToHere.MatchString(text)
}

// write appends v without the members to cut.
func write(dst, body []byte, v *tree, cut map[int]bool) []byte {
	at := v.start
	for i := range v.elements {
		e := &v.elements[i]
		dst = write(append(dst, body[at:e.start]...), body, e, cut)
		at = e.end
	}
	for i := range v.members {
		m := &v.members[i]
		if cut[m.start] {
			dst = append(dst, body[at:m.start]...)
			if at = m.value.end; m.comma >= 0 {
				at = m.comma + 1
			}
			continue
		}
		dst = write(append(dst, body[at:m.value.start]...), body, &m.value, cut)
		at = m.value.end
		last := true
		for _, later := range v.members[i+1:] {
			last = last && cut[later.start]
		}
		if m.comma >= 0 && last {
			dst = append(dst, body[at:m.comma]...)
			at = m.comma + 1
		}
	}
	return append(dst, body[at:v.end]...)
}
