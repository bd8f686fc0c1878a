package claimform_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
)

// Pieces that form bodies are put together of.
var (
	formNames = []string{
		"user_id", "user_id", "user_id", "user%5Fid", "user%5fid", "%75ser_id", "user_hash", "user_hash",
		"USER_ID", "u%C5%BFer_id", "uſer_id", "user.id", "user%2Eid", "user+id", "user%20id", "user id", "user[id", "user%5Bid",
		"user_id[]", "user_id[a]", "user_id%5B%5D", "user_id[", "user_id]", "[user_id]", "[user_id", "]user_id", "[]user_id",
		"[[user_id]]", "a[user_id]", "user[id]", "user_id[a][b]", "[][user_id]", "user[id.x", "user[id[", "user[id[]", "user[id%00]", "user[id]x", "user[%00]_id",
		"user_id%00", "user_id%00x", "%00user_id", "user_id%00[]", "user\x00_id", "user_id\x00",
		"+user_id", "%20user_id", " user_id", "user_id+", "user_id%20", "%09user_id", "\tuser_id", "%0Auser_id", "\r\nuser_id",
		"user_id\r\n", "user_id%0D%0A", "%0Buser_id", "%A0user_id", "%C2%A0user_id",
		"?user_id", "%3Fuser_id", "??user_id", "\xef\xbb\xbfuser_id", "%EF%BB%BFuser_id", "\xef\xbb\xbf?user_id",
		"user_id%", "user_id%4", "user%u005fid", "%user_id", "user%C1%9Fid", "user_id\xff", "user_id%FF", "%FFuser_id",
		"_user_id", "!user_id", "!_user_id", "%5Fuser_id", ".user_id", "__user_id", "user_id.x", "user_id.", "user__id", "userid", "user-id", "user_id2", "xuser_id", "user_id%3D", "user_id%26", "%26user_id",
		"x;user_id", ";user_id", "user_id;", "user_id;x", "x; user_id", "x%3Buser_id", "ŵser_id", "ŵser_id%FF",
		"", "a", "b", "c", "a%2", "name", "name", "é", "%C3%A9", "a[b]", "_charset_", "__proto__",
	}
	formValues = []string{
		"", "1", "42", "42", "a+b", "%41", "é", "%C3%A9", "%ff", "\xff", "%", "%4", "%zz", "a=b", "=", "a]=b", "a%5D=b", "a%5d=b", "]", "]=",
		"a;b", ";", "a;user_id=2", "a; user_id=2", "a;user_id", "a%3Buser_id=2", "a;user_hash=2;user_id=3", "\n", "a\r\n", "%0D%0A", "\t1",
		"%00", "1%00", "%001", "1\x00", "a%26user_id=2", "%2526", "%EF%BB%BF1", "\xef\xbb\xbf1", "a%u0041", "?", "?user_id=1",
		"+", "%20", "%2B", "%F0%9F%98%80", "%ED%A0%80", "[1]", "{\"user_id\":1}", "user_id", "user_id=2", "\u2028", "%E2%80%A8", "'", "\"1\"",
		"ŵ%FF",
	}
	formJoints = []string{"&", "&", "&", "&", "&", "&&", ";", "&;", "& ", "&amp;", "\n", "&\r\n", "&?", "%26", "=&", ","}
)

// formBodies returns each name with each of some values, each value, and many
// combinations, the same on every run.
func formBodies() (bodies [][]byte) {
	add := func(s string) { bodies = append(bodies, []byte(s)) }
	add("")
	for _, name := range formNames {
		for _, segment := range []string{name, name + "=1", "=" + name, "a=1&" + name + "=1", name + "=1&a=1"} {
			add(segment)
		}
		add("user_id=5&" + name + "=6")
		add(name + "=6&user_id=5")
	}
	for _, value := range formValues {
		add("user_id=" + value)
		add("a=" + value + "&user_id=5")
		add("user_id=5&a=" + value)
	}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	for range 2500 {
		var b strings.Builder
		for i := range 1 + random.IntN(4) {
			if i > 0 {
				b.WriteString(pick(formJoints))
			}
			b.WriteString(pick(formNames))
			if random.IntN(8) > 0 {
				b.WriteString("=" + pick(formValues))
			}
		}
		add(b.String())
	}
	return bodies
}

type multipartBody struct {
	boundary string
	body     []byte
}

var (
	boundaries = []string{
		"b", "b", "b", "b", "----WebKitFormBoundaryAbC123", "-", "--", "-------", "b--", "x-", "a=b", "a'b", "(a)+_,.", "a:b/c?d", "=_x",
		strings.Repeat("b", 70),
	}
	dispositions = []string{
		`form-data; name="user_id"`, `form-data; name="user_id"`, `form-data; name="user_id"`, `form-data; name="user_id"`,
		`form-data; name="a"`, `form-data; name="a"`, `form-data; name="a"; filename="x.txt"`, `form-data; filename="x.txt"; name="a"`,
		`form-data; name="user_hash"`, `form-data; name=user_id`, `form-data;name="user_id"`, "form-data;\tname=\"user_id\"", `form-data;  name="user_id"`,
		"form-data; \tname=\"user_id\"", `form-data ; name="user_id"`, `form-data; name="user_id" `, `form-data; name="user_id";`, `form-data; name=user_id `,
		`form-data; name="user_id" ; x=y`, `form-data; x=y; name="user_id"`, `form-data; name="user_id"; x="y"`, `form-data; name="user_id"; x="a;b"`,
		`form-data; name=user_id; x=y`, `FORM-DATA; NAME="user_id"`, `attachment; name="user_id"`, `name="user_id"`, `form-data`, ``, `form-data; name`,
		`form-data; name=`, `form-data; name=""`, `form-data; name=""; filename="user_id"`, `form-data; name="_user_id"`, `form-data; name="!user_id"`,
		`form-data; filename="C:\a"; name="user_id"`, `form-data; name="user_id"; x="a:b"`, `form-data; name = "user_id"`, `form-data; name ="user_id"`, `form-data; name= "user_id"`,
		`form-data; name='user_id'`, `form-data; name="'user_id'"`, `form-data; name="user\_id"`, `form-data; name="user_id\"`, `form-data; name="user_id\""`,
		`form-data; name="\user_id"`, `form-data; name="x\"; name=\"user_id"`, `form-data; name="user%5Fid"`, `form-data; name="user_id%00"`,
		`form-data; name="USER_ID"`, `form-data; name="user.id"`, `form-data; name="user id"`, `form-data; name="user[id"`, `form-data; name="user_id[]"`,
		`form-data; name="user_id[a]"`, `form-data; name="[user_id]"`, `form-data; name=" user_id"`, `form-data; name="user_id "`, `form-data; name="?user_id"`,
		"form-data; name=\"user_id\x00\"", "form-data; name=\"user_id\xff\"", "form-data; name=\"\ufeffuser_id\"", "form-data; name=\"user_id\u2028\"",
		`form-data; name*=UTF-8''user_id`, `form-data; name="a"; name*=UTF-8''user_id`, `form-data; name*0="user"; name*1="_id"`,
		`form-data; name="a"; name*0="user"; name*1="_id"`, `form-data; name="a"; name="user_id"`, `form-data; name="user_id"; name="a"`,
		`form-data; name="user_id"; NAME="a"`, `form-data; name="=?utf-8?q?user=5Fid?="`, `form-data; name="=?utf-8?b?dXNlcl9pZA==?="`,
		`form-data; name="a"; filename="x; name=user_id"`, `form-data; name="a"; filename="x; name=\"user_id\""`, `form-data; name="a"; filename="x name=user_id;"`,
		`form-data; name="a"; x="y; name=user_id"`, `form-data; name="a; name=user_id"`, `form-data; name="a name=user_id;"`, `form-data; name="user_id; x"`,
		`form-data; name="a"; x=y'z; name2="user_id"`, `form-data; x='; name="a"; y='; name="user_id"`, `form-data; filename*=UTF-8''x; name="user_id"`,
		`form-data; filename*=UTF-8'x; name="a"`, `form-data; name="user_id"; filename="x"`, `form-data; name="user_id"; filename=""`, `form-data; name="user_id"; filename`,
		`form-data; name="user_id"; filename*=UTF-8''x`, `form-data; name="a"; filename="C:\dir\x"`, `form-data; name="a"; filename="C:\dir\"`,
		`form-data; name="a"; filename="é'x"`, "form-data; name=\"a\"; filename=\"caf\xe9.jpg\"", `form-data; name="a"; filename="a's notes; v1 (1).txt"`,
		`form-data; name="a"; filename="x\"; name=\"b.jpg"`, `form-data; name="a"; filename=""`, `form-data; name="a"; x-name="user_id"`, `form-data; name="é"`, `form-data; name="a=b"`, `form-data; name="a;b"`,
		`form-data; name="_charset_"`, `form-data, name="user_id"`, `form-data; name="user_id", name="a"`, `"form-data"; name="user_id"`,
		`form-data (comment); name="user_id"`, `form-data; (comment) name="user_id"`, `form-data; name="user_id" (comment)`, `form-data; name="user_id"x`,
		`form-data; name="us" "er_id"`, `form-data; name="a"; x="` + strings.Repeat("y", 5200) + `"; name="user_id"`,
	}
	otherHeaders = []string{
		"", "", "", "", "", "", "", "", "Content-Type: text/plain\r\n", "content-type: Text/Plain; Charset=\"UTF-8\"\r\n", "Content-Type: text/plain;charset=utf-8\r\n",
		"Content-Type: text/plain; charset=utf-16\r\n", "Content-Type: text/plain; charset=iso-8859-1\r\n",
		"Content-Type: text/plain; charset=us-ascii\r\n", "Content-Type: text/plain; charset=utf-7\r\n", "Content-Type: text/plain; charset=shift_jis\r\n", "Content-Type: application/octet-stream\r\n",
		"Content-Type: application/json\r\n", "Content-Type:\r\n", "Content-Type: multipart/mixed; boundary=x\r\n", "Content-Type: message/rfc822\r\n",
		"Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n", "Content-Transfer-Encoding: 8bit\r\n",
		"Content-Transfer-Encoding: BINARY\r\n", "Content-Transfer-Encoding: 7bit\r\nContent-Length: 2\r\n", "Content-Transfer-Encoding: (x) base64\r\n",
		"Content-Length: 1\r\n", "Content-Length: 1000\r\n", "Content-ID: <user_id>\r\n", "X: y\r\n", "X:\r\n", "X\r\n", "X : y\r\n", " X: y\r\n", "X: y\n", "X: y\r",
		"X: Content-Disposition: form-data; name=\"user_id\"\r\n", "X-Content-Disposition: form-data; name=\"user_id\"\r\n",
		"X: " + strings.Repeat("y", 5119-3) + "Content-Disposition: form-data; name=\"user_id\"\r\n", "X: " + strings.Repeat("y", 5120) + "\r\n",
		"X: y\r\n ; name=\"user_id\"\r\n", "Content-Disposition: form-data; name=\"user_id\"\r\n", "Content-Disposition : form-data; name=\"user_id\"\r\n",
		"Content-Disposition:\r\n form-data; name=\"user_id\"\r\n", "X: \x00\r\n", "X: \x0b\r\n", "X: é\r\n", "X: \xff\r\n", "X: \u0085Content-Disposition: form-data; name=\"user_id\"\r\n",
		"Content-ID: user_id\r\n", "\r\n", "\n", strings.Repeat("X: y\r\n", 14), strings.Repeat("X: y\r\n", 40), "--b\r\n",
	}
	contents = []string{
		"", "1", "42", "42", "42", "é", "\xff", "\x00", "a\r\n", "\r\n", "\r\na", "\n", "a\n", "a\r", "\r", "\xef\xbb\xbf42", "--", "-", "--\r\n", "a\r\n--", "a\r\n-",
		"--b", "a--b", "\r\n--b", "\n--b\n", "a\r\n--bb", "a\r\n--b \r\n", "a\r\n--b--", "a\r\n--b--\r\nb", "\r--b\r", "a\r\n--B\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n1",
		"NDI=", "=34=32", "+AHY-", "\\x34", "a=\r\nb", "Content-Disposition: form-data; name=\"user_id\"\r\n\r\n1", "\r\n\r\n", "utf-8", "UTF-8", "iso-8859-1",
		"--x\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n1\r\n--x--", "%41", "a+b", "a ", " a", "\t",
	}
	tails = []string{"", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\n\r\n", "\r\n\r\n\r\n", " ", "x", "-", "\r\nx"}
)

// part puts a part together, without its delimiter and the CRLF after it.
func part(before, disposition, after, content string) string {
	return before + "Content-Disposition: " + disposition + "\r\n" + after + "\r\n" + content
}

func form(boundary string, parts ...string) []byte {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\n" + p + "\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return []byte(b.String())
}

// multipartBodies returns each piece on its own and many combinations, the
// same on every run.
func multipartBodies() (bodies []multipartBody) {
	add := func(boundary string, body []byte) { bodies = append(bodies, multipartBody{boundary, body}) }
	plain, other := part("", `form-data; name="user_id"`, "", "42"), part("", `form-data; name="a"`, "", "1")
	for _, tail := range tails {
		add("b", append(bytes.TrimSuffix(form("b", plain), []byte("\r\n")), tail...))
		add("b", append([]byte(tail), form("b", plain)...))
	}
	for _, b := range boundaries {
		add(b, form(b, plain))
		add(b, form(b, other, plain, other))
		add(b, form(b))
	}
	for _, d := range dispositions {
		add("b", form("b", part("", d, "", "1")))
		add("b", form("b", plain, part("", d, "", "1")))
		add("b", form("b", part("", d, "", "1"), plain))
	}
	for _, h := range otherHeaders {
		add("b", form("b", part(h, `form-data; name="user_id"`, "", "42")))
		add("b", form("b", part("", `form-data; name="user_id"`, h, "42")))
		add("b", form("b", part(h, `form-data; name="a"`, "", "42"), plain))
		add("b", form("b", part("", `form-data; name="a"`, h, "42"), plain))
		add("b", form("b", part("", `form-data; name="a"`, h, "42")))
	}
	for _, c := range contents {
		add("b", form("b", part("", `form-data; name="user_id"`, "", c)))
		add("b", form("b", part("", `form-data; name="a"`, "", c), plain))
		add("b", form("b", part("", `form-data; name="_charset_"`, "", c), plain))
	}
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	rarely := func(list []string) string {
		if random.IntN(5) == 0 {
			return pick(list)
		}
		return ""
	}
	for range 2500 {
		boundary := pick(boundaries)
		var b strings.Builder
		b.WriteString(rarely([]string{"", "", "", "", "\r\n", "x", "preamble\r\n"}))
		for range 1 + random.IntN(3) {
			disposition := dispositions[random.IntN(9)]
			if random.IntN(3) == 0 {
				disposition = pick(dispositions)
			}
			b.WriteString("--" + boundary + "\r\n" + part(rarely(otherHeaders), disposition, rarely(otherHeaders), pick(contents)) + "\r\n")
		}
		b.WriteString("--" + boundary + "--" + pick(tails))
		body := []byte(b.String())
		if random.IntN(10) == 0 {
			at := random.IntN(len(body))
			body = slices.Insert(body, at, pick([]string{"\r", "\n", " ", "-", "\"", ";", "\x00", "="})[0])
		}
		add(boundary, body)
	}
	return bodies
}
