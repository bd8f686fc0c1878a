package command

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// document is the text that explain was given: JSON, or the body of a form.
type document []byte

// isForm reports whether the text is a form: it does not begin as JSON does, and has a
// field.
func (d document) isForm() bool {
	text := bytes.TrimSpace(d)
	return len(text) > 0 && bytes.IndexByte([]byte(`{["`), text[0]) < 0 && bytes.IndexByte(text, '=') > 0
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
	return d.position(bad.ByteOffset) + ": " + bad.Err.Error()
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
// and whether each is of an object, or the names of a form's fields, with a slash before.
func (d document) names() map[string]bool {
	names := make(map[string]bool)
	if d.isForm() {
		values, _ := url.ParseQuery(string(bytes.TrimSpace(d)))
		for name := range values {
			names["/"+name] = false
		}
		return names
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(d))
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
	for _, f := range c.lacking(r) {
		for name := range names {
			for _, wanted := range c.pointers(f) {
				if name != wanted && folded(name) == folded(wanted) {
					said = append(said, fmt.Sprintf("%s is spelled %s", strings.TrimPrefix(wanted, "/"), strconv.Quote(strings.TrimPrefix(name, "/"))))
				}
			}
		}
	}
	slices.Sort(said)
	return strings.Join(slices.Compact(said), ", and ")
}

// lacking returns the fields that verification needs and that were not found.
func (c *checker) lacking(r *verifier.Reading) (fields []verifier.Field) {
	for f := verifier.UserID; f <= verifier.Email; f++ {
		if (f == verifier.Signature || c.verifier.Signs(f)) && len(r.Unverified(f)) == 0 {
			fields = append(fields, f)
		}
	}
	return fields
}

// folded returns a pointer's letters and digits, in lower case.
func folded(pointer string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(strings.ToLower(pointer))
}

// elsewhere returns the objects of the text in which the claim is complete, with "" for
// the whole, "" and false if it is in none but where it was looked for.
func (f *claimFormat) elsewhere(d document, key *verifier.Key) (at string, found bool) {
	if d.isForm() {
		return "", false
	}
	moved := *f
	for _, moved.at = range append([]string{""}, d.objects()...) {
		if verifies, complete := moved.try(f.dialect, d, key); moved.at != f.at && (verifies || complete) {
			return moved.at, true
		}
	}
	return "", false
}

// try reports whether the signature is correct in a dialect, and whether only that is not.
func (f *claimFormat) try(dialect string, d document, key *verifier.Key) (verifies, complete bool) {
	c, err := f.checker(dialect)
	if err == nil { // else the pointer does not fit that dialect
		err = c.verify(d, new(verifier.Reading), key)
	}
	return err == nil || errors.Is(err, verifier.ErrExpired), errors.Is(err, verifier.ErrInvalid)
}
