package claimjson_test

import (
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// show writes a value as its text, with * where Twice, ~ where Variant and \
// where Escaped.
func show(body string, v claimjson.Value) string {
	s := "-"
	if v.Kind != claimjson.None {
		s = body[v.Start:v.End]
	}
	if v.Duplicate {
		s += "*"
	}
	if v.Variant {
		s += "~"
	}
	if v.Escaped {
		s += `\`
	}
	return s
}

func TestScanValues(t *testing.T) {
	targets := keep("/user_id", "/meta", "/meta/email", "/meta/k/s", "/a~1b", "/им\u044f", "/user_id")
	const none = "- - - - - - -"
	p := compile(t, targets...)
	for _, tc := range []struct{ name, body, want string }{
		{"nothing", `{"x":{"user_id":1},"y":["user_id"]}`, none},
		{"array", `[1,"user_id",{"x":{"user_id":1}}]`, none},
		{"scalar", `"user_id"`, none},
		{"string", `{"user_id":"a"}`, `"a" - - - - - "a"`},
		{"escaped string", `{"user_id":"\u0061"}`, `"\u0061"\ - - - - - "\u0061"\`},
		{"number", `{"user_id": -12.5e3 }`, `-12.5e3 - - - - - -12.5e3`},
		{"true", `{"user_id":true}`, `true - - - - - true`},
		{"null", `{"user_id":null}`, `null - - - - - null`},
		{"array value", `{"user_id":["\n"]}`, `["\n"] - - - - - ["\n"]`},
		{"object value", `{"meta":{}}`, `- {} - - - - -`},
		{"prefix and below", `{"meta":{"email":"e"}}`, `- {"email":"e"} "e" - - - -`},
		{"array on the way", `{"meta":[{"email":"e"}]}`, `- [{"email":"e"}] -~ - - - -`},
		{"scalar on the way", `{"meta":"email"}`, `- "email" - - - - -`},
		{"three deep", `{"meta":{"k":{"s":0}}}`, `- {"k":{"s":0}} - 0 - - -`},
		{"pointer escape", `{"a/b":1}`, `- - - - 1 - -`},
		{"escaped slash", `{"a\/b":1}`, `- - - - 1 - -`},
		{"pointer taken literally", `{"a~1b":1}`, none},
		{"beyond ASCII", `{"имя":1}`, `- - - - - 1 -`},
		{"beyond ASCII escaped", `{"\u0438\u043c\u044F":1}`, `- - - - - 1 -`},
		{"escaped name", `{"\u0075ser\u005fid":1}`, `1 - - - - - 1`},
		{"longer", `{"user_idx":1,"user_i":2,"user__id":3,"":4,"user_id ":5}`, none},
		{"nul", `{"user_id\u0000":1}`, none},
		{"escaped prefix", `{"\u0075ser":1,"user\u005fid\u005f":2}`, none},

		{"twice", `{"user_id":1,"user_id":2}`, `1* - - - - - 1*`},
		{"twice the same", `{"user_id":1,"user_id":1}`, `1* - - - - - 1*`},
		{"twice, escaped", `{"user_id":1,"user\u005fid":2}`, `1* - - - - - 1*`},
		{"way twice", `{"meta":{"email":1},"meta":{}}`, `- {"email":1}* 1* -* - - -`},
		{"way twice, first empty", `{"meta":{},"meta":{"email":1}}`, `- {}* -* -* - - -`},
		{"way twice, scalar", `{"meta":1,"meta":{"email":1}}`, `- 1* -* -* - - -`},
		{"twice within", `{"meta":{"email":1,"email":2}}`, `- {"email":1,"email":2} 1* - - - -`},
		{"twice in an array's object", `{"x":[{"user_id":1,"user_id":2}]}`, none},
		{"other names twice", `{"x":1,"x":2,"user_id":1}`, `1 - - - - - 1`},

		{"variant only", `{"USER_ID":1}`, `-~ - - - - - -~`},
		{"variant first", `{"User_Id":1,"user_id":2}`, `2~ - - - - - 2~`},
		{"variant after", `{"user_id":2,"uSER_ID":1}`, `2~ - - - - - 2~`},
		{"two variants", `{"USER_ID":1,"User_id":2}`, `-*~ - - - - - -*~`},
		{"one variant twice", `{"USER_ID":1,"USER_ID":2}`, `-*~ - - - - - -*~`},
		{"long s", `{"uſer_id":1}`, `-~ - - - - - -~`},
		{"long s escaped", `{"u\u017fer_id":1}`, `-~ - - - - - -~`},
		{"escaped variant", `{"\u0055SER_id":1}`, `-~ - - - - - -~`},
		{"kelvin", "{\"meta\":{\"\u212a\":{\"s\":1}}}", "- {\"\u212a\":{\"s\":1}} - -~ - - -"},
		{"long s first", `{"meta":{"k":{"ſ":1}}}`, `- {"k":{"ſ":1}} - -~ - - -`},
		{"long s first, escaped", `{"meta":{"k":{"\u017F":1}}}`, `- {"k":{"\u017F":1}} - -~ - - -`},
		{"variant beyond ASCII", `{"ИМЯ":1}`, `- - - - - -~ -`},
		{"variant way", `{"Meta":{"email":1}}`, `- -~ -~ -~ - - -`},
		{"variant way, scalar", `{"META":1}`, `- -~ -~ -~ - - -`},
		{"variant beside its way", `{"META":{"email":1},"meta":{"email":2}}`, `- {"email":2}~ 2~ -~ - - -`},
		{"variant within", `{"meta":{"Email":1}}`, `- {"Email":1} -~ - - - -`},
		{"twice within a variant", `{"Meta":{"email":1,"email":2}}`, `- -~ -*~ -~ - - -`},
		{"half surrogates", `{"\udc00":2,"\ud800\ud800":1,"user\ud800":1,"user_i\ud800":1,"ud800user_id":1}`, none},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var found claimjson.Found
			if err := claimjson.Scan([]byte(tc.body), p, &found); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range found.Values {
				got = append(got, show(tc.body, v))
			}
			if g := strings.Join(got, " "); g != tc.want {
				t.Errorf("got  %s\nwant %s", g, tc.want)
			}
			if len(found.Cuts) != 0 {
				t.Errorf("cuts %v without any target to cut", found.Cuts)
			}
		})
	}
}

func TestScanOtherPointers(t *testing.T) {
	for _, tc := range []struct{ name, pointers, body, want string }{
		{"case differs, first", "/id /ID", `{"id":1}`, `1 -~`},
		{"case differs, both", "/id /ID", `{"id":1,"ID":2}`, `1~ 2~`},
		{"case differs, third", "/id /ID", `{"Id":1,"ID":2}`, `-*~ 2~`},
		{"case differs on the way", "/a/x /A/x /A/X", `{"a":{"x":1},"A":{"x":2}}`, `1~ 2~ -~`},
		{"replacement character", "/\ufffd", "{\"\ufffd\":1}", `1`},
		{"replacement character escaped", "/\ufffd", `{"\uFFFD":1}`, `1`},
		{"half surrogate for it", "/\ufffd", `{"\ud800":1}`, `-~`},
		{"two half surrogates for it", "/\ufffd\ufffd", `{"\ud800\ud800":1}`, `-~`},
		{"one of them dropped", "/\ufffd", `{"\ud800\ud800":1}`, `-`},
		{"half surrogate dropped at the end", "/id", `{"id\ud800":1}`, `-~`},
		{"half surrogate dropped at the start", "/id", `{"\udfffid":1}`, `-~`},
		{"half surrogates dropped", "/id", `{"\ud800\udbffi\ud800\u0044\ud800\ud800":1}`, `-~`},
		{"many half surrogates dropped", "/id", `{"` + strings.Repeat(`\udc00`, 1000) + `id":1}`, `-~`},
		{"half surrogate beside the name", "/id", `{"id":1,"id\ud800":2}`, `1~`},
		{"half surrogate dropped, another name", "/id", `{"\ud800ids":1,"i\ud800":2,"\ud800":3,"id\ud800s":4}`, `-`},
		{"surrogate pair", "/😀", `{"\ud83d\ude00":1}`, `1`},
		{"pair reversed", "/😀", `{"\ude00\ud83d":1}`, `-`},
		{"kelvin watched", "/\u212a", `{"k":1}`, `-~`},
		{"long", "/" + strings.Repeat("k", 100), `{"` + strings.Repeat("K", 99) + `k":1}`, `-~`},
		{"long escaped", "/" + strings.Repeat("k", 100), `{"` + strings.Repeat(`\u006b`, 100) + `":1}`, `1`},
		{"digit is no index", "/a/0", `{"a":[1]}`, `-`},
		{"digit is a name", "/a/0", `{"a":{"0":1}}`, `1`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var found claimjson.Found
			p := compile(t, keep(strings.Fields(tc.pointers)...)...)
			if err := claimjson.Scan([]byte(tc.body), p, &found); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range found.Values {
				got = append(got, show(tc.body, v))
			}
			if g := strings.Join(got, " "); g != tc.want {
				t.Errorf("got  %s\nwant %s", g, tc.want)
			}
		})
	}
}
