package claimjson_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// Of objects that are alike, the second is read in another way than the first:
// by what stood there before. TestAlike changes every byte of arrays of them to
// every byte that means something, and some that do not.
func TestAlike(t *testing.T) {
	p := compile(t, keep("/user_id")...)
	for _, object := range []string{
		`{"a":1,"id":"x","name":"item","ok":true}`,
		`{"exactly_":"12345678","nine_bytes":"123456789","a_name_of_sixteen":[{"id":"1"},{"id":"2"}],"":""}`,
		"{ \"id\" : 12 ,\n\t\t\"kind\": \"a text that is longer than four words\",\n\t\t\"at\" :\"2026-01-02T03:04:05Z\" }",
		`{"a name that is longer than what is kept of one":null,"é":"ü","\u0041\n":"\\\"","n":{"n":{"n":-0.5e3}}}`,
	} {
		for _, between := range []string{",", " , "} {
			body := []byte(`[` + strings.Repeat(object+between, 3) + object + `,"so that there are 32 bytes more"]`)
			scanAsReference(t, p, body)
			for i, was := range body {
				for _, c := range []byte("\"\\:,{}[] \tabu09-.etrf\x00\x1f\x7f\x80\xc3\xbc\xff") {
					body[i] = c
					scanAsReference(t, p, body)
				}
				body[i] = was
			}
			for i := range body {
				scanAsReference(t, p, append(body[:i:i], body[i+1:]...))
				scanAsReference(t, p, append(append(body[:i:i], ' '), body[i:]...))
				scanAsReference(t, p, append(append(body[:i:i], '"'), body[i:]...))
			}
		}
	}
}

// scanAsReference expects a body to be read if encoding/json takes it for valid.
func scanAsReference(t *testing.T, p *claimjson.Paths, body []byte) {
	t.Helper()
	var found claimjson.Found
	err := claimjson.Scan(body, p, &found)
	if valid := utf8.Valid(body) && json.Valid(body); valid != (err == nil) {
		t.Errorf("valid is %t, but Scan says %v: %q", valid, err, body)
	}
}
