package claimform_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/parsertest"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// watched are the names that the differential tests and fuzzers look for.
var watched = []string{"user_id", "user_hash"}

// A field is what a parser read; its value is nil where that is no text: a
// file, an array or an object.
type field struct {
	name  string
	value *string
}

// readings are the fields that each parser read. A parser that refused the
// whole input is missing.
type readings map[string][]field

// startParsers runs the parsers of five languages.
func startParsers(t *testing.T) []*parsertest.Backend {
	t.Helper()
	var paths [][]string
	for _, name := range watched {
		paths = append(paths, []string{name})
	}
	return parsertest.Start(t, paths)
}

// parse asks about a form body, or a multipart body where there is a boundary.
func parse(t *testing.T, backends []*parsertest.Backend, body []byte, boundary string) readings {
	t.Helper()
	kind := "application/x-www-form-urlencoded"
	if boundary != "" {
		kind = `multipart/form-data; boundary="` + boundary + `"`
	}
	answers, err := parsertest.AskAll(backends, &parsertest.Request{Method: "POST", Target: "/", Header: http.Header{"Content-Type": {kind}}, Body: body})
	if err != nil {
		t.Fatalf("%v, asked about %q", err, body)
	}
	all := readings{}
	for _, answer := range answers {
		for parser, reading := range answer {
			if reading.Place == parsertest.Form && reading.Fields != nil {
				all[parser] = fieldsOf(reading)
			}
		}
	}
	return all
}

func fieldsOf(reading *parsertest.Reading) []field {
	fields := []field{}
	for _, f := range reading.Fields {
		one := field{name: f.Path[0]}
		if text, ok := strings.CutPrefix(f.Value, "s"); ok && len(f.Path) == 1 {
			one.value = &text
		}
		fields = append(fields, one)
	}
	return fields
}

// goMultipart returns the fields in order; ok is false if the body is refused.
func goMultipart(body []byte, boundary string) (fields []field, ok bool) {
	_, params, err := mime.ParseMediaType(`multipart/form-data; boundary="` + boundary + `"`)
	if err != nil {
		return nil, false
	}
	reader := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	fields = []field{}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return fields, true
		}
		if err != nil {
			return nil, false
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		one := field{name: part.FormName()}
		if part.FileName() == "" {
			value := string(content)
			one.value = &value
		}
		fields = append(fields, one)
	}
}

// under returns what a parser read under a name, be it as an array or object,
// which frameworks atop of it make of brackets.
func under(fields []field, name string) (values []field) {
	for _, f := range fields {
		key := strings.TrimLeft(strings.TrimSpace(f.name), "[]")
		if i := strings.IndexAny(key, "[]"); i >= 0 && key[:i] == name {
			values = append(values, field{name: f.name})
		} else if f.name == name {
			values = append(values, f)
		}
	}
	return values
}

// compare holds the parsers' readings against hits, and counts for each parser
// how often it read the same value.
func compare(t *testing.T, body []byte, hits []claimform.Hit, all readings, agreed map[string]int) {
	t.Helper()
	for i, name := range watched {
		var own []claimform.Hit
		for _, hit := range hits {
			if hit.Name == i {
				own = append(own, hit)
			}
		}
		for parser, fields := range all {
			values := under(fields, name)
			switch {
			case len(own) == 0:
				if len(values) > 0 {
					t.Errorf("%s reads %s in %q, where nothing was found", parser, describe(values), body)
				}
			case len(own) == 1 && !own[0].Variant:
				if len(own[0].Value) == 0 && len(values) == 0 {
					continue // no field and an empty one are the same
				}
				if len(values) != 1 || values[0].value == nil || *values[0].value != string(own[0].Value) {
					t.Errorf("%s reads %s in %q, where %q was found", parser, describe(values), body, own[0].Value)
					continue
				}
				agreed[parser]++
			}
		}
	}
}

func describe(fields []field) string {
	var b strings.Builder
	for _, f := range fields {
		if f.value == nil {
			fmt.Fprintf(&b, "[%q: no text]", f.name)
		} else {
			fmt.Fprintf(&b, "[%q: %q]", f.name, *f.value)
		}
	}
	return "[" + b.String() + "]"
}

// tally counts outcomes, so that a test in which everything is refused fails.
type tally struct{ refused, nothing, plain, other int }

func (c *tally) add(hits []claimform.Hit, err error) {
	switch {
	case err != nil:
		c.refused++
	case len(hits) == 0:
		c.nothing++
	case len(hits) == 1 && !hits[0].Variant:
		c.plain++
	default:
		c.other++
	}
}

func (c *tally) check(t *testing.T) {
	t.Helper()
	t.Logf("%+v", *c)
	if c.refused < 20 || c.nothing < 20 || c.plain < 20 || c.other < 20 {
		t.Errorf("too few cases of one kind: %+v", *c)
	}
}

// checkAgreed fails for a parser that has read next to nothing: it may have
// been asked in the wrong way.
func checkAgreed(t *testing.T, agreed map[string]int, parsers ...string) {
	t.Helper()
	t.Logf("%v", agreed)
	for _, p := range parsers {
		if agreed[p] < 20 {
			t.Errorf("%s read a field only %d times", p, agreed[p])
		}
	}
}

func TestDifferentialURLEncoded(t *testing.T) {
	parsers := startParsers(t)
	names := claimform.Compile(watched)
	var hits claimform.Hits
	var count tally
	agreed := make(map[string]int)
	for _, body := range formBodies() {
		errStrict := claimform.URLEncoded(body, names, true, &hits)
		count.add(hits.List, errStrict)
		strict := append([]claimform.Hit(nil), hits.List...)
		err := claimform.URLEncoded(body, names, false, &hits)
		if err != nil {
			if errStrict == nil {
				t.Errorf("%q: refused only when not strict: %v", body, err)
			}
			continue
		}
		if errStrict == nil && fmt.Sprint(strict) != fmt.Sprint(hits.List) {
			t.Errorf("%q: %v when strict, else %v", body, strict, hits.List)
		}
		compare(t, body, hits.List, parse(t, parsers, body, ""), agreed)
	}
	count.check(t)
	checkAgreed(t, agreed, "go form", "python parse_qs", "python parse_qs bytes", "node URLSearchParams",
		"node URLSearchParams of decoded text", "node querystring", "node formData", "ruby decode_www_form",
		"ruby CGI.parse", "php parse_str", "php $_POST")
}

func TestDifferentialMultipart(t *testing.T) {
	parsers := startParsers(t)
	names := claimform.Compile(watched)
	var hits claimform.Hits
	var count tally
	agreed := make(map[string]int)
	for _, c := range multipartBodies() {
		err := claimform.Multipart(c.body, c.boundary, names, &hits)
		count.add(hits.List, err)
		if err != nil {
			continue
		}
		compare(t, c.body, hits.List, parse(t, parsers, c.body, c.boundary), agreed)
	}
	count.check(t)
	checkAgreed(t, agreed, "go multipart", "python email", "python email HTTP", "node formData", "ruby CGI", "php $_POST")
}
