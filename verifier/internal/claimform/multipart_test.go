package claimform_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

func TestValidBoundary(t *testing.T) {
	for _, tc := range []struct {
		boundary string
		want     bool
	}{
		{"b", true}, {"----WebKitFormBoundaryAbC123", true}, {"'()+_-./:=?", true}, {"*****", true}, {"!#$%&*^`|~", true}, {strings.Repeat("b", 70), true},
		{"", false}, {strings.Repeat("b", 71), false}, {"a b", false}, {"b ", false}, {" b", false}, {"a,b", false}, {"a;b", false},
		{`a"b`, false}, {`a\b`, false}, {"a\r\nb", false}, {"a\x00", false}, {"é", false}, {"a@b", false}, {"a{b", false},
	} {
		if got := claimform.ValidBoundary(tc.boundary); got != tc.want {
			t.Errorf("%q: %v", tc.boundary, got)
		}
	}
	if err := readMultipart([]byte("--a,b--"), "a,b", compile(), new(claimform.Hits)); !errors.Is(err, claimform.ErrMultipart) {
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
	names := compile(list...)
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
			if err := readMultipart([]byte(tc.body), "b", names, &hits); err != nil {
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

// TestMultipartShape: what does not split in one way is no form.
func TestMultipartShape(t *testing.T) {
	names := compile("user_id", "sig")
	headed := func(h string) string { return string(form("b", part(h, `form-data; name="a"`, "", "1"))) }
	whole := string(form("b", userPart))
	for _, tc := range []struct {
		name, body string
		want       error
	}{
		{"one part", whole, nil},
		{"line break first", "\r\n" + whole, nil},
		{"no last line break", strings.TrimSuffix(whole, "\r\n"), nil},
		{"empty lines behind", whole + "\r\n\r\n\r\n", nil},

		{"empty", "", claimform.ErrMultipart},
		{"line break only", "\r\n", claimform.ErrMultipart},
		{"not closed", "--b\r\n" + userPart, claimform.ErrMultipart},
		{"not closed, after a delimiter", "--b\r\n" + userPart + "\r\n--b\r\n", claimform.ErrMultipart},
		{"not closed, within a delimiter", "--b\r\n" + userPart + "\r\n--b-", claimform.ErrMultipart},
		{"delimiter only", "--b", claimform.ErrMultipart},
		{"half a delimiter", "--", claimform.ErrMultipart},
		{"another delimiter", "--c--", claimform.ErrMultipart},
		{"preamble", "x\r\n" + whole, claimform.ErrMultipart},
		{"preamble of dashes", "-" + whole, claimform.ErrMultipart},
		{"two line breaks first", "\r\n\r\n" + whole, claimform.ErrMultipart},
		{"half a line break first", "\n" + whole, claimform.ErrMultipart},
		{"the other half first", "\r" + whole, claimform.ErrMultipart},
		{"epilogue", whole + "x", claimform.ErrMultipart},
		{"blank behind", whole + " \r\n", claimform.ErrMultipart},
		{"half a line break behind", whole + "\r", claimform.ErrMultipart},
		{"line feed behind", whole + "\n", claimform.ErrMultipart},
		{"form within the epilogue", string(form("b", otherPart)) + whole, claimform.ErrMultipart},
		{"padded delimiter", "--b \r\n" + userPart + "\r\n--b--", claimform.ErrMultipart},
		{"line feed only", "--b\n" + userPart + "\r\n--b--", claimform.ErrMultipart},
		{"line feed before a delimiter", "--b\r\n" + userPart + "\n--b--", claimform.ErrMultipart},
		{"boundary within a line", "--b\r\n" + userPart + "--b\r\n--b--", claimform.ErrMultipart},
		{"boundary of a longer word", "--b\r\n" + userPart + "\r\n--bb\r\n--b--", claimform.ErrMultipart},
		{"boundary in a header", headed("X: --b\r\n"), claimform.ErrMultipart},
		{"empty part", "--b\r\n--b--", claimform.ErrMultipart},
		{"part of a line break", "--b\r\n\r\n--b--", claimform.ErrMultipart},
		{"part without a header", "--b\r\n\r\n1\r\n--b--", claimform.ErrMultipart},
		// Rack and werkzeug look for the header behind the empty line.
		{"header behind an empty line", "--b\r\n\r\n" + userPart + "\r\n--b--", claimform.ErrMultipart},
		{"part without an empty line", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n--b--", claimform.ErrMultipart},
		{"empty line that is the delimiter's", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--b--", claimform.ErrMultipart},
		// Rack takes the next part's header for this one's.
		{"empty line of line feeds", "--b\r\nContent-Disposition: form-data; name=\"a\"\n\n1\r\n--b--", claimform.ErrMultipart},
		{"parts within a part", headed("Content-Type: multipart/mixed; boundary=c\r\n"), claimform.ErrMultipart},
		{"parts within an odd part", headed("Content-Type: Multipart/Mixed; boundary=c\r\nX\r\n"), claimform.ErrMultipart},
		{"header of 8 KiB", headed(long(8<<10 - 44)), nil},
		{"longer header", headed(long(8<<10 - 43)), claimform.ErrMultipart},
		{"part of no end", "--b\r\n" + strings.Repeat("x", 1<<20), claimform.ErrMultipart},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var hits claimform.Hits
			checkFault(t, readMultipart([]byte(tc.body), "b", names, &hits), &hits, tc.want, -1)
		})
	}
}

// long returns header lines that have together so many bytes.
func long(size int) string {
	lines := strings.Repeat("X: "+strings.Repeat("y", 3000)+"\r\n", 2)
	return lines + "X: " + strings.Repeat("y", size-len(lines)-5) + "\r\n"
}

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
				var hits claimform.Hits
				err := readMultipart(body, "b", names, &hits)
				if named && !tc.plain {
					checkFault(t, err, &hits, claimform.ErrHeader, -1)
					if he, ok := errors.AsType[*claimform.HeaderError](err); !ok || he.Name != "sig" {
						t.Errorf("%v names no sig", err)
					}
					// Whatever the caller does not say can stand there.
					m := claimform.NewMultipart("b", names, nil, math.MaxInt64, &hits)
					m.Write(body)
					checkFault(t, m.Close(), &hits, claimform.ErrHeader, -1)
				} else if got := show([]string{"user_id", "sig"}, hits.List); err != nil || got != "user_id=42" {
					t.Errorf("named %v: got %v, %q", named, err, got)
				} else if left := string(cutHits(body, hits.List, every)); left != string(form("b", odd)) {
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
			var hits claimform.Hits
			checkFault(t, readMultipart(form("b", bad, userPart), "b", names, &hits), &hits, tc.want, 1)
			if len(hits.List) != 2 || string(hits.List[1].Value) != "42" || tc.want == nil && string(hits.List[0].Value) != tc.content {
				t.Errorf("found %q", show(list, hits.List))
			}
			// Of a field that nobody looks for all that means nothing.
			other := strings.ReplaceAll(bad, "sig", "xyz")
			if err := readMultipart(form("b", other, userPart), "b", names, &hits); err != nil || show(list, hits.List) != "user_id=42" {
				t.Errorf("another's: %v, %q", err, show(list, hits.List))
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
		var hits claimform.Hits
		err := readMultipart(form("b", userPart, part("", tc.disposition, tc.more, tc.content)), "b", compile("user_id"), &hits)
		checkFault(t, err, &hits, tc.want, -1)
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
		{`form-data; name="user"; filename="user"`, "Content-Type: application/json\r\n", `{"id":1}`, ""},

		// An object that nobody has named may be such a text.
		{`form-data; name="user";`, "", `{"id":1}`, `user/?={"id":1}`},
		{`form-data; name*=utf-8''user`, "", "\xef\xbb\xbf \r\n[1]", `user/?=[1]`},
		{`attachment; name="user"`, "", "// x\n{}", "user/?=// x\n{}"},
		{`attachment; name="user"`, "", "\xff\xfe{\x00}\x00", "user/?={\x00}\x00"},
		{`attachment; name="user"`, "", ` text {"id":1}`, ""},
		{`attachment; name="user"`, "", " \r\n ", ""},
		{`attachment; name="user"`, "", "\xff\xd8\xff\xe0{", ""},
		{`attachment; name="user"`, "Content-Transfer-Encoding: base64\r\n", "eyJpZCI6MX0=", "user/?!=eyJpZCI6MX0="},
		{`attachment; filename="x"`, "Content-Transfer-Encoding: base64\r\n", "eyJpZCI6MX0=", ""},
	} {
		var hits claimform.Hits
		body := form("b", part("", tc.disposition, tc.more, tc.content), part("", `form-data; name="id"`, "", "2"))
		err := readMultipart(body, "b", nested(list...), &hits)
		want := strings.TrimSpace(tc.want + " id=2")
		if got := show(list, hits.List); err != nil || got != want {
			t.Errorf("%s, %q: got %v, %q, want %q", tc.disposition, tc.content, err, got, want)
		}
		if tc.want == "" {
			continue
		}
		if left := cutHits(body, hits.List, every); string(left) != "--b--\r\n" {
			t.Errorf("%s, %q: leaves %q", tc.disposition, tc.content, left)
		}
	}
}

// TestMaxFields: fields and their headers have a limit, together, and files none.
func TestMaxFields(t *testing.T) {
	header := len(part("", `form-data; name="a"`, "", ""))
	for _, tc := range []struct {
		name  string
		parts []string
		max   int
		want  error
	}{
		{"as long as may be", []string{part("", `form-data; name="a"`, "", strings.Repeat("x", 1000))}, header + 1000, nil},
		{"longer", []string{part("", `form-data; name="a"`, "", strings.Repeat("x", 1001))}, header + 1000, claimform.ErrFields},
		{"two", []string{part("", `form-data; name="a"`, "", strings.Repeat("x", 500)), part("", `form-data; name="a"`, "", strings.Repeat("x", 500))}, 2*header + 1000, nil},
		{"two that are longer", []string{part("", `form-data; name="a"`, "", strings.Repeat("x", 500)), part("", `form-data; name="a"`, "", strings.Repeat("x", 501))}, 2*header + 1000, claimform.ErrFields},
		{"header", []string{part("", `form-data; name="a"`, "X: "+strings.Repeat("y", 900)+"\r\n", "")}, 900, claimform.ErrFields},
		{"delimiters within", []string{part("", `form-data; name="a"`, "", strings.Repeat("\r\n--", 250))}, header + 1000, nil},
		{"watched", []string{part("", `form-data; name="user_id"`, "", strings.Repeat("x", 2000))}, 1000, claimform.ErrFields},
		{"on the way", []string{part("Content-Type: application/json\r\n", `form-data; name="user"`, "", strings.Repeat("x", 2000))}, 1000, claimform.ErrFields},
		{"perhaps on the way", []string{part("X\r\n", `form-data; name="b"`, "", "{"+strings.Repeat("x", 2000))}, 1000, claimform.ErrFields},
		{"file", []string{part("", `form-data; name="a"; filename="x"`, "", strings.Repeat("x", 100_000))}, 0, nil},
		{"watched file", []string{part("", `form-data; name="user_id"; filename="x"`, "", strings.Repeat("x", 100_000))}, 0, nil},
		{"type", []string{part("Content-Type: image/png\r\n", `form-data; name="a"`, "", strings.Repeat("x", 100_000))}, 0, nil},
		{"odd part", []string{part("X\r\n", `form-data; name="a"`, "", strings.Repeat("x", 100_000))}, 0, nil},
		{"before what is no form", []string{part("", `form-data; name="a"`, "", strings.Repeat("x", 2000)), "X"}, header + 1000, claimform.ErrFields},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := form("boundary", tc.parts...)
			for _, size := range []int{len(body), 1, 7, 100} {
				var hits claimform.Hits
				m := claimform.NewMultipart("boundary", nested("user_id", "user/"), nameStands, int64(tc.max), &hits)
				n, wrote, err := 0, 0, error(nil)
				for chunk := range slices.Chunk(body, size) {
					if n, err = m.Write(chunk); err != nil {
						break
					}
					wrote += n
				}
				if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
					t.Errorf("in pieces of %d: %v, want %v", size, err, tc.want)
				}
				if err == nil && wrote != len(body) {
					t.Errorf("%d bytes of %d are written", wrote, len(body))
				}
				if most := tc.max + len(body)/2 + 200; tc.want != nil && wrote > most && size < len(body) {
					t.Errorf("%d bytes are read, want at most %d", wrote, most)
				}
				if _, again := m.Write([]byte("x")); tc.want != nil && (!errors.Is(again, tc.want) || !errors.Is(m.Close(), tc.want)) {
					t.Errorf("then %v, %v", again, m.Close())
				}
			}
		})
	}
}

// TestMultipartPieces: it does not matter in what pieces a body arrives.
func TestMultipartPieces(t *testing.T) {
	names := nested("user_id", "user_hash", "user/")
	random := rand.New(rand.NewPCG(5, 6))
	var at, pieces claimform.Hits
	var m claimform.Multipart
	read := func(c multipartBody, max int64, hits *claimform.Hits, size func() int) error {
		m.Reset(c.boundary, names, nameStands, max, hits)
		for rest := c.body; len(rest) > 0; {
			n := min(size(), len(rest))
			piece := slices.Clone(rest[:n]) // as a buffer that is used again
			if _, err := m.Write(piece); err != nil {
				break
			}
			clear(piece)
			rest = rest[n:]
		}
		return m.Close()
	}
	bodies := append(multipartBodies(), multipartBody{"b", []byte(sized("user_id", 64<<10) + "--b--")}, multipartBody{"b", []byte(sized("user_id", 64<<10+1) + "--b--")})
	for _, c := range bodies {
		for _, max := range []int64{math.MaxInt64, 200} {
			err := read(c, max, &at, func() int { return len(c.body) })
			for _, size := range []func() int{func() int { return 1 }, func() int { return 1 + random.IntN(20) }, func() int { return 1 + random.IntN(200) }} {
				if got := read(c, max, &pieces, size); !reflect.DeepEqual(got, err) || !reflect.DeepEqual(pieces.List, at.List) {
					t.Fatalf("%q: at once %v, %v, in pieces %v, %v", c.body, err, at.List, got, pieces.List)
				}
			}
		}
	}
}

func TestMultipartAllocs(t *testing.T) {
	names := compile("user_id", "sig")
	parts := make([]string, 0, 500)
	for i := range 100 {
		parts = append(parts, userPart, otherPart, filePart, part("X\r\n", `form-data; name="c"`, "", "1"), part("", `form-data; name="u%73er_id"`, "", "1"), part("", fmt.Sprintf(`form-data; name="a%d"`, i), "", ""))
	}
	body := form("----WebKitFormBoundaryAbC123", parts...)
	var hits claimform.Hits
	var m claimform.Multipart
	for _, size := range []int{len(body), 100} {
		read := func() {
			m.Reset("----WebKitFormBoundaryAbC123", names, func([]byte) (string, bool) { return "", false }, math.MaxInt64, &hits)
			for chunk := range slices.Chunk(body, size) {
				m.Write(chunk)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
		read()
		if len(hits.List) != 16 || !hits.More(0) {
			t.Errorf("%d hits", len(hits.List))
		}
		if n := testing.AllocsPerRun(5, read); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func BenchmarkMultipart(b *testing.B) {
	names := compile("user_id", "user_hash", "timestamp", "nonce", "email", "name")
	const boundary = "----WebKitFormBoundaryAbC123"
	random := make([]byte, 64<<20)
	rand.NewChaCha8([32]byte{}).Read(random)
	for _, tc := range []struct{ name, file string }{
		{"small", strings.Repeat("some file\r\n", 100)},
		{"64KiB of text", strings.Repeat("some file\r\n", 64<<10/11)},
		{"64MiB of noise", string(random)},
		{"64MiB of dashes", strings.Repeat("-", 64<<20)},
		{"64MiB of nearly delimiters", strings.Repeat("\r\n------WebKitFormBoundaryAbC12", 64<<20/32)},
		{"64MiB of lines", strings.Repeat("\r\n", 32<<20)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			body := form(boundary, userPart, sigPart, otherPart, "Content-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\n\r\n"+tc.file)
			var hits claimform.Hits
			var m claimform.Multipart
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				m.Reset(boundary, names, nil, math.MaxInt64, &hits)
				for chunk := range slices.Chunk(body, 32<<10) {
					m.Write(chunk)
				}
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
