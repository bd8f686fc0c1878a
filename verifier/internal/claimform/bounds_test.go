package claimform_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// TestMore: of however many matches a bounded number is kept, and the rest of the
// body is still read for what makes it no form.
func TestMore(t *testing.T) {
	names := compile("user_id", "sig")
	const many = 100_000
	parts := func(n int, tail string) string {
		return strings.Repeat("--b\r\n"+userPart+"\r\n", n) + tail
	}
	for _, tc := range []struct {
		name, body string
		multipart  bool
		matches    int
		more       bool  // of user_id
		want       error // of a form
		lenient    error // of a query
	}{
		{name: "as many as there is room for", body: strings.Repeat("user_id&", 16), matches: 16},
		{name: "one more", body: strings.Repeat("user_id&", 17), matches: 16, more: true},
		{name: "many", body: strings.Repeat("user_id&", many), matches: 16, more: true},
		{name: "many variants", body: strings.Repeat("User.Id;", many), matches: 16, more: true},
		{name: "many names", body: strings.Repeat("user_id&sig=1;user%5fid[]&", many), matches: 32, more: true},
		{name: "another behind many", body: strings.Repeat("user_id&", many) + "sig=1", matches: 17, more: true},
		{name: "bad escape behind", body: strings.Repeat("user_id&", many) + "a=%", matches: 16, more: true, want: claimform.ErrEscape},
		{name: "bad escape before", body: "user_id=%&" + strings.Repeat("user_id&", many), matches: 16, more: true},
		{name: "name not UTF-8 behind", body: strings.Repeat("user_id&", many) + "%ff", matches: 16, more: true, want: claimform.ErrUTF8},
		{name: "NUL behind", body: strings.Repeat("user_id&", many) + "\x00", want: claimform.ErrEscape, lenient: claimform.ErrEscape},
		{name: "parts", body: parts(16, "--b--"), multipart: true, matches: 16},
		{name: "one more part", body: parts(17, "--b--"), multipart: true, matches: 16, more: true},
		{name: "many parts", body: parts(many, "--b--"), multipart: true, matches: 16, more: true},
		{name: "another behind many parts", body: parts(many, "--b\r\n"+sigPart+"\r\n--b--"), multipart: true, matches: 17, more: true},
		{name: "many parts, not closed", body: parts(many, ""), multipart: true, want: claimform.ErrMultipart},
		{name: "many parts, then no header", body: parts(many, "--b\r\nX--b--"), multipart: true, want: claimform.ErrMultipart},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var matches claimform.Matches
			check := func(err, want error) {
				t.Helper()
				if !errors.Is(err, want) || (err == nil) != (want == nil) {
					t.Errorf("got %v, want %v", err, want)
				}
				if err == nil && (matches.More(0) != tc.more || len(matches.List) != tc.matches) || err != nil && (matches.More(0) || len(matches.List) > 0) {
					t.Errorf("%d matches, more %v", len(matches.List), matches.More(0))
				}
				if matches.Memory() > 32<<10 {
					t.Errorf("%d bytes are kept", matches.Memory())
				}
			}
			if tc.multipart {
				check(readMultipart([]byte(tc.body), "b", names, &matches), tc.want)
				return
			}
			check(claimform.URLEncoded([]byte(tc.body), names, true, &matches), tc.want)
			check(claimform.URLEncoded([]byte(tc.body), names, false, &matches), tc.lenient)
			if err := claimform.URLEncoded([]byte("user_id=1"), names, true, &matches); err != nil || matches.More(0) || len(matches.List) != 1 {
				t.Errorf("the next reads %v, %+v", err, matches)
			}
		})
	}
}

// TestLong: values that have to be kept are bounded, too, all together, but for
// those of texts on the way, which are no longer than the body.
func TestLong(t *testing.T) {
	names := claimform.Compile([]claimform.Name{{Path: []string{"user_id"}}, {Path: []string{"sig"}}, {Path: []string{"variables"}, Way: true}})
	const mib = 1 << 20
	for _, tc := range []struct {
		name, raw string
		multipart bool
		want      error
		field     int
		kept      int
	}{
		{name: "as long as may be", raw: "user_id=%41" + strings.Repeat("a", 64<<10-3), kept: 128 << 10},
		{name: "longer", raw: "user_id=%41" + strings.Repeat("a", 64<<10), want: claimform.ErrLong},
		{name: "escapes", raw: "user_id=" + strings.Repeat("%41", 300_000), want: claimform.ErrLong},
		{name: "two that are too long together", raw: "user_id=" + strings.Repeat("+", 40<<10) + "&sig=" + strings.Repeat("+", 40<<10), want: claimform.ErrLong, field: 1, kept: 128 << 10},
		{name: "nothing to decode", raw: "user_id=" + strings.Repeat("a", mib)},
		{name: "another's", raw: "a=" + strings.Repeat("%41", 300_000)},
		{name: "on the way", raw: "variables=" + strings.Repeat("%41", 300_000) + "&user_id=%41", kept: mib},
		{name: "part, as long as may be", multipart: true, raw: sized("user_id", 64<<10), kept: 128 << 10},
		{name: "part, longer", multipart: true, raw: sized("user_id", 64<<10+1), want: claimform.ErrLong, kept: 128 << 10},
		{name: "part, much longer", multipart: true, raw: sized("user_id", mib), want: claimform.ErrLong},
		{name: "parts that are too long together", multipart: true, raw: sized("user_id", 40<<10) + sized("sig", 40<<10), want: claimform.ErrLong, field: 1, kept: 128 << 10},
		{name: "another's part", multipart: true, raw: sized("a", mib)},
		{name: "part on the way", multipart: true, raw: sized("variables", mib) + sized("user_id", 60<<10), kept: 3 * mib},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var matches claimform.Matches
			var err error
			if tc.multipart {
				err = readMultipart([]byte(tc.raw+"--b--"), "b", names, &matches)
			} else {
				err = claimform.URLEncoded([]byte(tc.raw), names, true, &matches)
			}
			if tc.want == nil {
				tc.field = -1
			}
			checkFault(t, err, &matches, tc.want, tc.field)
			if most := tc.kept + 8<<10; matches.Memory() > most {
				t.Errorf("%d bytes are kept, want at most %d", matches.Memory(), most)
			}
		})
	}
}

// sized returns a part with a value of that size.
func sized(name string, size int) string {
	return "--b\r\n" + part("", `form-data; name="`+name+`"`, "", strings.Repeat("a", size)) + "\r\n"
}
