package intake

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestAuthorization is which credentials are a token.
func TestAuthorization(t *testing.T) {
	for _, test := range []struct {
		scheme string
		values []string
		token  string
		plain  bool // in one way only
	}{
		{"Bearer", []string{"Bearer a.b.c"}, "a.b.c", true},
		{"Bearer", []string{"bEARER a.b.c"}, "a.b.c", true},
		{"Bearer", []string{"Bearer  a.b.c"}, " a.b.c", true},
		{"Bearer", []string{"Bearer a.b.c, Bearer d.e.f"}, "a.b.c, Bearer d.e.f", true},
		{"Bearer", []string{"Bearer a.b.c.d.e"}, "a.b.c.d.e", true},
		{"Bearer", []string{"Bearer opaque"}, "", true},
		{"Bearer", []string{"Bearer a.b"}, "", true},
		{"Bearer", []string{"Bearer"}, "", true},
		{"Bearer", []string{"Bearer\ta.b.c"}, "\ta.b.c", true},
		{"Bearer", []string{" Bearer a.b.c"}, "a.b.c", true},
		{"Bearer", []string{"\tBearer a.b.c \t"}, "a.b.c", true},
		{"Bearer", []string{"Basic a.b.c"}, "", true},
		{"Bearer", []string{"a.b.c"}, "", true},
		{"Bearer", []string{"Basic QQ==", "Bearer a.b.c"}, "a.b.c", false},
		{"Bearer", []string{"Bearer a.b.c", "Bearer a.b.c"}, "a.b.c", false},
		{"JWT", []string{"JWT a.b.c"}, "a.b.c", true},
		{"JWT", []string{"Bearer a.b.c"}, "", true},
		{"", []string{"a.b.c"}, "a.b.c", true},
		{"", []string{"Bearer a.b.c"}, "", true},
		{"", []string{" a.b.c"}, "a.b.c", true},
		{"", []string{"a.b.c\t"}, "a.b.c", true},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Authorization"] = test.values
		h := NewHeader(verifier.Place{Field: verifier.TokenField, Location: AtHeader, Name: "authorization", Scheme: test.scheme})
		var reading verifier.Reading
		h.Read(r.Header, &reading)
		if got := string(reading.Single(verifier.TokenField)); test.plain && got != test.token || reading.Plain() != test.plain {
			t.Errorf("%q %q: %q, plain %v", test.scheme, test.values, got, reading.Plain())
		}
		h.Cut(r.Header)
		if _, left := r.Header["Authorization"]; left != (test.token == "") {
			t.Errorf("%q %q: left %v", test.scheme, test.values, left)
		}
	}
}
