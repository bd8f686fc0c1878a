package claimjson_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// String scanning takes words of eight and rows of four: each special byte is
// tried at each place, in strings of each length.
func TestStringLengths(t *testing.T) {
	p := compile(t, keep("/a")...)
	var found claimjson.Found
	for n := range 100 {
		for at := range n {
			for c, want := range map[string]error{
				"\x1f": claimjson.ErrSyntax, "\x00": claimjson.ErrSyntax, "\n": claimjson.ErrSyntax,
				`"`: claimjson.ErrSyntax, `\`: claimjson.ErrSyntax,
				" ": nil, "!": nil, "#": nil, "[": nil, "]": nil, "\x7f": nil, "é": nil, "\U0010ffff": nil,
				`\n`: nil, `\"`: nil, `\\`: nil, `\u0000`: nil,
			} {
				text := strings.Repeat("x", at) + c + strings.Repeat("x", n-at-1)
				for _, body := range []string{`"` + text + `"`, `{"a":"` + text + `"}`, `{"` + text + `":["` + text + `"]}`} {
					if err := claimjson.Scan([]byte(body), p, &found); !errors.Is(err, want) {
						t.Fatalf("%q: got %v, want %v", body, err, want)
					}
					if err := claimjson.Scan([]byte(body[:len(body)-1]), p, &found); want == nil && !errors.Is(err, claimjson.ErrSyntax) {
						t.Fatalf("%q without its end: got %v", body, err)
					}
				}
			}
		}
	}
}

// TestLongStrings does so in texts of some kilobytes, of which each part is read
// in another way: with plain text around the special byte, and with what is not.
func TestLongStrings(t *testing.T) {
	p := compile(t, keep("/a")...)
	var found claimjson.Found
	for _, around := range []string{"plain text that goes on and on. ", "Привет, мир! 你好，世界 ", `a\n\u00e9\"b`, strings.Repeat("x", 100) + "é", strings.Repeat("x", 2200) + strings.Repeat("я", 800)} {
		text := strings.Repeat(around, 4000/len(around))
		for at := 2040; at < len(text); at++ {
			switch at { // the ends of what is read at once
			case 2100:
				at = 3070
			case 3130:
				at = len(text) - 20
			}
			for _, c := range []string{"\x1f", `"`, `\`, "\x80", "\xe9", `\n`, `\"`, `\u12`, `\u00E9`, "é", "你", "😀", "\xed\xa0\x80", "\xf4\x90\x80\x80"} {
				again := text[at-(1023-len(c)):at] + c // a kilobyte on, but for a byte
				for _, behind := range []string{"", text} {
					body := []byte(`{"b":"` + text[:at] + c + again + text[at:] + `","a":1,"c":"` + behind + `"}`)
					err := claimjson.Scan(body, p, &found)
					if valid := utf8.Valid(body) && json.Valid(body); valid != (err == nil) || valid && found.Values[0].Kind != claimjson.Number {
						t.Fatalf("%q at %d in %.40q: got %v, valid is %v", c, at, around, err, valid)
					}
				}
			}
		}
	}
}

func TestUnquote(t *testing.T) {
	for _, tc := range []struct {
		name, token, want string
		err               error
	}{
		{"empty", `""`, "", nil},
		{"plain", `"alice"`, "alice", nil},
		{"beyond ASCII", `"имя 😀"`, "имя 😀", nil},
		{"escapes", `"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t", nil},
		{"hex of either case", `"\u00e9\u00E9"`, "éé", nil},
		{"pair", `"x\ud83d\uDE00y"`, "x😀y", nil},
		{"nul", `"\u0000"`, "\x00", nil},
		{"replacement character", `"\ufffd"`, "\ufffd", nil},
		{"last rune", `"\udbff\udfff"`, "\U0010ffff", nil},
		{"high alone", `"a\ud800"`, "", claimjson.ErrSurrogate},
		{"low alone", `"a\udc00b"`, "", claimjson.ErrSurrogate},
		{"high twice", `"\ud800\ud800\udc00"`, "", claimjson.ErrSurrogate},
		{"high before an escape", `"\ud800\n12345"`, "", claimjson.ErrSurrogate},
		{"high before text", `"\ud800udc00dc00"`, "", claimjson.ErrSurrogate},
		{"nothing", ``, "", claimjson.ErrSyntax},
		{"one quote", `"`, "", claimjson.ErrSyntax},
		{"escaped end", `"\"`, "", claimjson.ErrSyntax},
		{"number", `12`, "", claimjson.ErrSyntax},
		{"more after it", `"a" `, "", claimjson.ErrSyntax},
		{"quote within", `"a"b"`, "", claimjson.ErrSyntax},
		{"not UTF-8", "\"\xff\"", "", claimjson.ErrUTF8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := claimjson.Unquote([]byte("> "), []byte(tc.token))
			if !errors.Is(err, tc.err) || string(got) != "> "+tc.want {
				t.Errorf("got %q, %v; want %q, %v", got, err, tc.want, tc.err)
			}
		})
	}
}
