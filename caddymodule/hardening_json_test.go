package caddymodule

import (
	"strings"
	"testing"
)

// jsonAttacks are on the reading of JSON.
func jsonAttacks() []attack {
	mallory, hash := `"user_id":"mallory"`, `"user_hash":"`+sign("mallory")+`"`
	victim := `"user_id":"victim"`
	deep := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
	const js = "application/json"
	return []attack{
		// HAProxy takes the first, njs, node and Go the last.
		{"second id after the signed one", "/chat", js, `{` + mallory + `,` + hash + `,` + victim + `}`, nil},
		{"id before the signed one", "/chat", js, `{` + victim + `,` + mallory + `,` + hash + `}`, nil},
		{"second signature", "/chat", js, `{` + victim + `,` + hash + `,"user_hash":"` + sign("victimx") + `"}`, nil},
		{"upper-case name", "/chat", js, `{` + mallory + `,` + hash + `,"USER_ID":"victim"}`, nil},
		{"long s in the name", "/chat", js, `{` + mallory + `,` + hash + `,"uſer_id":"victim"}`, nil},
		{"escaped name", "/chat", js, `{` + mallory + `,` + hash + `,"user\u005fid":"victim"}`, nil},
		{"variants alone", "/chat", js, `{"User_Id":"victim","User_Hash":"` + sign("mallory") + `"}`, nil},
		{"another's signature", "/chat", js, `{` + victim + `,` + hash + `}`, nil},
		{"empty id with its right signature", "/chat", js, `{"user_id":"","user_hash":"` + sign("") + `"}`, nil},
		{"null id with the empty one's signature", "/chat", js, `{"user_id":null,"user_hash":"` + sign("") + `"}`, nil},
		{"array of ids", "/chat", js, `{"user_id":["mallory","victim"],` + hash + `}`, nil},
		{"object as id", "/chat", js, `{"user_id":{"$ne":"victim"},` + hash + `}`, nil},
		{"no signature", "/chat", js, `{` + victim + `}`, nil},
		{"signature null", "/chat", js, `{` + victim + `,"user_hash":null}`, nil},
		{"signature true", "/chat", js, `{` + victim + `,"user_hash":true}`, nil},
		{"signature of the empty key", "/chat", js, `{` + victim + `,"user_hash":"` + signWith("", "victim") + `"}`, nil},
		{"signature of the id as the key", "/chat", js, `{` + victim + `,"user_hash":"` + signWith("victim", testSecret) + `"}`, nil},
		{"truncated signature", "/chat", js, `{` + victim + `,"user_hash":"` + sign("victim")[:62] + `"}`, nil},
		{"64 characters beyond ASCII as signature", "/chat", js, `{` + victim + `,"user_hash":"` + strings.Repeat("é", 64) + `"}`, nil},
		{"long s in the signature", "/chat", js, `{` + victim + `,"user_hash":"` + strings.Repeat("ſ", 32) + `"}`, nil},
		{"signature with dashes", "/chat", js, `{` + victim + `,"user_hash":"` + sign("victim")[:32] + "-" + sign("victim")[32:] + `"}`, nil},
		{"signature with a newline", "/chat", js, `{` + victim + `,"user_hash":"` + sign("victim") + `\n"}`, nil},
		{"newline in the id", "/chat", js, `{"user_id":"mallory\r\nX-Verified-User: victim","user_hash":"` + sign("mallory\r\nX-Verified-User: victim") + `"}`, nil},
		{"NUL in the id", "/chat", js, `{"user_id":"victim\u0000","user_hash":"` + sign("victim\x00") + `"}`, nil},
		{"second document", "/chat", js, `{` + mallory + `,` + hash + `}{` + victim + `}`, nil},
		{"garbage after the fields", "/chat", js, `{` + mallory + `,` + hash + `,victim}`, nil},
		{"comment", "/chat", js, `{` + mallory + `,` + hash + `/*` + victim + `*/}`, nil},
		{"trailing comma", "/chat", js, `{` + mallory + `,` + hash + `,}`, nil},
		{"byte-order mark", "/chat", js, "\xef\xbb\xbf{" + victim + `}`, nil},
		{"UTF-16", "/chat", js, "\xff\xfe{\x00}\x00", nil},
		{"UTF-7", "/chat", "application/json; charset=utf-7", `{` + victim + `}`, nil},
		{"not UTF-8", "/chat", js, "{\"user_id\":\"victim\xff\",\"user_hash\":\"" + sign("victim\xff") + `"}`, nil},
		{"half a surrogate pair", "/chat", js, `{"user_id":"victim\ud800","user_hash":"` + sign("victim\ufffd") + `"}`, nil},
		{"half a surrogate pair behind the name", "/chat", js, `{` + mallory + `,` + hash + `,"user_id\ud800":"victim"}`, nil},
		{"half a surrogate pair in the name", "/chat", js, `{"us\udfffer_id":"victim",` + hash + `}`, nil},
		// Some backends bind an array's only or first element, and some decode a text once more.
		{"array of a claim", "/chat", js, `[{` + victim + `,` + hash + `}]`, nil},
		{"array of arrays of a claim", "/chat", js, `[0,[[{` + victim + `,` + hash + `}]]]`, nil},
		{"text of a claim", "/chat", js, ` "{\"user_id\":\"victim\"}"`, nil},
		{"text of an array of a claim, escaped", "/chat", js, `["\ufeff\u005b{\"user\u005fid\":\"victim\"}]"]`, nil},
		{"deep", "/chat", js, deep, nil},
		{"a megabyte of brackets", "/chat", js, strings.Repeat("[", 1<<20-1), nil},
		{"a megabyte of braces", "/chat", "text/plain", strings.Repeat(`{"":`, 1<<18-1), nil},
		{"claim in the text", "/chat", "text/plain", `{` + victim + `,` + hash + `}`, nil},
		{"claim without a type", "/chat", "", `{` + victim + `,` + hash + `}`, nil},
		{"claim as image", "/chat", "image/png", " \r\n{ " + victim + `,` + hash + `}`, nil},
	}
}

// TestGoodClaims: what looks odd but is right must get through, or operators
// will turn the gateway off.
func TestGoodClaims(t *testing.T) {
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\n}")
	far := `{"text":"` + strings.Repeat("x", 100<<10) + `",`
	for name, c := range map[string]struct{ body, want string }{
		"escapes":                {`{"user_id":"z\u006fe","user_hash":"` + sign("zoe") + `"}`, "zoe"},
		"surrogate pair":         {`{"user_id":"\ud83d\ude00","user_hash":"` + sign("😀") + `"}`, "%F0%9F%98%80"},
		"integer":                {`{"user_id":42,"user_hash":"` + sign("42") + `"}`, "42"},
		"upper-case digest":      {`{"user_id":"zoe","user_hash":"` + strings.ToUpper(sign("zoe")) + `"}`, "zoe"},
		"fields beyond 16 KiB":   {far + claim("zoe")[1:], "zoe"},
		"spaces":                 {" \r\n\t{ \"user_id\" : \"zoe\" , \"user_hash\" : \"" + sign("zoe") + "\" } \n", "zoe"},
		"ids within other names": {`{"user":{"user_id":"other"},"user_id":"zoe","user_hash":"` + sign("zoe") + `","x":[{"user_id":"another"}]}`, "zoe"},
	} {
		if a := g.post(t, c.body); a.seen == nil || a.seen.user() != c.want || a.seen.Body != c.body {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	for _, number := range []string{"42.0", "4.2e1", "42e0", "-0", "042", "+42", "9007199254740993", "1e400", "NaN", "0x2a"} {
		if a := g.post(t, `{"user_id":`+number+`,"user_hash":"`+sign(number)+`"}`); a.StatusCode != 400 || a.seen != nil {
			t.Errorf("%s: %d %+v", number, a.StatusCode, a.seen)
		}
	}
}
