package claimjson_test

import (
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

func TestCut(t *testing.T) {
	targets := append(cut("/x", "/y", "/m/x", "/m/d/x", "/c", "/c/x"), keep("/a", "/m")...)
	p := compile(t, targets...)
	for _, tc := range []struct{ name, body, want string }{
		{"nothing", `{"a":1, "b":{"x":1}}`, `{"a":1, "b":{"x":1}}`},
		{"first", `{"x":1,"a":2}`, `{"a":2}`},
		{"first, blanks", `{ "x" : 1 , "a" : 2 }`, `{  "a" : 2 }`},
		{"middle", `{"a":1, "x":2, "b":3}`, `{"a":1,  "b":3}`},
		{"last", `{"a":1,"x":2}`, `{"a":1}`},
		{"last, blanks", `{"a":1 , "x" : 2 }`, `{"a":1   }`},
		{"only", `{"x":1}`, `{}`},
		{"only, blanks", "{\n\t\"x\": 1\n}", "{\n\t\n}"},
		{"all", `{"x":1, "y":2}`, `{ }`},
		{"run at the end", `{"a":1, "x":2, "y":3 }`, `{"a":1   }`},
		{"run at the end, tight", `{"a":1,"x":2,"y":3}`, `{"a":1}`},
		{"run at the start", `{"x":2,"y":3,"a":1}`, `{"a":1}`},
		{"two runs", `{"x":2,"a":1,"y":3}`, `{"a":1}`},
		{"apart", `{"x":1,"b":2,"y":3,"a":4,"X":5}`, `{"b":2,"a":4}`},
		{"twice", `{"x":1,"a":1,"x":2}`, `{"a":1}`},
		{"variant", `{"X":{"y":[1,2]},"a":1}`, `{"a":1}`},
		{"escaped name", `{"a":1,"\u0078":2}`, `{"a":1}`},
		{"within", `{"a":1,"m":{"x":1,"z":2}}`, `{"a":1,"m":{"z":2}}`},
		{"within, only", `{"m":{"x":1},"x":1}`, `{"m":{}}`},
		{"within, last of last", `{"x":0,"m":{"z":2,"x":1},"x":1}`, `{"m":{"z":2}}`},
		{"within a variant", `{"M":{"x":1,"z":2}}`, `{"M":{"z":2}}`},
		{"within the second", `{"m":{"x":1},"m":{"z":2,"X":1}}`, `{"m":{},"m":{"z":2}}`},
		{"within two", `{"m":{"q":1,"d":{"x":1},"x":2}}`, `{"m":{"q":1,"d":{}}}`},
		{"ancestor", `{"a":1,"c":{"x":1,"z":2},"b":1}`, `{"a":1,"b":1}`},
		{"ancestor last", `{"a":1,"c":{"x":1}}`, `{"a":1}`},
		{"in an array", `{"m":[{"x":1,"z":2},{"z":3}]}`, `{"m":[{"z":2},{"z":3}]}`},
		{"in an array of arrays", `{"m":[[{"x":1}],[[{"z":2,"x":1}]],1]}`, `{"m":[[{}],[[{"z":2}]],1]}`},
		{"array body", `[{"x":1},{"a":1,"m":{"x":2}}]`, `[{},{"a":1,"m":{}}]`},
		{"array of another name", `{"b":[{"x":1}]}`, `{"b":[{"x":1}]}`},
		{"array cut as a whole", `{"c":[{"x":1}],"a":1}`, `{"a":1}`},
		{"text", `{"a":1,"m":"{\"x id\":1}"}`, `{"a":1}`},
		{"text that holds no object", `{"a":1,"m":"x id"}`, `{"a":1,"m":"x id"}`},
		{"text without a name", `{"a":1,"m":"{\"x\":1}"}`, `{"a":1,"m":"{\"x\":1}"}`},
		{"text with nothing to cut below", `{"a":"{\"x id\":1}"}`, `{"a":"{\"x id\":1}"}`},
		{"text deep within", `{"a":1,"m":{"z":1,"d":"[id"}}`, `{"a":1,"m":{"z":1}}`},
		{"text in an array", `{"a":1,"m":[{"x":1},"{id",{"x":2}],"b":1}`, `{"a":1,"b":1}`},
		{"text in an array of arrays", `{"a":1,"m":[{"x":1},[["{id"]],[{"x":2}]],"b":1}`, `{"a":1,"b":1}`},
		{"text in an array's object", `{"m":[{"x":1,"d":"{id","z":1},"z"]}`, `{"m":[{"z":1},"z"]}`},
		{"text in an array, then in its object", `{"m":["{id",{"d":"{id","z":1}],"z":1}`, `{"z":1}`},
		{"text after one in an object", `{"m":[{"d":"{id","z":1},"{id"],"z":1}`, `{"z":1}`},
		{"text within what is cut", `{"c":"{id","a":1}`, `{"a":1}`},
		{"text as the body", ` "{id" `, ``},
		{"text in the body", `[{"x":1},"{id"]`, ``},
		{"text in a variant", `{"M":"{id","a":1}`, `{"a":1}`},
		{"text in the second", `{"m":{"x":1,"z":1},"m":"{id"}`, `{"m":{"z":1}}`},
		{"outside blanks stay", " {\"x\":1}\n", " {}\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var found claimjson.Found
			if err := claimjson.Scan([]byte(tc.body), p, &found); err != nil {
				t.Fatal(err)
			}
			if got := string(claimjson.Cut([]byte("> "), []byte(tc.body), found.Cuts)); got != "> "+tc.want {
				t.Errorf("got  %s\nwant > %s", got, tc.want)
			}
			end := 0
			for _, c := range found.Cuts {
				if c.Start < end || c.End <= c.Start {
					t.Errorf("cuts out of order: %v", found.Cuts)
				}
				end = c.End
			}
		})
	}
}

// TestMore: of however many members to cut a bounded number of spans is kept;
// the rest of the body is read all the same.
func TestMore(t *testing.T) {
	p := compile(t, append(cut("/id", "/m/id"), keep("/w")...)...)
	for _, tc := range []struct {
		name, body string
		cuts       int
		more       bool
	}{
		{"side by side", `{` + strings.Repeat(`"id":1,`, 100_000) + `"w":1}`, 1, false},
		{"as many as there is room for", `{` + strings.Repeat(`"id":1,"a":1,`, 256) + `"w":1}`, 256, false},
		{"one more", `{` + strings.Repeat(`"id":1,"a":1,`, 257) + `"w":1}`, 256, true},
		{"many", `{` + strings.Repeat(`"id":1,"a":1,`, 100_000) + `"w":1}`, 256, true},
		{"many, the last too", `{"w":1` + strings.Repeat(`,"a":1,"ID":1`, 100_000) + `}`, 256, true},
		{"as many as there is room for in an array", `{"m":[` + strings.Repeat(`{"id":1},`, 256) + `0],"w":1}`, 256, false},
		{"an array that holds more", `{"m":[` + strings.Repeat(`{"id":1},`, 100_000) + `0],"w":1}`, 1, false},
		{"arrays that hold more", `{"m":[` + strings.Repeat(`{"m":{"id":1},"id":1},`, 300) + `0],"id":1,"w":1}`, 1, false},
		{"an array beside others", `{` + strings.Repeat(`"id":1,"a":1,`, 256) + `"m":[{"id":1}],"w":1}`, 256, true},
		{"many objects", `{` + strings.Repeat(`"m":{"a":1, "id":1, "id":2 },`, 50_000) + `"w":1,"id":1}`, 256, true},
	} {
		var found claimjson.Found
		if err := claimjson.Scan([]byte(tc.body), p, &found); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if len(found.Cuts) != tc.cuts || found.More != tc.more || cap(found.Cuts) > 512 || found.Values[2].Kind != claimjson.Number {
			t.Errorf("%s: %d cuts of %d, more %v, w %+v", tc.name, len(found.Cuts), cap(found.Cuts), found.More, found.Values[2])
		}
		if err := claimjson.Scan([]byte(tc.body[:len(tc.body)-1]), p, &found); err == nil || found.More || len(found.Cuts) > 0 {
			t.Errorf("%s, cut short: %v, %d cuts", tc.name, err, len(found.Cuts))
		}
	}
}
