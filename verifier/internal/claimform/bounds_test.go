package claimform_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// TestMore: of however many hits a bounded number is kept, and the rest of the
// body is still read for what makes it no form.
func TestMore(t *testing.T) {
	names := claimform.Compile([]string{"user_id", "sig"})
	const many = 100_000
	parts := func(n int, tail string) string {
		return strings.Repeat("--b\r\n"+userPart+"\r\n", n) + tail
	}
	for _, tc := range []struct {
		name, body string
		multipart  bool
		more       bool
		want       error // of a form
		lenient    error // of a query
	}{
		{name: "as many as there is room for", body: strings.Repeat("user_id&", 256)},
		{name: "one more", body: strings.Repeat("user_id&", 257), more: true},
		{name: "many", body: strings.Repeat("user_id&", many), more: true},
		{name: "many variants", body: strings.Repeat("User.Id;", many), more: true},
		{name: "many names", body: strings.Repeat("user_id&sig=1;user%5fid[]&", many), more: true},
		{name: "bad escape behind", body: strings.Repeat("user_id&", many) + "a=%", more: true, want: claimform.ErrEscape},
		{name: "bad escape before", body: "user_id=%&" + strings.Repeat("user_id&", many), want: claimform.ErrEscape, lenient: claimform.ErrEscape},
		{name: "name not UTF-8 behind", body: strings.Repeat("user_id&", many) + "%ff", more: true, want: claimform.ErrUTF8},
		{name: "NUL behind", body: strings.Repeat("user_id&", many) + "\x00", want: claimform.ErrEscape, lenient: claimform.ErrEscape},
		{name: "parts", body: parts(256, "--b--"), multipart: true},
		{name: "one more part", body: parts(257, "--b--"), multipart: true, more: true},
		{name: "many parts", body: parts(many, "--b--"), multipart: true, more: true},
		{name: "many parts, not closed", body: parts(many, ""), multipart: true, want: claimform.ErrMultipart},
		{name: "many parts, then no part", body: parts(many, "--b\r\nX\r\n\r\n\r\n--b--"), multipart: true, want: claimform.ErrMultipart},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var hits claimform.Hits
			check := func(err, want error) {
				t.Helper()
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("got %v, want %v", err, want)
				}
				if err == nil && (hits.More != tc.more || len(hits.List) != 256) || err != nil && (hits.More || len(hits.List) > 0) {
					t.Errorf("%d hits, more %v", len(hits.List), hits.More)
				}
				if hits.Memory() > 32<<10 {
					t.Errorf("%d bytes are kept", hits.Memory())
				}
			}
			if tc.multipart {
				check(claimform.Multipart([]byte(tc.body), "b", names, &hits), tc.want)
				return
			}
			check(claimform.URLEncoded([]byte(tc.body), names, true, &hits), tc.want)
			check(claimform.URLEncoded([]byte(tc.body), names, false, &hits), tc.lenient)
			if err := claimform.URLEncoded([]byte("user_id=1"), names, true, &hits); err != nil || hits.More || len(hits.List) != 1 {
				t.Errorf("the next reads %v, %+v", err, hits)
			}
		})
	}
}

// TestLong: values that have to be decoded are bounded, too, all together.
func TestLong(t *testing.T) {
	names := claimform.Compile([]string{"user_id", "sig"})
	for _, tc := range []struct {
		name, raw string
		want      error
	}{
		{"as long as may be", "user_id=%41" + strings.Repeat("a", 64<<10-3), nil},
		{"longer", "user_id=%41" + strings.Repeat("a", 64<<10), claimform.ErrLong},
		{"escapes", "user_id=" + strings.Repeat("%41", 300_000), claimform.ErrLong},
		{"two that are too long together", "user_id=" + strings.Repeat("+", 40<<10) + "&sig=" + strings.Repeat("+", 40<<10), claimform.ErrLong},
		{"nothing to decode", "user_id=" + strings.Repeat("a", 1<<20), nil},
		{"another's", "a=" + strings.Repeat("%41", 300_000), nil},
	} {
		var hits claimform.Hits
		if err := claimform.URLEncoded([]byte(tc.raw), names, true, &hits); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if hits.Memory() > 128<<10 {
			t.Errorf("%s: %d bytes are kept", tc.name, hits.Memory())
		}
	}
}
