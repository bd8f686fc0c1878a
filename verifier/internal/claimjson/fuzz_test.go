package claimjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// What the fuzzers watch: pointers that share names, prefixes, letters that
// fold beyond ASCII, and a pair that differs in case only.
var watched = [][]claimjson.Target{
	append(cut("/user_id", "/user_hash"), keep("/user_metadata", "/user_metadata/email", "/user_id")...),
	append(cut("/data/user_id", "/user_id", "/data/k"), keep("/data/k/s", "/data", "/name")...),
	append(cut("/a/k/s", "/A", "/\ufffd", "/\u017f/\u212a", "/s"), keep("/a", "/a~1b", "/им\u044f", "/😀", "/"+strings.Repeat("k", 70))...),
}

var seeds = []string{
	`{"user_id":"a","user_hash":"b","user_metadata":{"email":"e"}}`,
	`{ "x" : [1, {"user_id":2}] , "user_id" : 12 , "user_hash" : "\u00e9" }`,
	`{"user_id":1,"user_id":2,"USER_ID":3,"u\u017fer_id":4,"uſer_hash":5}`,
	`{"data":{"user_id":"a","k":{"s":1,"S":2}},"Data":{"k":{},"user_id":null},"name":"n"}`,
	`{"data":null}`, `{"data":[]}`, `[]`, `"a"`, `-1.5e+3`, ` null `,
	`{"a":{"k":{"s":1},"K":2},"A":[],"s":{"k":1},"ſ":{"\u212a":2},"a\/b":0}`,
	`{"\ud800":1,"\ufffd":2,"\ud83d\ude00":3,"😀":4,"ИМЯ":5,"имя":6}`,
	`{"` + strings.Repeat(`\u212a`, 70) + `":1,"` + strings.Repeat("k", 70) + `":2}`,
	`[{"user_id":1},[[{"user_hash":2, "user_metadata":"{id"}]]]`, `"{id"`, `[" //\ud800", 1]`,
	`{"data":["x",{"user_id":1,"k":[{"s":2}]}," /**/[id"],"a":[{"k":{"s":1},"A":2}],"user_metadata":"#\n{id"}`,
	`{"user_id\ud800":1,"\udc00user_hash":2,"da\ud800ta":{"k":1},"a":{"\udc00K":3}}`,
	`{"a":{"k":1}}`, `{"x":1, "user_id":2, "user_hash":3 }`, `{"user_id":1 , "user_hash":3 }`,
	`{"long":"` + strings.Repeat("text and more text ", 10) + `\n\\\"","b":[true,false,null,0,-0.0,1E5]}`,
	`{`, `{"a":1,}`, `[1,]`, `{"a" 1}`, `{} {}`, "\ufeff{}", "\"\x01\"", "\"\xff\"", `"\ud8"`, `01`, `1.`, `tru`, ``, ` `, `[}`, `{"user_id":"a"`,
}

func addSeeds(f *testing.F) {
	for _, s := range seeds {
		for i := range watched {
			f.Add(byte(i), []byte(s))
		}
	}
}

func FuzzScan(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		targets := watched[int(which)%len(watched)]
		var found claimjson.Found
		err := claimjson.Scan(body, compile(t, targets...), &found)
		if !json.Valid(body) || !utf8.Valid(body) {
			if err == nil || !utf8.Valid(body) != errors.Is(err, claimjson.ErrUTF8) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if nesting(body) > 1000 {
			if !errors.Is(err, claimjson.ErrDepth) {
				t.Fatalf("got %v", err)
			}
			return
		}
		root := readTree(t, body)
		if err != nil {
			t.Fatalf("got %v", err)
		}
		for i, target := range targets {
			want := lookFor(target.Pointer, body, &root).found
			want.Escaped = want.Kind == claimjson.String && bytes.Contains(body[want.Start:want.End], []byte(`\`))
			if want.Way = found.Values[i].Way; want.Way && !want.Variant {
				t.Errorf("%s: on the way and no variant", target.Pointer)
			}
			if found.Values[i] != want {
				t.Errorf("%s: got %+v, want %+v", target.Pointer, found.Values[i], want)
			}
			if want.Kind == claimjson.String {
				compareText(t, body[want.Start:want.End])
			}
		}
	})
}

// compareText holds Unquote against encoding/json, which reads U+FFFD for what
// Unquote refuses.
func compareText(t *testing.T, token []byte) {
	var want string
	if err := json.Unmarshal(token, &want); err != nil {
		t.Fatal(err)
	}
	got, err := claimjson.Unquote(nil, token)
	lone := strings.Contains(decodeName(string(token[1:len(token)-1])), "\xff")
	if lone != errors.Is(err, claimjson.ErrSurrogate) || !lone && (err != nil || string(got) != want) {
		t.Errorf("%s is read as %q, %v; want %q", token, got, err, want)
	}
}

func FuzzCut(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		targets := watched[int(which)%len(watched)]
		p := compile(t, targets...)
		var found claimjson.Found
		if claimjson.Scan(body, p, &found) != nil || found.More {
			return
		}
		got := claimjson.Cut(nil, body, found.Cuts)

		root := readTree(t, body)
		cutAt := map[int]bool{}
		for _, target := range targets {
			if target.Cut {
				maps.Copy(cutAt, lookFor(target.Pointer, body, &root).cut)
			}
		}
		if cutAt[-1] {
			if len(got) != 0 {
				t.Fatalf("cut %q, got %q", body, got)
			}
			return
		}
		want := append(write(bytes.Clone(body[:root.start]), body, &root, cutAt), body[root.end:]...)
		if len(cutAt) <= 256 && !bytes.Equal(got, want) { // beyond, arrays are cut as a whole
			t.Fatalf("cut %q\ngot  %q\nwant %q", body, got, want)
		}
		if !json.Valid(got) {
			t.Fatalf("cut %q is not valid", got)
		}
		end := 0
		for _, c := range found.Cuts {
			if c.Start < end || c.End <= c.Start {
				t.Fatalf("cuts out of order: %v", found.Cuts)
			}
			end = c.End
		}
		if err := claimjson.Scan(got, p, &found); err != nil {
			t.Fatalf("cut %q: %v", got, err)
		}
		if len(found.Cuts) != 0 {
			t.Fatalf("cut %q has still something to cut: %v", got, found.Cuts)
		}
		for i, target := range targets {
			if target.Cut && found.Values[i].Kind != claimjson.None {
				t.Fatalf("cut %q still holds %s", got, target.Pointer)
			}
		}
		if len(cutAt) > 256 {
			return
		}
		// The same members in the same order, read anew.
		cutTree := readTree(t, got)
		if a, b := outline(body, &root, cutAt), outline(got, &cutTree, nil); a != b {
			t.Fatalf("cut %q reads\n%s\nwant\n%s", got, b, a)
		}
	})
}

// outline writes what a tree holds, but the members to cut, without its blanks and commas.
func outline(body []byte, v *tree, cut map[int]bool) string {
	var b strings.Builder
	switch v.kind {
	case claimjson.Object:
		b.WriteString("{")
		for i := range v.members {
			if m := &v.members[i]; !cut[m.start] {
				b.WriteString(strconv.Quote(m.name) + outline(body, &m.value, cut))
			}
		}
		b.WriteString("}")
	case claimjson.Array:
		b.WriteString("[")
		for i := range v.elements {
			b.WriteString(outline(body, &v.elements[i], cut) + ";")
		}
		b.WriteString("]")
	default:
		b.Write(body[v.start:v.end])
	}
	return b.String()
}

// A fuzzer without seeds that reach its properties finds nothing and passes.
func TestSeeds(t *testing.T) {
	for _, name := range []string{"FuzzScan", "FuzzCut"} {
		t.Run(name, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join("testdata", "fuzz", name, "*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no seeds: %v", err)
			}
			var accepted, refused, withCuts int
			for _, file := range files {
				which, body := readSeed(t, file)
				targets := watched[int(which)%len(watched)]
				var found claimjson.Found
				if err := claimjson.Scan(body, compile(t, targets...), &found); err != nil {
					refused++
					continue
				}
				accepted++
				if len(found.Cuts) > 0 {
					withCuts++
				}
			}
			if accepted < 10 || refused < 10 || withCuts < 5 {
				t.Errorf("of %d seeds %d are accepted, %d of them with cuts, and %d refused", len(files), accepted, withCuts, refused)
			}
		})
	}
}

func readSeed(t *testing.T, file string) (which byte, body []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 3 {
		t.Fatalf("%s: not a seed", file)
	}
	first, _, _, err := strconv.UnquoteChar(strings.TrimSuffix(strings.TrimPrefix(lines[1], "byte('"), "')"), '\'')
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	second, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(lines[2], "[]byte("), ")"))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return byte(first), []byte(second)
}
