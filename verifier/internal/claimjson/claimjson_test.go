package claimjson_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

func compile(t testing.TB, targets ...claimjson.Target) *claimjson.Paths {
	t.Helper()
	p, err := claimjson.Compile(targets, stands)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stands is what tests say of texts: a watched name stands where its letters do.
func stands(inside []byte, begins bool) bool { return begins && bytes.Contains(inside, []byte("id")) }

func keep(pointers ...string) (targets []claimjson.Target) {
	for _, p := range pointers {
		targets = append(targets, claimjson.Target{Pointer: p})
	}
	return targets
}

func cut(pointers ...string) (targets []claimjson.Target) {
	for _, p := range pointers {
		targets = append(targets, claimjson.Target{Pointer: p, Cut: true})
	}
	return targets
}

func TestScanSyntax(t *testing.T) {
	p := compile(t, keep("/user_id", "/user_metadata/email")...)
	deep := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	for _, tc := range []struct {
		name, body string
		want       error
	}{
		{"empty object", `{}`, nil},
		{"blanks everywhere", " \t\r\n{ \"a\" : [ 1 , { } , [ ] ] , \"b\" : null } \n", nil},
		{"array", `[1,"a",{"user_id":1}]`, nil},
		{"string", `"a"`, nil},
		{"number", `0`, nil},
		{"true", `true`, nil},
		{"numbers", `[0,-0,10,1.5,-1.25e10,1E+2,1e-2,0.0,0e0]`, nil},
		{"escapes", `"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"`, nil},
		{"lone surrogates", `{"\ud800":"\udc00\ud800x","user_id":"\ud800\ud800"}`, nil},
		{"delete is no control", "\"\x7f\"", nil},
		{"nul escaped", `"\u0000"`, nil},
		{"empty name", `{"":1}`, nil},
		{"1000 arrays", deep(1000, "[", "", "]"), nil},
		{"1000 objects", deep(1000, `{"a":`, "1", "}"), nil},
		{"999 arrays in an object", `{"a":` + deep(999, "[", "0", "]") + `}`, nil},
		{"999 arrays in a watched name", `{"user_id":` + deep(999, "[", "0", "]") + `}`, nil},
		{"998 arrays in a watched object", `{"user_metadata":{"email":` + deep(998, "[", "0", "]") + `}}`, nil},
		{"many beside each other", `[` + strings.Repeat("[],{},", 2000) + `[]]`, nil},

		{"1001 arrays", deep(1001, "[", "", "]"), claimjson.ErrDepth},
		{"an object in 1000 arrays", deep(1000, "[", "{}", "]"), claimjson.ErrDepth},
		{"1001 objects", deep(1001, `{"a":`, "1", "}"), claimjson.ErrDepth},
		{"1000 arrays in an object", `{"a":` + deep(1000, "[", "", "]") + `}`, claimjson.ErrDepth},
		{"999 arrays in a watched object", `{"user_metadata":{"email":` + deep(999, "[", "0", "]") + `}}`, claimjson.ErrDepth},
		{"eight million brackets", strings.Repeat("[", 8<<20), claimjson.ErrDepth},

		{"empty", "", claimjson.ErrSyntax},
		{"blanks only", " \n\t\r", claimjson.ErrSyntax},
		{"byte-order mark", "\ufeff{}", claimjson.ErrSyntax},
		{"form feed is no blank", "\f{}", claimjson.ErrSyntax},
		{"vertical tab is no blank", "{}\v", claimjson.ErrSyntax},
		{"no-break space is no blank", "{\u00a0}", claimjson.ErrSyntax},
		{"nul", "{}\x00", claimjson.ErrSyntax},
		{"second value", `{}{}`, claimjson.ErrSyntax},
		{"trailing comma", `{"a":1,}`, claimjson.ErrSyntax},
		{"trailing comma in an array", `[1,]`, claimjson.ErrSyntax},
		{"comma first", `{,"a":1}`, claimjson.ErrSyntax},
		{"comma only", `[,]`, claimjson.ErrSyntax},
		{"comma only within", `{"a":{,}}`, claimjson.ErrSyntax},
		{"no comma", `{"a":1 "b":2}`, claimjson.ErrSyntax},
		{"no colon", `{"a" 1}`, claimjson.ErrSyntax},
		{"no colon within", `[{"a" 1}]`, claimjson.ErrSyntax},
		{"two colons", `{"a"::1}`, claimjson.ErrSyntax},
		{"no value", `{"a":}`, claimjson.ErrSyntax},
		{"name without quotes", `{a:1}`, claimjson.ErrSyntax},
		{"name not a string", `{1:1}`, claimjson.ErrSyntax},
		{"single quotes", `{'a':1}`, claimjson.ErrSyntax},
		{"comment", `{"a":1/**/}`, claimjson.ErrSyntax},
		{"line comment", "//\n{}", claimjson.ErrSyntax},
		{"wrong bracket", `[1}`, claimjson.ErrSyntax},
		{"wrong brace", `{"a":1]`, claimjson.ErrSyntax},
		{"wrong bracket within", `{"a":[1}]`, claimjson.ErrSyntax},
		{"empty array closed wrong", `[}`, claimjson.ErrSyntax},
		{"open object", `{`, claimjson.ErrSyntax},
		{"open name", `{"user_id`, claimjson.ErrSyntax},
		{"open after name", `{"user_id"`, claimjson.ErrSyntax},
		{"open after colon", `{"user_id":`, claimjson.ErrSyntax},
		{"open after value", `{"user_id":"a"`, claimjson.ErrSyntax},
		{"open after comma", `{"user_id":"a",`, claimjson.ErrSyntax},
		{"open string", `"a`, claimjson.ErrSyntax},
		{"open array", `[1`, claimjson.ErrSyntax},
		{"open array within", `{"a":[1`, claimjson.ErrSyntax},
		{"open array with a comma", `[1,`, claimjson.ErrSyntax},
		{"text open on the way", `{"user_metadata":"{`, claimjson.ErrSyntax},
		{"bad escape on the way", `{"user_metadata":["{\x"]}`, claimjson.ErrSyntax},
		{"open escape", `"\`, claimjson.ErrSyntax},
		{"bad escape", `"\x"`, claimjson.ErrSyntax},
		{"upper-case escape", `"\N"`, claimjson.ErrSyntax},
		{"short \\u", `"\u12"`, claimjson.ErrSyntax},
		{"cut \\u", `"\u12`, claimjson.ErrSyntax},
		{"\\u not hex", `"\u12g4"`, claimjson.ErrSyntax},
		{"bad escape in an unwatched name", `{"a\q":1}`, claimjson.ErrSyntax},
		{"newline in a string", "\"a\nb\"", claimjson.ErrSyntax},
		{"control in a string", "\"a\x1fb\"", claimjson.ErrSyntax},
		{"nul in a long string", `"` + strings.Repeat("a", 50) + "\x00\"", claimjson.ErrSyntax},
		{"leading zero", `01`, claimjson.ErrSyntax},
		{"leading zeros", `{"a":-00}`, claimjson.ErrSyntax},
		{"plus", `+1`, claimjson.ErrSyntax},
		{"minus only", `-`, claimjson.ErrSyntax},
		{"minus only within", `[-]`, claimjson.ErrSyntax},
		{"point last", `[1.]`, claimjson.ErrSyntax},
		{"point first", `.5`, claimjson.ErrSyntax},
		{"no exponent", `[1e]`, claimjson.ErrSyntax},
		{"no exponent after sign", `[1e+]`, claimjson.ErrSyntax},
		{"hex number", `0x10`, claimjson.ErrSyntax},
		{"NaN", `NaN`, claimjson.ErrSyntax},
		{"Infinity", `-Infinity`, claimjson.ErrSyntax},
		{"upper-case literal", `True`, claimjson.ErrSyntax},
		{"cut literal", `tru`, claimjson.ErrSyntax},
		{"long literal", `nulll`, claimjson.ErrSyntax},
		{"syntax after the fields", `{"user_id":"a","x":[1,}`, claimjson.ErrSyntax},

		{"not UTF-8", "{\"a\":\"\xff\"}", claimjson.ErrUTF8},
		{"overlong", "{\"a\":\"\xc0\xaf\"}", claimjson.ErrUTF8},
		{"surrogate in UTF-8", "{\"\xed\xa0\x80\":1}", claimjson.ErrUTF8},
		{"cut UTF-8", "\"\xc3\"", claimjson.ErrUTF8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var found claimjson.Found
			err := claimjson.Scan([]byte(tc.body), p, &found)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil && (len(found.Cuts) != 0 || slices.ContainsFunc(found.Values, func(v claimjson.Value) bool { return v != claimjson.Value{} })) {
				t.Errorf("something is found in spite of the error: %+v", found)
			}
		})
	}
}
