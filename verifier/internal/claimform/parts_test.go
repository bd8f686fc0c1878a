package claimform_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// TestPartHeaders: a part whose header does not read in one way is nobody's, and
// refused where a watched name can stand in it.
func TestPartHeaders(t *testing.T) {
	names := compile("user_id", "sig")
	for _, tc := range []struct {
		name, disposition, more string
		plain                   bool // it reads in one way
	}{
		{"plain", `form-data; name="a"`, "", true},
		{"16 lines", `form-data; name="a"`, strings.Repeat("X: y\r\n", 15), true},
		{"line of 4 KiB", `form-data; name="a"`, "X: " + strings.Repeat("y", 4096-3) + "\r\n", true},
		{"content id", `form-data; name="a"`, "Content-ID: <sig>\r\n", true},
		{"content length", `form-data; name="a"`, "Content-Length: 1000\r\n", true},
		{"another header", `form-data; name="a"`, "X-Sig: name=sig\r\n", true},
		{"type", `form-data; name="a"`, "Content-Type: sig/sig; charset=utf-16; name=sig\r\n", true},
		{"transfer encoding", `form-data; name="a"`, "Content-Transfer-Encoding: sig\r\n", true},
		{"file", `form-data; name="a"; filename="sig"`, "Content-Type: image/jpeg\r\n", true},
		{"empty file name", `form-data; name="a"; filename=""`, "", true},
		{"semicolon in a file name", `form-data; name="a"; filename="a's notes; v1 (1).sig"`, "", true},
		{"backslash in a file name", `form-data; name="a"; filename="C:\Users\sig.jpg"`, "", true},
		{"escaped quotes in a file name", `form-data; name="a"; filename="a %22sig%22.jpg"`, "", true},
		{"file name not UTF-8", "form-data; name=\"a\"; filename=\"caf\xe9 sig.jpg\"", "", true},
		{"file name beyond ASCII", `form-data; name="a"; filename="фото sig.jpg"`, "", true},
		{"extended file name", `form-data; name="a"; filename="x"; filename*=UTF-8''sig%20%E2%82%AC`, "", true},

		{"two dispositions", `form-data; name="a"`, "content-disposition: form-data; name=\"sig\"\r\n", false},
		{"disposition within a header", `form-data; name="a"`, "X: Content-Disposition: form-data; name=\"sig\"\r\n", false},
		{"two types", `form-data; name="a"`, "Content-Type: text/plain\r\nContent-Type: sig\r\n", false},
		{"two encodings", `form-data; name="a"`, "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: sig\r\n", false},
		{"folded", `form-data; name="a"`, "X: y\r\n sig\r\n", false},
		{"folded name", "form-data;\r\n name=\"sig\"", "", false},
		{"no colon", `form-data; name="a"`, "sig\r\n", false},
		{"blank before the colon", `form-data; name="a"`, "X : sig\r\n", false},
		{"no header name", `form-data; name="a"`, ": sig\r\n", false},
		{"NUL in a header", `form-data; name="a"`, "X: \x00sig\r\n", false},
		{"line feed in a header", `form-data; name="a"`, "X: y\nZ: sig\r\n", false},
		{"carriage return in a header", `form-data; name="a"`, "X: y\rZ: sig\r\n", false},
		{"line feed behind the disposition", "form-data; name=\"sig\"\n", "X: y\r\n", false},
		{"17 lines", `form-data; name="a"`, strings.Repeat("X: sig\r\n", 16), false},
		{"longer line", `form-data; name="a"`, "X: sig" + strings.Repeat("y", 4097-6) + "\r\n", false},

		{"no name", `form-data`, "Content-ID: sig\r\n", false},
		{"empty name, content id", `form-data; name=""`, "Content-ID: sig\r\n", false},
		{"empty name, file name", `form-data; name=""; filename="sig"`, "", false},
		{"empty name, type", `form-data; name=""`, "Content-Type: sig\r\n", false},
		{"colon before the name", `form-data; filename="C:\x.txt"; name="a"`, "Content-ID: sig\r\n", false},
		{"name without a value", `form-data; name; sig`, "", false},
		{"attachment", `attachment; name="sig"`, "", false},
		{"no kind", `name="sig"`, "", false},
		{"two names", `form-data; name="a"; name="sig"`, "", false},
		{"two names in another case", `form-data; name="a"; NAME="sig"`, "", false},
		{"two filenames", `form-data; name="a"; filename="x"; Filename="sig"`, "", false},
		{"extended name", `form-data; name="a"; name*=UTF-8''sig`, "", false},
		{"extended name, escaped", `form-data; name*=UTF-8''%73ig`, "", false},
		{"name in pieces", `form-data; name="a"; name*0="si"; name*1="g"`, "", false},
		{"parameter that ends in name", `form-data; name="a"; x-name="sig"`, "", false},
		{"name within a filename", `form-data; name="a"; filename="x; name=sig"`, "", false},
		{"escaped quote", `form-data; name="a\"; sig"`, "", false},
		{"escaped quote in a file name", `form-data; name="a"; filename="x\"; name=\"sig.jpg"`, "", false},
		{"backslash in a name", `form-data; name="s\ig"`, "", false},
		{"backslash at a filename's end", `form-data; name="a"; filename="C:\sig\"`, "", false},
		{"single quotes", `form-data; name='sig'`, "", false},
		{"single quote without a pair", `form-data; x='; name="a"; y='sig`, "", false},
		{"open quote", `form-data; name="sig`, "", false},
		{"after the quotes", `form-data; name="a"sig`, "", false},
		{"blanks around the equals sign", `form-data; name = "sig"`, "", false},
		{"trailing semicolon", `form-data; name="sig";`, "", false},
		{"encoded word", `form-data; name="=?utf-8?q?s=69g?="`, "", false},
		{"name not UTF-8", "form-data; name=\"\xffsig\"", "", false},
		{"nine parameters", `form-data; name="a"; a=1; b=1; c=1; d=1; e=1; f=1; g=1; h=sig`, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, named := range []bool{true, false} {
				odd := part("", tc.disposition, tc.more, "1")
				if !named {
					odd = strings.NewReplacer("sig", "xyz", "Sig", "Xyz", "si", "xy", `s\ig`, `x\yz`, "%73ig", "%78yz", "s=69g", "x=79z").Replace(odd)
				}
				body := form("b", odd, userPart)
				var matches claimform.Matches
				err := readMultipart(body, "b", names, &matches)
				if named && !tc.plain {
					checkFault(t, err, &matches, claimform.ErrHeader, -1)
					if he, ok := errors.AsType[*claimform.HeaderError](err); !ok || he.Name != "sig" {
						t.Errorf("%v names no sig", err)
					}
					// Whatever the caller does not say can stand there.
					m := claimform.NewMultipart("b", names, nil, math.MaxInt64, &matches)
					m.Write(body)
					checkFault(t, m.Close(), &matches, claimform.ErrHeader, -1)
				} else if got := show([]string{"user_id", "sig"}, matches.List); err != nil || got != "user_id=42" {
					t.Errorf("named %v: got %v, %q", named, err, got)
				} else if left := string(cutHits(body, matches.List, every)); left != string(form("b", odd)) {
					t.Errorf("leaves %q", left)
				}
			}
		})
	}
}

// TestPartFields: a watched field is text that every parser reads alike.
func TestPartFields(t *testing.T) {
	list := []string{"user_id", "sig"}
	names := compile(list...)
	const named = `form-data; name="sig"`
	for _, tc := range []struct {
		name, disposition, more, content string
		want                             error
	}{
		{"plain", named, "", "é", nil},
		{"text/plain", named, "Content-Type: text/plain\r\n", "é", nil},
		{"UTF-8", named, "Content-Type: Text/Plain ; Charset=\"utf-8\"\r\n", "é", nil},
		{"Retrofit", named, "Content-Type: text/plain; charset=UTF-8\r\nContent-Length: 2\r\nContent-Transfer-Encoding: binary\r\n", "é", nil},
		{"8bit", named, "Content-Transfer-Encoding: 8Bit\r\n", "é", nil},
		{"7bit", named, "content-transfer-encoding:\t7BIT \r\n", "é", nil},
		{"ASCII in another charset", named, "Content-Type: text/plain; charset=iso-8859-1\r\n", "42", nil},
		{"ASCII in US-ASCII", named, "Content-Type: text/plain;charset=US-ASCII\r\n", "42", nil},
		{"ASCII in a code page", named, "Content-Type: text/plain; charset=\"Windows-1252\"\r\n", "42", nil},
		{"ASCII in EUC", named, "Content-Type: text/plain; charset=euc-kr\r\n", "42", nil},

		{"file", `form-data; name="sig"; filename="x"`, "", "1", claimform.ErrPart},
		{"file without a name", `form-data; name="sig"; filename=""`, "", "1", claimform.ErrPart},
		{"extended file name", `form-data; name="sig"; filename*=UTF-8''x`, "", "1", claimform.ErrPart},
		{"variant that is a file", `form-data; name="sig[]"; filename="x"`, "", "1", claimform.ErrPart},
		{"base64", named, "Content-Transfer-Encoding: base64\r\n", "NDI=", claimform.ErrPart},
		{"quoted-printable", named, "Content-Transfer-Encoding: quoted-printable\r\n", "=34", claimform.ErrPart},
		{"an encoding that nobody knows", named, "Content-Transfer-Encoding: x\r\n", "1", claimform.ErrPart},
		{"encoding with a comment", named, "Content-Transfer-Encoding: (x) base64\r\n", "NDI=", claimform.ErrPart},
		{"no encoding", named, "Content-Transfer-Encoding:\r\n", "1", claimform.ErrPart},
		{"another charset", named, "Content-Type: text/plain; charset=iso-8859-1\r\n", "é", claimform.ErrPart},
		// werkzeug reads victim.
		{"UTF-7", named, "Content-Type: text/plain; charset=utf-7\r\n", "+AHYAaQBjAHQAaQBt-", claimform.ErrPart},
		{"UTF-16", named, "Content-Type: text/plain; charset=utf-16\r\n", "42", claimform.ErrPart},
		{"a codec of Python's", named, "Content-Type: text/plain; charset=unicode_escape\r\n", `\x76ictim`, claimform.ErrPart},
		{"EBCDIC", named, "Content-Type: text/plain; charset=cp037\r\n", "42", claimform.ErrPart},
		{"escapes in ISO 2022", named, "Content-Type: text/plain; charset=iso-2022-jp\r\n", "42", claimform.ErrPart},
		{"two charsets", named, "Content-Type: text/plain; charset=utf-8; charset=utf-7\r\n", "42", claimform.ErrPart},
		{"charset within quotes", named, "Content-Type: text/plain; x=\"; charset=utf-8\"\r\n", "42", claimform.ErrPart},
		{"JSON", named, "Content-Type: application/json\r\n", "1", claimform.ErrPart},
		{"bytes", named, "Content-Type: application/octet-stream\r\n", "1", claimform.ErrPart},
		{"another parameter", named, "Content-Type: text/plain; format=flowed\r\n", "1", claimform.ErrPart},
		{"no parameter", named, "Content-Type: text/plain;\r\n", "1", claimform.ErrPart},
		{"empty type", named, "Content-Type:\r\n", "1", claimform.ErrPart},
		{"no blank before the name", `form-data;name="sig"`, "", "1", claimform.ErrPart},
		{"not UTF-8", named, "", "\xff", claimform.ErrUTF8},
		{"not UTF-8, but ASCII", named, "Content-Type: text/plain; charset=iso-8859-1\r\n", "\xff", claimform.ErrUTF8},
		{"byte-order mark", named, "", "\ufeff1", claimform.ErrUTF8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bad := part("", tc.disposition, tc.more, tc.content)
			var matches claimform.Matches
			checkFault(t, readMultipart(form("b", bad, userPart), "b", names, &matches), &matches, tc.want, 1)
			if len(matches.List) != 2 || string(matches.List[1].Value) != "42" || tc.want == nil && string(matches.List[0].Value) != tc.content {
				t.Errorf("found %q", show(list, matches.List))
			}
			// Of a field that nobody looks for all that means nothing.
			other := strings.ReplaceAll(bad, "sig", "xyz")
			if err := readMultipart(form("b", other, userPart), "b", names, &matches); err != nil || show(list, matches.List) != "user_id=42" {
				t.Errorf("another's: %v, %q", err, show(list, matches.List))
			}
		})
	}
}

// TestCharsetPart: a part says in what charset all others are.
func TestCharsetPart(t *testing.T) {
	for _, tc := range []struct {
		disposition, more, content string
		want                       error
	}{
		{`form-data; name="_charset_"`, "", "UTF-8", nil},
		{`form-data; name="_charset_"`, "Content-Type: text/plain; charset=utf-8\r\n", "us-ascii", nil},
		{`form-data; name="_charset_"`, "", "iso-8859-1", claimform.ErrCharset},
		{`form-data; name="_charset_"`, "", "", claimform.ErrCharset},
		{`form-data; name="_charset_"`, "", strings.Repeat("utf-8", 20000), claimform.ErrCharset},
		{`form-data; name="_Charset_"`, "", "utf-7", claimform.ErrCharset},
		{`form-data; name="_charset%5F"`, "", "utf-7", claimform.ErrCharset},
		{`form-data; name="_charset_"; filename="x"`, "", "utf-8", claimform.ErrCharset},
		{`form-data; name="_charset_"`, "Content-Transfer-Encoding: base64\r\n", "utf-8", claimform.ErrCharset},
		{`form-data; name="_charset_";`, "", "utf-8", claimform.ErrCharset},
	} {
		var matches claimform.Matches
		err := readMultipart(form("b", userPart, part("", tc.disposition, tc.more, tc.content)), "b", compile("user_id"), &matches)
		checkFault(t, err, &matches, tc.want, -1)
	}
}

// TestWayPart: a text on the way is found whatever the part says that it is, but
// for a file.
func TestWayPart(t *testing.T) {
	list := []string{"user/", "id"}
	for _, tc := range []struct {
		disposition, more, content string
		want                       string
	}{
		{`form-data; name="user"`, "", `{"id":1}`, `user/={"id":1}`},
		{`form-data; name="user[0]"`, "", `{"id":1}`, `user/?={"id":1}`},
		{`form-data; name="user"`, "Content-Type: application/json\r\n", `{"id":1}`, `user/={"id":1}`},
		{`form-data; name="user"`, "Content-Type: application/json; charset=iso-8859-1\r\n", "{\"\xff\":1}", "user/={\"\xff\":1}"},
		{`form-data; name="user"`, "Content-Type: application/octet-stream\r\n", "\xef\xbb\xbf{}", "user/=\xef\xbb\xbf{}"},
		// What bytes these are cannot be told.
		{`form-data; name="user"`, "Content-Type: application/json; charset=utf-7\r\n", "+AHs-", "user/!=+AHs-"},
		{`form-data; name="user"`, "Content-Transfer-Encoding: base64\r\n", "e30=", "user/!=e30="},
		{`form-data; name="user"; filename="user"`, "Content-Type: application/json\r\n", `{"id":1}`, `user/?={"id":1}`},
		{`form-data; name="user"; filename="user"`, "", "\xff\xd8\xff\xe0{", ""},

		// An object that nobody has named may be such a text.
		{`form-data; name="user";`, "", `{"id":1}`, `user/?={"id":1}`},
		{`form-data; name*=utf-8''user`, "", "\xef\xbb\xbf \r\n[1]", `user/?=[1]`},
		{`attachment; name="user"`, "", "// x\n{}", "user/?=// x\n{}"},
		{`attachment; name="user"`, "", "\xff\xfe{\x00}\x00", "user/?={\x00}\x00"},
		{`attachment; name="user"`, "", ` text {"id":1}`, ""},
		{`attachment; name="user"`, "", " \r\n ", ""},
		{`attachment; name="user"`, "", "\xff\xd8\xff\xe0{", ""},
		{`attachment; name="user"`, "Content-Transfer-Encoding: base64\r\n", "eyJpZCI6MX0=", "user/?!=eyJpZCI6MX0="},
		{`attachment; filename="x"`, "Content-Transfer-Encoding: base64\r\n", "eyJpZCI6MX0=", "user/?!=eyJpZCI6MX0="},
		{`form-data; name="user"; x`, "X: filename\r\nContent-Type: text/plain; charset=utf-7\r\n", "+AHs-", "user/?!=+AHs-"},
	} {
		var matches claimform.Matches
		body := form("b", part("", tc.disposition, tc.more, tc.content), part("", `form-data; name="id"`, "", "2"))
		err := readMultipart(body, "b", nested(list...), &matches)
		want := strings.TrimSpace(tc.want + " id=2")
		if got := show(list, matches.List); err != nil || got != want {
			t.Errorf("%s, %q: got %v, %q, want %q", tc.disposition, tc.content, err, got, want)
		}
		if tc.want == "" {
			continue
		}
		if left := cutHits(body, matches.List, every); string(left) != "--b--\r\n" {
			t.Errorf("%s, %q: leaves %q", tc.disposition, tc.content, left)
		}
	}
}
