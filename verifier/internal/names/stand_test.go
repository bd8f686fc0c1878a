package names_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// watched are the names that most tests look for. The long one has a letter of
// each kind of charset, of which 😀 is two surrogates in UTF-16.
var watched = []string{"user_id", "token", "Größe-я😀"}

var spelled = []struct {
	what string
	name string // "" where none stands
	text []string
}{
	{"plain", "user_id", []string{
		"user_id", `{"user_id":1}`, "a=1&user_id=2", "user_id[", "x[user_id]", "_user_id", "!user_id", "user_id_", "x.user_id.y",
		"\x00user_id\x00", "user_id\xff", "\xffuser_id", "“user_id”", "\ufeffuser_id", "id user_id",
	}},
	{"nothing", "", []string{
		"", "u", "user", "user_i", "userid", "user-id", "user/id", "user__id", "us er_id", "resu_di", "xuser_id",
		"user_idx", "user_id1", "1user_idx", "éuser_id", "user_idé", "яuser_id", "user_idя", "١user_id", "us\x00\x00\x00\x00\x00\x00er_id",
		"Größe-я", "Größe-я😁", "%75ser", `\u0075ser`,
	}},
	{"letters before it as escapes", "", []string{
		`v%75ser_id`, `v\u0075ser_id`, `%41user_id`, `\u0041user_id`, `\x41user_id`, `\101user_id`, `\u00e9user_id`, `&#65user_id`,
		`=41user_id`, `%25%34%31user_id`, `\\u0041user_id`, `\quser_id`, `%76%75ser_id`,
	}},
	{"another case", "user_id", []string{"USER_ID", "User_Id", "uſer_id", "u\xc5\xbfer_id"}},
	{"Kelvin sign", "token", []string{"to\u212aen", `to\u212aen`, "TO\xe2\x84\xaaEN", "to%E2%84%AAen", "to%u212aen"}},
	{"PHP", "user_id", []string{"user.id", "user id", "user[id", "user+id", "user%20id", "user%2Eid", "user%5bid", "user[id]"}},
	{"JSON", "user_id", []string{
		`\u0075ser_id`, `user\u005Fid`, `\u0075\u0073\u0065\u0072\u005f\u0069\u0064`, `\U00000075ser_id`,
		`\uD83D\u0075ser_id`, `\"user_id\"`, `\\\"user_id\\\"`,
	}},
	{"lenient JSON", "user_id", []string{
		`us\er_id`, `\u\s\e\r\_\i\d`, `\u{75}ser_id`, `\u{0000000000075}ser_id`, `\x75ser_id`, `\165ser_id`, `user\137id`, `user\x5Fid`,
		"us\\\ner_id", "us\\\r\ner_id", "us\\\rer_id", "us\\\u2028er_id", "us\\\n  er_id", `us\\er_id`, `\'user_id\'`,
	}},
	{"JSON within JSON, and Java", "user_id", []string{
		`\\u0075ser_id`, `\\\\u0075ser_id`, `\uu0075ser_id`, `\uuuuuuuuuuuuuuuuuuuuuu0075ser_id`, `user\\u005fid`,
		`\u005cu0075ser_id`, `\u005c\u0075\u0030\u0030\u0037\u0035ser_id`, `\u\u0030\u0030\u0037\u0035ser_id`,
	}},
	{"percent", "user_id", []string{
		"%75ser_id", "user%5Fid", "user%5fid", "%75%73%65%72%5F%69%64", "%u0075ser_id", "%U0075ser_id", "%2575ser_id", "%252575ser_id",
		"%25%37%35ser_id", "%%37%35ser_id", "%25u0075ser_id",
	}},
	{"percent and JSON", "user_id", []string{
		`%5Cu0075ser_id`, `%5C%75%30%30%37%35ser_id`, `\u002575ser_id`, `\u0025\u0037\u0035ser_id`, `%7B%22user%5Cu005fid%22`,
		`%5C%5Cu0075ser_id`,
	}},
	{"overlong", "user_id", []string{
		"\xc1\xb5ser_id", "\xe0\x81\xb5ser_id", "\xf0\x80\x81\xb5ser_id", "user\xc1\x9fid", "%C1%B5ser_id", "%c1\xb5ser_id",
		"user%F0%80%81%9Fid", `\xc1\xb5ser_id`, "=C1=B5ser_id",
	}},
	{"quoted-printable", "user_id", []string{
		"=75ser_id", "user=5Fid", "us=\r\ner_id", "us=\ner_id", "us= \t\r\ner_id", "=3D75ser_id", "=22user_id=22",
	}},
	{"references", "user_id", []string{
		"&#117;ser_id", "&#x75;ser_id", "&#X75ser_id", "&#0000000117;ser_id", "&#x000075;ser_id", "user&#95id", "%26%23117;ser_id",
	}},
	{"what is before is an escape", "user_id", []string{
		"x%22user_id", `x\u0022user_id`, `x\nuser_id`, "x=22user_id", "x&#34;user_id", "x%E2%80%9Cuser_id", "x%E2%80%BAuser_id",
		`x\42user_id`, `x%5Cu0022user_id`, `x%5Cnuser_id`, "x%00user_id", `x\0user_id`, "%C3%A9user_id",
	}},
	{"what is behind is an escape", "user_id", []string{"user_id%22x", `user_id\u0022`, "user_id=22x", `user_id\nx`, "user_id%00x"}},
	{"beyond ASCII", "Größe-я😀", []string{
		"Größe-я😀", "GRÖẞE-Я😀", "gr\xf6\xdfe-\xff😀", "Gr%C3%B6%C3%9Fe-%D1%8F%F0%9F%98%80", `Gr\u00f6\u00DFe-\u044f\ud83d\ude00`,
		"Gr%F6%DFe-%FF😀", "Größe-я\xed\xa0\xbd\xed\xb8\x80", `Größe-я\u{1f600}`, "Größe-я%uD83D%uDE00", "Größe-&#1103;&#128512;",
		"Gr=F6=DFe-=D1=8F=F0=9F=98=80", "Größe-\xe0\x91\x8f😀",
	}},
}

// TestStand has a text for each spelling of the definition.
func TestStand(t *testing.T) {
	set := names.Compile(watched)
	for _, c := range spelled {
		for _, text := range c.text {
			if name, ok := set.Stand([]byte(text)); name != c.name || ok != (c.name != "") {
				t.Errorf("%s: %q stands in %q: %v", c.what, name, text, ok)
			}
			if name, _ := set.StandInHeader([]byte(text), nil); name != c.name {
				t.Errorf("%s: %q stands in the header %q", c.what, name, text)
			}
		}
	}
}

// An encoding writes code points in UTF-16 or UTF-32.
type encoding struct {
	width int
	big   bool
}

var encodings = []encoding{{2, false}, {2, true}, {4, false}, {4, true}}

func (e encoding) encode(text string) []byte {
	var encoded []byte
	for _, r := range text {
		units := []rune{r}
		if hi, lo := utf16.EncodeRune(r); e.width == 2 && hi != '\ufffd' {
			units = []rune{hi, lo}
		}
		for _, unit := range units {
			for i := range e.width {
				shift := 8 * i
				if e.big {
					shift = 8 * (e.width - 1 - i)
				}
				encoded = append(encoded, byte(unit>>shift))
			}
		}
	}
	return encoded
}

// TestStandWide does so for UTF-16 and UTF-32, at any alignment, with escapes
// on top of them.
func TestStandWide(t *testing.T) {
	set := names.Compile(watched)
	for _, e := range encodings {
		for _, c := range spelled {
			for _, text := range c.text {
				if strings.ToValidUTF8(text, "") != text {
					continue
				}
				encoded := e.encode(text)
				name, _ := set.Stand(encoded)
				if c.name == "" && strings.ContainsAny(text, "éя١\x00") {
					continue // there only ASCII's letters are none that bounds a name
				}
				if name != c.name && !(name != "" && strings.Contains(c.what, "beyond")) {
					t.Errorf("%s, %d bytes, big-endian %v: %q stands in %q", c.what, e.width, e.big, name, text)
				}
				for _, around := range []string{"\x00", "\x01", "\"", "\x00\x00\x00"} {
					shifted := append([]byte(around), encoded...)
					if name, _ := set.Stand(shifted); c.name != "" && name == "" {
						t.Errorf("%s, %d bytes, big-endian %v, behind %q: nothing stands in %q", c.what, e.width, e.big, around, text)
					}
				}
			}
		}
	}
}

// TestStandInVideo has the shortest of all watched names, which is in many words.
func TestStandInVideo(t *testing.T) {
	set := names.Compile([]string{"id"})
	for text, want := range map[string]bool{
		"video": false, "idea": false, "valid": false, "décidé": false, "id": true, "user-id": true, "id%65o": true,
		`v\u0069deo`: false, "v%69deo": false, "v&#105;deo": false, `\u0069dea`: false, "%76ideo": false,
	} {
		if _, ok := set.Stand([]byte(text)); ok != want {
			t.Errorf("it stands in %q: %v", text, ok)
		}
		for _, e := range encodings {
			if encoded := e.encode(text); !strings.Contains(text, "é") {
				if _, ok := set.Stand(encoded); ok != want {
					t.Errorf("it stands in %q: %v", encoded, ok)
				}
			}
		}
	}
}

// TestStandNowhere has sets without names.
func TestStandNowhere(t *testing.T) {
	for _, list := range [][]string{nil, {""}, {"", "\x00"}} {
		set := names.Compile(list)
		for _, text := range []string{"", "user_id", "\x00", "=?unknown?q?x?=", "name*1=x"} {
			if name, ok := set.Stand([]byte(text)); ok {
				t.Errorf("%q of %q stands in %q", name, list, text)
			}
			if name, ok := set.StandInHeader([]byte(text), nil); ok {
				t.Errorf("%q of %q stands in the header %q", name, list, text)
			}
		}
	}
}

// TestStandFirst says which of several names is told.
func TestStandFirst(t *testing.T) {
	for _, c := range []struct {
		list []string
		text string
		name string
	}{
		{[]string{"user", "user_id"}, `{"user_id":1}`, "user"},
		{[]string{"user_id", "id"}, `{"user_id":1}`, "user_id"},
		{[]string{"", "USER_ID", "user_id"}, `{"user_id":1}`, "USER_ID"},
		{[]string{"token", "user_id"}, `{"user_id":1,"token":2}`, "user_id"},
		{[]string{"user id"}, `user_id`, "user id"},
		{[]string{"a\xffb"}, "a\xffb", "a\xffb"},
		{[]string{"\ufffd"}, "\ufffd", "\ufffd"},
		{[]string{`a\b%c`}, `{"a\\b%25c":1}`, `a\b%c`},
		{[]string{"x"}, "x", "x"},
		{[]string{"x"}, "%78", "x"},
		{[]string{"日本"}, "日本", "日本"},
	} {
		if name, _ := names.Compile(c.list).Stand([]byte(c.text)); name != c.name {
			t.Errorf("%q of %q stands in %q", name, c.list, c.text)
		}
	}
}
