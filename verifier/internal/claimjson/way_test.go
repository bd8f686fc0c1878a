package claimjson_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// TestScanWay: what stands on the way to a field, other than an object.
func TestScanWay(t *testing.T) {
	p := compile(t, keep("/at/user/id", "/id", "/at")...)
	const none = "- - -"
	for _, tc := range []struct{ name, body, want string }{
		{"way absent", `{"text":"id"}`, none},
		{"null", `{"at":null}`, `- - null`},
		{"number", `{"at":1}`, `- - 1`},
		{"bool", `{"at":true}`, `- - true`},
		{"text", `{"at":"id"}`, `- - "id"`},
		{"empty text", `{"at":""}`, `- - ""`},
		{"empty array", `{"at":[]}`, `- - []`},
		{"empty object", `{"at":{}}`, `- - {}`},
		{"null further on", `{"at":{"user":null}}`, `- - {"user":null}`},
		{"array without it", `{"at":[1,null,"id",{"id":1},{"users":{"id":1}},[],[[{}]]]}`, `- - [1,null,"id",{"id":1},{"users":{"id":1}},[],[[{}]]]`},
		{"array on half the way", `{"at":[{"user":{}}]}`, `- - [{"user":{}}]`},
		{"top-level null", `null`, none},
		{"top-level number", `1`, none},
		{"top-level text", `"id"`, none},
		{"top-level array without it", `[1,[],{"user":{"id":1}},{"x":[{"id":1}]},[["id"]]]`, none},

		{"array", `{"at":[{"user":{"id":1}}]}`, `-~ - [{"user":{"id":1}}]`},
		{"second element", `{"at":[0,{"user":{"id":1}}]}`, `-~ - [0,{"user":{"id":1}}]`},
		{"array of arrays", `{"at":[[[]],[[{"user":{"id":1}}]]]}`, `-~ - [[[]],[[{"user":{"id":1}}]]]`},
		{"array further on", `{"at":{"user":[{"id":1}]}}`, `-~ - {"user":[{"id":1}]}`},
		{"arrays all the way", `[[{"at":[{"user":[[{"id":1}]]}]}]]`, `-~ - -~`},
		{"array in another letter case", `{"AT":[{"user":{"id":1}}]}`, `-~ - -~`},
		{"another letter case in an array", `{"at":[{"user":{"ID":1}}]}`, `-~ - [{"user":{"ID":1}}]`},
		{"another letter case on half the way in an array", `{"at":[{"USER":1}]}`, `-~ - [{"USER":1}]`},
		{"duplicate in an element", `{"at":[{"user":{"id":1,"id":2}}]}`, `-*~ - [{"user":{"id":1,"id":2}}]`},
		{"one in each element", `{"at":[{"user":{"id":1}},{"user":{"id":2}}]}`, `-~ - [{"user":{"id":1}},{"user":{"id":2}}]`},
		{"null in an element", `{"at":[{"user":{"id":null}}]}`, `-~ - [{"user":{"id":null}}]`},
		{"array after an object", `{"at":{"user":{"id":1}},"at":[{"user":{"id":2}}]}`, `1*~ - {"user":{"id":1}}*`},
		{"top-level array", `[{"id":1}]`, `- -~ -`},
		{"top-level array of arrays", `[[],[[{"id":1}]]]`, `- -~ -`},
		{"top-level array with half the way", `[{"at":{"user":1}}]`, `- - -~`},
		{"array in the field", `{"id":[{"id":1}]}`, `- [{"id":1}] -`},

		{"text of an object", `{"at":"{\"user\":{\"id\":1}}"}`, `-~ - "{\"user\":{\"id\":1}}"\`},
		{"text of an array", `{"at":"[id"}`, `-~ - "[id"`},
		{"text of an object without a watched name", `{"at":"{}"}`, `- - "{}"`},
		{"text further on", `{"at":{"user":"{id"}}`, `-~ - {"user":"{id"}`},
		{"text in an array", `{"at":[0,"{id"]}`, `-~ - [0,"{id"]`},
		{"text in an array's object", `{"at":[{"user":"{id"}]}`, `-~ - [{"user":"{id"}]`},
		{"text in another letter case", `{"At":"{id"}`, `-~ - -~`},
		{"text elsewhere", `{"text":"{id","user":"{id"}`, none},
		{"text in the field", `{"id":"{id"}`, `- "{id" -`},
		{"text after an object", `{"at":{"user":{"id":1}},"at":"{id"}`, `1*~ - {"user":{"id":1}}*`},
		{"top-level text of an object", `"{\"id\":1}"`, `-~ -~ -~`},
		{"text in a top-level array", `["{id"]`, `-~ -~ -~`},
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
		})
	}
}

// TestScanTextBegins: how a text begins that is read as JSON.
func TestScanTextBegins(t *testing.T) {
	p := compile(t, keep("/at/id")...)
	for _, tc := range []struct {
		text string // with the escapes of JSON
		want bool
	}{
		{`{id`, true}, {`[id`, true}, {`\u007Bid`, true}, {`\u005bid`, true},
		{` \t\r\n\u000b\f{id`, true}, {`\u0000\u0000{id`, true}, {`\ufeff{id`, true}, {"\ufeff\u00a0\u2028\u3000{id", true}, {`\u0085\u00a0{id`, true},
		{`//x\n{id`, true}, {`//\r//{\u2028{id`, true}, {`#!x\n{id`, true}, {`/**/{id`, true}, {`/*/ **{ \u002a/ [id`, true}, {`\/\/x\n\/* *\/{id`, true},
		{`)]}'{id`, true}, {`)]}\u0027\n{id`, true}, {` )]}' /**/ \ufeff {id`, true},
		{`\ud800{id`, true}, {`/*\ud800{id`, true}, {`//\ud800{id`, true}, {` \udc00id`, true},
		{``, false}, {`id`, false}, {`\"{id`, false}, {`id{`, false}, {`é{id`, false}, {`\u200b{id`, true}, {`\u180e{id`, true},
		{`//{id`, false}, {`#{id`, false}, {`/*{id`, false}, {`/*/{id`, false}, {`/ /\n{id`, false}, {`/{id`, false}, {`/`, false}, {`/*`, false}, {`//x\n`, false},
		{`)]}{id`, false}, {`)]'}{id`, false}, {`)`, false}, {`)]}'`, false}, {`)\ud800]}'{id`, false},
		{`{}`, false}, // no watched name
	} {
		var found claimjson.Found
		if err := claimjson.Scan([]byte(`{"at":"`+tc.text+`"}`), p, &found); err != nil {
			t.Fatal(err)
		}
		if got := found.Values[0].Variant; got != tc.want {
			t.Errorf("%s: is read as JSON: %v", tc.text, got)
		}
	}
}

// TestScanTextAsked: who knows the names is asked for texts on a pointer's way
// and for no others, and told which begin like JSON; without, a name stands in those.
func TestScanTextAsked(t *testing.T) {
	var asked []string
	p, err := claimjson.Compile(keep("/at/id", "/id"), func(inside []byte, begins bool) bool {
		asked = append(asked, fmt.Sprint(string(inside), begins))
		return begins
	})
	if err != nil {
		t.Fatal(err)
	}
	var found claimjson.Found
	if err := claimjson.Scan([]byte(`{"id":"{1","x":"{2","{3":["{4"],"at":["5"," {\u0036","[7",{"id":"{8"}]}`), p, &found); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(asked, "; "); got != `5false;  {\u0036true` {
		t.Errorf("asked for %s", got)
	}
	if p, err = claimjson.Compile(keep("/at/id"), nil); err != nil {
		t.Fatal(err)
	}
	if err := claimjson.Scan([]byte(`{"at":"{"}`), p, &found); err != nil || !found.Values[0].Variant {
		t.Errorf("with nobody to ask: %v, %+v", err, found.Values[0])
	}
}
