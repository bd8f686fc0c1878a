package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// document is the text that explain was given: JSON, the body of a form, a token, or a
// request's headers.
type document []byte

// isForm reports whether the text is a form: it does not begin as JSON does, and has a
// field.
func (d document) isForm() bool {
	text := bytes.TrimSpace(d)
	return len(text) > 0 && !d.isToken() && bytes.IndexByte([]byte(`{["`), text[0]) < 0 && bytes.IndexByte(text, '=') > 0
}

// isObject reports whether the text is a JSON object.
func (d document) isObject() bool {
	return bytes.HasPrefix(bytes.TrimSpace(d), []byte("{")) && json.Valid(d)
}

// syntax says where the text is not JSON, "" if it is.
func (d document) syntax() string {
	decoder := jsontext.NewDecoder(bytes.NewReader(d))
	err := decoder.SkipValue()
	if err == nil {
		end := decoder.InputOffset()
		if err = decoder.SkipValue(); err != nil && strings.Contains(err.Error(), "EOF") {
			return ""
		}
		return d.position(end) + ": there is more after the object"
	}
	bad, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return d.position(int64(len(d))) + ": it ends too early"
	}
	if trailingComma.Match(d[min(int(bad.ByteOffset), len(d)):]) {
		return d.position(bad.ByteOffset) + ": there is a comma that nothing follows"
	}
	return d.position(bad.ByteOffset) + ": " + bad.Err.Error()
}

// trailingComma matches a comma with nothing more behind it.
var trailingComma = regexp.MustCompile(`^,\s*[}\]]`)

// wrongKind says what the text is, where no claim is read from such a thing.
func (d document) wrongKind() string {
	text := bytes.TrimSpace(d)
	var inner string
	switch {
	case bytes.HasPrefix(text, []byte("--")):
		return "This is a multipart body: pass its fields as JSON or as a URL-encoded form."
	case bytes.HasPrefix(text, []byte("[")) && json.Valid(text):
		return "The body is a list: send the object with the claim alone."
	case json.Unmarshal(text, &inner) == nil && strings.HasPrefix(inner, "{") && json.Valid([]byte(inner)):
		return "The body is JSON within a text, so it was encoded twice: send the object itself."
	}
	return ""
}

// position returns the line and column of a byte, in characters, from 1.
func (d document) position(offset int64) string {
	before := d[:min(int(offset), len(d))]
	line := bytes.LastIndexByte(before, '\n') + 1
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, bytes.Count(before[line:], nil))
}

// objects returns the pointers of the objects within objects of a JSON text, without the
// whole. There are at most 64.
func (d document) objects() (pointers []string) {
	for name, nested := range d.names() {
		if nested && len(pointers) < 64 {
			pointers = append(pointers, name)
		}
	}
	slices.Sort(pointers)
	return pointers
}

// names returns the names in the text: the pointers of JSON's members outside of arrays,
// and whether each is of an object, or the names of a form's fields,
// of a query's and of headers, with a slash before.
func (d document) names() map[string]bool {
	names := make(map[string]bool)
	query, head, body := d.split()
	for _, h := range head {
		names["/"+h.name] = false
	}
	if body.isForm() {
		query += "&" + string(bytes.TrimSpace(body))
	}
	values, _ := url.ParseQuery(query)
	for name := range values {
		names["/"+name] = false
	}
	if body.isForm() {
		return names
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return names
		}
		inArray := false
		for depth := range decoder.StackDepth() + 1 {
			kind, _ := decoder.StackIndex(depth)
			inArray = inArray || kind == '['
		}
		if pointer := string(decoder.StackPointer()); pointer != "" && !inArray {
			names[pointer] = names[pointer] || token.Kind() == '{'
		}
	}
}

// misspelled says which names the text has in place of those that the dialect reads,
// "" if there are none.
func (c *checker) misspelled(d document, r *verifier.Reading) string {
	var said []string
	names := d.names()
	taken := make(map[string]bool) // those that are read
	for f := range verifier.Visitor {
		for _, pointer := range c.pointers(f) {
			taken[pointer] = true
		}
	}
	for _, f := range c.lacking(r) {
		wanted := c.pointers(f)
		known := make([]string, len(wanted))
		for i := range wanted {
			known[i] = path.Base(wanted[i])
		}
		for name := range names {
			if inner := inBrackets.FindStringSubmatch(name); inner != nil && slices.Contains(known, inner[1]) {
				said = append(said, fmt.Sprintf("%s is within brackets, as %s", inner[1], strconv.Quote(name[1:])))
				continue
			}
			if taken[name] || names[name] || strings.Contains(name[1:], "/") && path.Dir(name) != path.Dir(wanted[0]) {
				continue
			}
			if meant := choice.Nearest(path.Base(name), known); meant != "" && meant != path.Base(name) {
				said = append(said, fmt.Sprintf("%s is spelled %s", meant, strconv.Quote(path.Base(name))))
			}
		}
	}
	slices.Sort(said)
	return strings.Join(slices.Compact(said), ", and ")
}

// lacking returns the fields that verification needs and that were not found.
func (c *checker) lacking(r *verifier.Reading) (fields []verifier.Field) {
	if c.dialect.Message == "" {
		return []verifier.Field{verifier.TokenField}
	}
	for f := verifier.UserID; f <= verifier.Email; f++ {
		if (f == verifier.Signature || c.verifier.Signs(f)) && len(r.Unverified(f)) == 0 {
			fields = append(fields, f)
		}
	}
	return fields
}

// inBrackets matches the name of a form's field within an object, as PHP and Rails write it.
var inBrackets = regexp.MustCompile(`^/\w+\[(\w+)\]$`)
