package claimform_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

func TestValidBoundary(t *testing.T) {
	for _, tc := range []struct {
		boundary string
		want     bool
	}{
		{"b", true}, {"----WebKitFormBoundaryAbC123", true}, {"'()+_-./:=?", true}, {strings.Repeat("b", 70), true},
		{"", false}, {strings.Repeat("b", 71), false}, {"a b", false}, {"b ", false}, {" b", false}, {"a,b", false}, {"a;b", false},
		{`a"b`, false}, {`a\b`, false}, {"a\r\nb", false}, {"a\x00", false}, {"é", false}, {"a@b", false}, {"a*b", false},
	} {
		if got := claimform.ValidBoundary(tc.boundary); got != tc.want {
			t.Errorf("%q: %v", tc.boundary, got)
		}
	}
	if err := claimform.Multipart([]byte("--a,b--"), "a,b", claimform.Compile(nil), new(claimform.Hits)); !errors.Is(err, claimform.ErrMultipart) {
		t.Errorf("read with a bad boundary: %v", err)
	}
}

const (
	userPart  = "Content-Disposition: form-data; name=\"user_id\"\r\n\r\n42"
	sigPart   = "Content-Disposition: form-data; name=\"sig\"\r\n\r\n0a"
	otherPart = "Content-Disposition: form-data; name=\"a\"\r\n\r\n1"
	filePart  = "Content-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\x00\xff--\r\n-"
)

func TestMultipart(t *testing.T) {
	list := []string{"user_id", "sig"}
	names := claimform.Compile(list)
	for _, tc := range []struct {
		name, body string
		want       string // as show writes it
		left       string // after every span is cut
	}{
		{"no part", "--b--", "", "--b--"},
		{"no part, then a line break", "--b--\r\n", "", "--b--\r\n"},
		{"alone", string(form("b", userPart)), "user_id=42", "--b--\r\n"},
		{"first", string(form("b", userPart, otherPart)), "user_id=42", string(form("b", otherPart))},
		{"middle", string(form("b", filePart, userPart, otherPart)), "user_id=42", string(form("b", filePart, otherPart))},
		{"last", string(form("b", otherPart, userPart)), "user_id=42", string(form("b", otherPart))},
		{"two", string(form("b", userPart, otherPart, sigPart)), "user_id=42 sig=0a", string(form("b", otherPart))},
		{"twice", string(form("b", userPart, userPart)), "user_id=42 user_id=42", "--b--\r\n"},
		{"no last line break", strings.TrimSuffix(string(form("b", userPart)), "\r\n"), "user_id=42", "--b--"},
		{"empty value", string(form("b", part("", `form-data; name="sig"`, "", ""))), "sig=", "--b--\r\n"},
		{"value of line breaks", string(form("b", part("", `form-data; name="sig"`, "", "\r\n"))), "sig=\r\n", "--b--\r\n"},
		{"token", string(form("b", part("", `form-data; name=sig`, "", "1"))), "sig=1", "--b--\r\n"},
		{"no blank before another's name", string(form("b", part("", `form-data;name="a"`, "", "1"))), "", string(form("b", part("", `form-data;name="a"`, "", "1")))},
		{"text/plain", string(form("b", part("Content-Type: text/plain\r\n", `form-data; name="sig"`, "", "1"))), "sig=1", "--b--\r\n"},
		{"text/plain in UTF-8", string(form("b", part("", `form-data; name="sig"`, "Content-Type: Text/Plain ; Charset=\"utf-8\"\r\n", "1"))), "sig=1", "--b--\r\n"},
		{"letter case of headers", string(form("b", "CONTENT-DISPOSITION:FORM-DATA; NAME=\"sig\"\r\n\r\n1")), "sig=1", "--b--\r\n"},
		{"charset", string(form("b", part("", `form-data; name="_charset_"`, "", "UTF-8"))), "", string(form("b", part("", `form-data; name="_charset_"`, "", "UTF-8")))},
		{"RFC 8187", string(form("b", part("", `form-data; name="f"; filename*=UTF-8''%C3%A9`, "", ""))), "", string(form("b", part("", `form-data; name="f"; filename*=UTF-8''%C3%A9`, "", "")))},
		{"Windows path", string(form("b", part("", `form-data; name="f"; filename="C:\x.txt"`, "", ""))), "", string(form("b", part("", `form-data; name="f"; filename="C:\x.txt"`, "", "")))},

		{"letter case", string(form("b", part("", `form-data; name="USER_ID"`, "", "1"))), "user_id?", "--b--\r\n"},
		{"array", string(form("b", part("", `form-data; name="user_id[]"`, "", "1"))), "user_id?", "--b--\r\n"},
		{"percent", string(form("b", part("", `form-data; name="user%5Fid"`, "", "1"))), "user_id?", "--b--\r\n"},
		{"percent in an array", string(form("b", part("", `form-data; name="user_id[%41]"`, "", "1"))), "user_id?", "--b--\r\n"},
		{"plus is no blank", string(form("b", part("", `form-data; name="user+id"`, "", "1"))), "", string(form("b", part("", `form-data; name="user+id"`, "", "1")))},
		{"blank", string(form("b", part("", `form-data; name=" user_id"`, "", "1"))), "user_id?", "--b--\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var hits claimform.Hits
			if err := claimform.Multipart([]byte(tc.body), "b", names, &hits); err != nil {
				t.Fatalf("refused: %v", err)
			}
			if got := show(list, hits.List); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if left := cutHits([]byte(tc.body), hits.List, every); string(left) != tc.left {
				t.Errorf("leaves %q, want %q", left, tc.left)
			}
		})
	}
}

func TestMultipartErrors(t *testing.T) {
	names := claimform.Compile([]string{"user_id", "sig"})
	ok, file := `form-data; name="a"`, `form-data; name="sig"; filename="x"`
	disposed := func(d string) string { return string(form("b", part("", d, "", "1"))) }
	headed := func(h string) string { return string(form("b", part(h, ok, "", "1"))) }
	signed := func(h string) string { return string(form("b", part("", `form-data; name="sig"`, h, "1"))) }
	for _, tc := range []struct {
		name, body string
		want       error
		field      int
	}{
		{"empty", "", claimform.ErrMultipart, -1},
		{"not closed", "--b\r\n" + userPart, claimform.ErrMultipart, -1},
		{"not closed, after a delimiter", "--b\r\n" + userPart + "\r\n--b\r\n", claimform.ErrMultipart, -1},
		{"delimiter only", "--b", claimform.ErrMultipart, -1},
		{"preamble", "x\r\n" + string(form("b", userPart)), claimform.ErrMultipart, -1},
		{"line break first", "\r\n" + string(form("b", userPart)), claimform.ErrMultipart, -1},
		{"epilogue", string(form("b", userPart)) + "x", claimform.ErrMultipart, -1},
		{"two line breaks after", string(form("b", userPart)) + "\r\n", claimform.ErrMultipart, -1},
		{"form within the epilogue", string(form("b", otherPart)) + string(form("b", userPart)), claimform.ErrMultipart, -1},
		{"padded delimiter", "--b \r\n" + userPart + "\r\n--b--", claimform.ErrMultipart, -1},
		{"line feed only", "--b\n" + userPart + "\r\n--b--", claimform.ErrMultipart, -1},
		{"line feed before a delimiter", "--b\r\n" + userPart + "\n--b--", claimform.ErrMultipart, -1},
		{"boundary within a line", "--b\r\n" + userPart + "--b\r\n--b--", claimform.ErrMultipart, -1},
		{"boundary of a longer word", "--b\r\n" + userPart + "\r\n--bb\r\n--b--", claimform.ErrMultipart, -1},
		{"boundary in a header", headed("X: --b\r\n"), claimform.ErrMultipart, -1},
		{"empty part", "--b\r\n--b--", claimform.ErrMultipart, -1},
		{"part of a line break", "--b\r\n\r\n--b--", claimform.ErrMultipart, -1},
		{"part without a header", "--b\r\n\r\n\r\n--b--", claimform.ErrMultipart, -1},
		{"part without a blank line", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n--b--", claimform.ErrMultipart, -1},
		{"blank line that is the delimiter's", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--b--", claimform.ErrMultipart, -1},

		{"no disposition", "--b\r\nX: y\r\n\r\n1\r\n--b--", claimform.ErrMultipart, -1},
		{"two dispositions", headed("content-disposition: form-data; name=\"user_id\"\r\n"), claimform.ErrMultipart, -1},
		{"disposition within a header", headed("X: Content-Disposition: form-data; name=\"user_id\"\r\n"), claimform.ErrMultipart, -1},
		{"two types", headed("Content-Type: text/plain\r\nContent-Type: text/plain\r\n"), claimform.ErrMultipart, -1},
		{"two encodings", headed("Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 8bit\r\n"), claimform.ErrMultipart, -1},
		{"parts within a part", headed("Content-Type: multipart/mixed; boundary=c\r\n"), claimform.ErrMultipart, -1},
		{"folded", headed("X: y\r\n z\r\n"), claimform.ErrMultipart, -1},
		{"no colon", headed("X\r\n"), claimform.ErrMultipart, -1},
		{"blank before the colon", headed("X : y\r\n"), claimform.ErrMultipart, -1},
		{"no header name", headed(": y\r\n"), claimform.ErrMultipart, -1},
		{"NUL in a header", headed("X: \x00\r\n"), claimform.ErrMultipart, -1},
		{"line feed in a header", headed("X: y\nZ: z\r\n"), claimform.ErrMultipart, -1},
		{"carriage return in a header", headed("X: y\rZ: z\r\n"), claimform.ErrMultipart, -1},
		{"16 lines", headed(strings.Repeat("X: y\r\n", 15)), nil, -1},
		{"17 lines", headed(strings.Repeat("X: y\r\n", 16)), claimform.ErrMultipart, -1},
		{"line of 4 KiB", headed("X: " + strings.Repeat("y", 4096-3) + "\r\n"), nil, -1},
		{"longer line", headed("X: " + strings.Repeat("y", 4097-3) + "\r\n"), claimform.ErrMultipart, -1},
		{"long header", headed(strings.Repeat("X: "+strings.Repeat("y", 3000)+"\r\n", 3)), claimform.ErrMultipart, -1},

		{"no name", disposed(`form-data`), claimform.ErrMultipart, -1},
		{"name without a value", disposed(`form-data; name`), claimform.ErrMultipart, -1},
		{"attachment", disposed(`attachment; name="a"`), claimform.ErrMultipart, -1},
		{"two names", disposed(`form-data; name="a"; name="user_id"`), claimform.ErrMultipart, -1},
		{"two names in another case", disposed(`form-data; name="a"; NAME="user_id"`), claimform.ErrMultipart, -1},
		{"two filenames", disposed(`form-data; name="a"; filename="x"; Filename="y"`), claimform.ErrMultipart, -1},
		{"extended name", disposed(`form-data; name="a"; name*=UTF-8''user_id`), claimform.ErrMultipart, -1},
		{"name in pieces", disposed(`form-data; name="a"; name*0="user_id"`), claimform.ErrMultipart, -1},
		{"parameter that ends in name", disposed(`form-data; name="a"; x-name="user_id"`), claimform.ErrMultipart, -1},
		{"name within a filename", disposed(`form-data; name="a"; filename="x; name=user_id"`), claimform.ErrMultipart, -1},
		{"escaped quote", disposed(`form-data; name="a\"b"`), claimform.ErrMultipart, -1},
		{"backslash in a name", disposed(`form-data; name="user\_id"`), claimform.ErrMultipart, -1},
		{"backslash at a filename's end", disposed(`form-data; name="a"; filename="C:\"`), claimform.ErrMultipart, -1},
		{"single quotes", disposed(`form-data; name='user_id'`), claimform.ErrMultipart, -1},
		{"single quote without a pair", disposed(`form-data; x='; name="a"; y='`), claimform.ErrMultipart, -1},
		{"open quote", disposed(`form-data; name="a`), claimform.ErrMultipart, -1},
		{"after the quotes", disposed(`form-data; name="a"b`), claimform.ErrMultipart, -1},
		{"blanks around the equals sign", disposed(`form-data; name = "a"`), claimform.ErrMultipart, -1},
		{"trailing semicolon", disposed(`form-data; name="a";`), claimform.ErrMultipart, -1},
		{"encoded word", disposed(`form-data; name="=?utf-8?q?user=5Fid?="`), claimform.ErrMultipart, -1},
		{"name not UTF-8", disposed("form-data; name=\"\xff\""), claimform.ErrMultipart, -1},
		{"nine parameters", disposed(`form-data; name="a"; a=1; b=1; c=1; d=1; e=1; f=1; g=1; h=1`), claimform.ErrMultipart, -1},
		{"charset", string(form("b", part("", `form-data; name="_charset_"`, "", "utf-16"))), claimform.ErrMultipart, -1},

		{"file", string(form("b", part("", file, "", "1"))), claimform.ErrPart, 1},
		{"file without a filename", string(form("b", part("", `form-data; name="user_id"; filename=""`, "", "1"))), claimform.ErrPart, 0},
		{"variant that is a file", string(form("b", part("", `form-data; name="sig[]"; filename="x"`, "", "1"))), claimform.ErrPart, 1},
		{"transfer encoding", signed("Content-Transfer-Encoding: base64\r\n"), claimform.ErrPart, 1},
		{"another charset", signed("Content-Type: text/plain; charset=utf-16\r\n"), claimform.ErrPart, 1},
		{"another type", signed("Content-Type: application/json\r\n"), claimform.ErrPart, 1},
		{"another parameter", signed("Content-Type: text/plain; format=flowed\r\n"), claimform.ErrPart, 1},
		{"empty type", signed("Content-Type:\r\n"), claimform.ErrPart, 1},
		{"no blank before the name", string(form("b", part("", `form-data;name="user_id"`, "", "1"))), claimform.ErrPart, 0},
		{"value not UTF-8", string(form("b", part("", `form-data; name="sig"`, "", "\xff"))), claimform.ErrUTF8, 1},
		{"byte-order mark", string(form("b", part("", `form-data; name="sig"`, "", "\ufeff1"))), claimform.ErrUTF8, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var hits claimform.Hits
			err := claimform.Multipart([]byte(tc.body), "b", names, &hits)
			if !errors.Is(err, tc.want) || err == nil != (tc.want == nil) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			checkField(t, err, tc.field)
			if err != nil && len(hits.List) > 0 {
				t.Error("hits beside an error")
			}
		})
	}
}

func TestMultipartAllocs(t *testing.T) {
	names := claimform.Compile([]string{"user_id", "sig"})
	parts := make([]string, 0, 500)
	for i := range 100 {
		parts = append(parts, userPart, otherPart, filePart, part("", `form-data; name="u%73er_id"`, "", "1"), part("", fmt.Sprintf(`form-data; name="a%d"`, i), "", ""))
	}
	body := form("----WebKitFormBoundaryAbC123", parts...)
	var hits claimform.Hits
	read := func() {
		if err := claimform.Multipart(body, "----WebKitFormBoundaryAbC123", names, &hits); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if len(hits.List) != 200 {
		t.Errorf("%d hits", len(hits.List))
	}
	if n := testing.AllocsPerRun(5, read); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMultipart(b *testing.B) {
	names := claimform.Compile([]string{"user_id", "user_hash", "timestamp", "nonce", "email", "name"})
	body := form("----WebKitFormBoundaryAbC123", userPart, sigPart, otherPart,
		"Content-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\n\r\n"+strings.Repeat("some file\r\n", 64<<10/11))
	var hits claimform.Hits
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := claimform.Multipart(body, "----WebKitFormBoundaryAbC123", names, &hits); err != nil {
			b.Fatal(err)
		}
	}
}
