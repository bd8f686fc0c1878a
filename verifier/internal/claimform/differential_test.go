package claimform_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// watched are the names that the differential tests and fuzzers look for.
var watched = []string{"user_id", "user_hash"}

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

// compare holds the parsers' readings against matches, and counts for each parser
// how often it read the same value. Where some may be lost, a parser may have
// given up.
func compare(t *testing.T, body []byte, matches []claimform.Match, lost bool, all readings, agreed map[string]int) {
	t.Helper()
	for i, name := range watched {
		var own []claimform.Match
		for _, match := range matches {
			if match.Name == i {
				own = append(own, match)
			}
		}
		for parser, fields := range all {
			values := under(fields, name)
			switch {
			case len(own) == 0:
				if len(values) > 0 {
					t.Errorf("%s reads %s in %q, where nothing was found", parser, describe(values), body)
				}
			case len(own) == 1 && !own[0].Variant && own[0].Err == nil:
				if (len(own[0].Value) == 0 || lost) && len(values) == 0 {
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

func (c *tally) add(matches []claimform.Match, err error) {
	switch {
	case err != nil || slices.ContainsFunc(matches, func(match claimform.Match) bool { return match.Err != nil }):
		c.refused++
	case len(matches) == 0:
		c.nothing++
	case len(matches) == 1 && !matches[0].Variant:
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
	names := compile(watched...)
	var count tally
	var bodies []multipartBody
	var found [][]claimform.Match
	for _, body := range formBodies() {
		var strict, matches claimform.Matches
		errStrict := claimform.URLEncoded(body, names, true, &strict)
		count.add(strict.List, errStrict)
		err := claimform.URLEncoded(body, names, false, &matches)
		if err != nil {
			if errStrict == nil {
				t.Errorf("%q: refused only when not strict: %v", body, err)
			}
			continue
		}
		if errStrict == nil && !reflect.DeepEqual(strict.List, matches.List) {
			t.Errorf("%q: %v when strict, else %v", body, strict.List, matches.List)
		}
		bodies, found = append(bodies, multipartBody{body: body}), append(found, matches.List)
	}
	agreed := make(map[string]int)
	for i, all := range parseAll(t, bodies) {
		compare(t, bodies[i].body, found[i], false, all, agreed)
	}
	count.check(t)
	checkAgreed(t, agreed, "go url", "python parse_qs", "python parse_qs bytes", "node URLSearchParams",
		"node URLSearchParams of decoded text", "node querystring", "node formData", "ruby decode_www_form",
		"ruby CGI.parse", "php parse_str", "php $_POST")
}

// TestDifferentialNested: wherever PHP puts a nested field, it is found.
func TestDifferentialNested(t *testing.T) {
	php := startPHP(t)
	names := nested("user/id")
	pieces := []string{"user", "user", "user", "id", "id", "[", "]", "[", "]", "[]", "[0]", "[id]", "[id]", "[id]", ".", "0", " ", "_", "!", "'", "\x00", "x"}
	random := rand.New(rand.NewPCG(7, 8))
	found := 0
	for range 3000 {
		var name strings.Builder
		for range 2 + random.IntN(5) {
			name.WriteString(pieces[random.IntN(len(pieces))])
		}
		body := []byte(url.QueryEscape(name.String()) + "=1")
		var matches claimform.Matches
		if err := claimform.URLEncoded(body, names, false, &matches); err != nil {
			t.Fatal(err)
		}
		all, err := php.post("/?nested", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all["php nested"] {
			if f.name == "/user/id" || strings.HasPrefix(f.name, "/user/id/") {
				found++
				if len(matches.List) != 1 || !matches.List[0].Variant {
					t.Errorf("PHP reads %s in %q, where %v was found", f.name, name.String(), matches.List)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("PHP read it only %d times", found)
	}
}

func TestDifferentialMultipart(t *testing.T) {
	names := compile(watched...)
	var count tally
	var bodies []multipartBody
	var found [][]claimform.Match
	var odd []bool // by body, a header does not read in one way
	for _, c := range multipartBodies() {
		var matches claimform.Matches
		isOdd := false
		m := claimform.NewMultipart(c.boundary, names, func(header []byte) (string, bool) {
			isOdd = true
			return nameStands(header)
		}, math.MaxInt64, &matches)
		m.Write(c.body)
		err := m.Close()
		count.add(matches.List, err)
		if err == nil {
			bodies, found, odd = append(bodies, c), append(found, matches.List), append(odd, isOdd)
		}
	}
	agreed := make(map[string]int)
	for i, all := range parseAll(t, bodies) {
		compare(t, bodies[i].body, found[i], odd[i], all, agreed)
	}
	count.check(t)
	checkAgreed(t, agreed, "go multipart", "python email", "python email HTTP", "node formData", "ruby CGI", "php $_POST")
}
