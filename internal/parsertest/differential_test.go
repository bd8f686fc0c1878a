package parsertest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// A differentialSite is a gateway that reads the user id in a place of its own.
type differentialSite struct {
	title     string
	directive string
	query     bool // it reads claims in the query
	names     []string
	signature string
	way       []string // to the object that holds both
	address   string
}

func differentialSites() []*differentialSite {
	site := func(options string) string {
		return "chat_identity optional {\nsecret {env.TEST_SECRET}\n" + options + "\n}"
	}
	return []*differentialSite{
		{title: "bookbag", directive: site(""), query: true, names: []string{"user_id"}, signature: "user_hash"},
		{title: "nextcap", directive: site("dialect nextcap"), query: true, names: []string{"userId"}, signature: "userHash"},
		{title: "inviaro", directive: site("dialect inviaro"), query: true, names: []string{"user_id", "userId"}, signature: "userHash"},
		{title: "replybubble", directive: site("dialect replybubble"), names: []string{"id"}, signature: "signature"},
		{title: "nested", directive: site("at /payload"), query: true, names: []string{"user_id"}, signature: "user_hash", way: []string{"payload"}},
		{
			title: "custom", directive: site("claim user_id body /data/user/id\nclaim signature body /data/user/hash"),
			names: []string{"id"}, signature: "hash", way: []string{"data", "user"},
		},
	}
}

// block is the site in a Caddyfile, in front of an address.
func (s *differentialSite) block(t testing.TB, upstream string) string {
	s.address = fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
	return fmt.Sprintf("http://%s {\n%s\nreverse_proxy %s\n}\n", s.address, s.directive, upstream)
}

func (s *differentialSite) paths() (paths [][]string) {
	for _, name := range s.names {
		paths = append(paths, append(slices.Clone(s.way), name))
	}
	return paths
}

// wrap puts members where the site looks for them.
func (s *differentialSite) wrap(members string) string {
	document := "{" + members + "}"
	for i := len(s.way) - 1; i >= 0; i-- {
		document = fmt.Sprintf(`{"x":[1],%q:%s,"y":{"z":"}"}}`, s.way[i], document)
	}
	return document
}

// fill puts the site's own names, and the digests of the users that an
// attacker may well be, into a template: §n and §s are the names of user id and
// signature, §o is another of the user id's names, §A, §4 and §Z digests.
func (s *differentialSite) fill(template string) string {
	return strings.NewReplacer(
		"§n", s.names[0], "§o", s.names[len(s.names)-1], "§s", s.signature,
		"§A", sign("alice"), "§4", sign("42"), "§Z", sign("zoë"),
	).Replace(template)
}

// A sample is one request of the differential test.
type sample struct {
	contentType string // "" sends none
	body        string
	chunked     bool
}

// jsonSpellings returns names that some parser might take for name, in JSON.
func jsonSpellings(name string) []string {
	first, rest := name[:1], name[1:]
	all := []string{
		name, name, name, strings.ToUpper(name), strings.ToLower(name), strings.ToUpper(first) + rest,
		fmt.Sprintf(`\u%04x`, first[0]) + rest, fmt.Sprintf(`\u%04X`, strings.ToUpper(first)[0]) + rest,
		strings.NewReplacer("s", "ſ", "S", "ſ", "k", "\u212a", "i", "ı").Replace(name),
		strings.NewReplacer("s", `\u017f`, "k", `\u212A`, "i", `\u0131`).Replace(name),
		strings.NewReplacer("i", "İ").Replace(name), strings.ReplaceAll(name, "_", "\uff3f"), strings.ReplaceAll(name, "_", "-"),
		name + `\u0000`, `\u0000` + name, name + "\x00", " " + name, name + " ", name + `\t`, `\ufeff` + name, "\ufeff" + name,
		name + `\ud800`, `\udc00` + name, name + "\xff", name + "\u200b", name + "[]", name + "[0]", "[" + name + "]", "/" + name, `\/` + name,
		`\` + name, name[:2] + `\` + name[2:], `\x` + name, strings.ReplaceAll(name, "_", "."), "__proto__", "constructor", "", name[:1],
		"\xc0\xf5" + rest, `"` + name + `"`, "'" + name + "'", name + `\"`, strings.ReplaceAll(name, "_", ""), strings.ReplaceAll(name, "_", "__"),
	}
	var escaped strings.Builder
	for _, c := range name {
		fmt.Fprintf(&escaped, `\u%04x`, c)
	}
	return append(all, escaped.String())
}

var jsonValues = []string{
	`"alice"`, `"alice"`, `"alice"`, `"\u0061lice"`, `"victim"`, `"victim"`, `null`, `""`, `42`, `"42"`, `-0`, `0`, `1e2`, `42.0`, `4.2e1`, `042`, `+42`,
	`9007199254740991`, `9007199254740993`, `-9007199254740993`, `1e400`, `true`, `["victim"]`, `{"x":"victim"}`, `"victim\u0000"`, `"alice\u0000"`,
	`"alice\ud800"`, `"\ud83d\ude00"`, `NaN`, `Infinity`, `-Infinity`, `undefined`, `'victim'`, "\"ali\nce\"", "\"alice\xff\"", `"zoë"`, `"zo\u00eb"`, `"zoe\u0308"`,
	`"\q"`, `"alice"/**/`, `/**/"alice"`, "\"alice\"//\n", `"ali""ce"`, `"alice`, `{}`, `[]`, `[[]]`, `" alice"`, `"alice "`, `"Alice"`, "\"alice\u0085\"", `"\/alice"`, `0x2a`,
	`"{\"§n\":\"victim\"}"`, `"&§n=victim&"`, `{"§n":"victim"}`, `[{"§n":"victim"}]`, strings.Repeat("[", 600) + strings.Repeat("]", 600),
	strings.Repeat("[", 1200) + strings.Repeat("]", 1200), `"` + strings.Repeat("é", 400) + `"`,
}

var signatureValues = []string{`"§A"`, `"§A"`, `"§A"`, `"§A"`, `"§4"`, `"§Z"`, `"` + strings.Repeat("0", 64) + `"`, `""`, `null`, `1`, `["§A"]`}

func utf16Text(text string, order binary.ByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, 0, 0)
		order.PutUint16(b[len(b)-2:], unit)
	}
	return string(b)
}

func utf32Text(text string, order binary.ByteOrder) string {
	var b []byte
	for _, r := range text {
		b = append(b, 0, 0, 0, 0)
		order.PutUint32(b[len(b)-4:], uint32(r))
	}
	return string(b)
}

// jsonDocuments are what an attacker would write by hand.
func (s *differentialSite) jsonDocuments() (documents []string) {
	add := func(text string) { documents = append(documents, s.fill(text)) }
	signed, unsigned := `"§n":"alice","§s":"§A"`, `"§n":"victim"`
	members := []string{
		signed, unsigned, `"§n":"victim","§s":"§A"`, `"§s":"§A"`, `"§n":42,"§s":"§4"`, `"§n":"42","§s":"§4"`, `"§n":"zoë","§s":"§Z"`,
		`"§n":"zo\u00eb","§s":"§Z"`, `"§o":"alice","§s":"§A"`, `"§o":"alice","§n":"alice","§s":"§A"`, `"§o":"victim","§n":"alice","§s":"§A"`,
		`"§o":null,"§n":"alice","§s":"§A"`, `"§n":"","§o":"alice","§s":"§A"`, `"t":"é\\\" {","§n":"victim","u":[{"§n":"v"}]`, "",
	}
	for _, name := range jsonSpellings(s.names[0])[3:] {
		members = append(members,
			`"`+name+`":"victim"`, `"`+name+`":"alice","§s":"§A"`, `"`+name+`":"victim",`+signed, signed+`,"`+name+`":"victim"`,
			`"`+name+`":{"§n":"victim"}`, `"`+name+`":null,`+signed)
	}
	for _, value := range jsonValues {
		members = append(members, `"§n":`+value+`,"§s":"§A"`, `"§n":`+value, `"§n":`+value+`,`+signed, signed+`,"§n":`+value, signed+`,"t":`+value)
	}
	for _, m := range members {
		add(s.wrap(m))
	}
	for i, name := range s.way {
		// Two ways to the place: parsers take the first or the last.
		within := func(names []string, document string) string {
			for _, name := range slices.Backward(names) {
				document = fmt.Sprintf("{%q:%s}", name, document)
			}
			return document
		}
		inner := func(members string) string { return within(s.way[i+1:], "{"+members+"}") }
		for _, spelled := range jsonSpellings(name) {
			for _, other := range []string{inner(unsigned), inner(signed), "null", "[]", `"x"`, "[" + inner(unsigned) + "]", "{}"} {
				for _, document := range []string{
					`{"` + spelled + `":` + other + `}`,
					`{"` + spelled + `":` + other + `,"` + name + `":` + inner(signed) + `}`,
					`{"` + name + `":` + inner(signed) + `,"` + spelled + `":` + other + `}`,
					`{"` + spelled + `":` + other + `,"` + name + `":` + inner(unsigned) + `}`,
				} {
					add(within(s.way[:i], document))
				}
			}
		}
	}
	for _, m := range []string{signed, unsigned} {
		d := s.wrap(m)
		other := s.wrap(unsigned)
		for _, around := range [][2]string{
			{"\xef\xbb\xbf", ""}, {" \xef\xbb\xbf", ""}, {"\ufeff\ufeff", ""}, {"\x00", ""}, {" \x00", ""}, {"", "\x00"}, {"", "\x00" + other}, {"/**/", ""}, {"//\n", ""},
			{" /* */ ", ""}, {"", "/**/"}, {"", "//"}, {"#\n", ""}, {"--\n", ""}, {"\x0b", ""}, {"\x0c", ""}, {"\u00a0", ""}, {"\u2028", ""}, {"\x1e", "\n"}, {" \t\r\n", " \t\r\n"},
			{"", other}, {other, ""}, {"", "\n" + other}, {other + "\n", ""}, {"", ","}, {",", ""}, {"", "]"}, {"[", "]"}, {"[" + other + ",", "]"}, {"{}", ""}, {"null", ""},
			{"1 ", ""}, {`"x"`, ""}, {`{"x":`, "}"}, {")]}',\n", ""}, {"for(;;);", ""}, {"callback(", ")"}, {"(", ")"}, {"", ";"}, {"x=", ""}, {"§n=victim&x=", ""}, {"{", "}"},
			{"", "&§n=victim"}, {"\x00\x00", ""}, {"\xff", ""}, {"\xfe", ""}, {"\x1b", ""}, {"e", ""}, {"<!--", "-->"}, {"%", ""}, {"\x85", ""}, {"\xe2\x80", ""},
		} {
			add(around[0] + d + around[1])
		}
		for _, opening := range []string{"{ ", "{\n\t", "{/**/", "{ /* x */ ", "{//\n", "{\x00", "{\x0b", "{\ufeff", "{,", "{\u00a0", "{#\n", "{'a':1,", "{a:1,", "{\"a\":1,,", "{1:2,", "{\\", "{{", "{[],"} {
			add(opening + s.fill(d)[1:])
		}
		filled := s.fill(d)
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, bom := range []string{"", "\ufeff", " ", "\n\n"} {
				documents = append(documents, utf16Text(bom+filled, order), utf32Text(bom+filled, order))
			}
		}
		add(strings.TrimSuffix(filled, "}"))
		add(strings.TrimSuffix(filled, "}") + ",}")
		add(strings.ReplaceAll(filled, `"`, "'"))
		add(strings.ReplaceAll(filled, ":", "="))
		add(strings.ReplaceAll(filled, ",", ";"))
		add(strings.ReplaceAll(filled, "{", "\x7b\x0d"))
		add(fmt.Sprintf("%q", filled))
		add(strings.Repeat(`{"a":`, 900) + filled + strings.Repeat("}", 900))
		add(filled[:len(filled)-1] + `,"deep":` + strings.Repeat(`{"a":`, 1010) + "1" + strings.Repeat("}", 1010) + "}")
		add(filled[:len(filled)-1] + `,"deep":` + strings.Repeat(`[`, 990) + strings.Repeat("]", 990) + "}")
		// What a reader of forms finds in a JSON text.
		for _, text := range []string{"&§n=victim&", "&§n=alice&§s=§A&", "&§n=alice&", "&§n[]=victim&", "&%75&§n=&", "&§n;", ";§n=victim;", "&+§n=victim&", "%zz&§n=victim", "&§n%00=victim&"} {
			add(filled[:len(filled)-1] + `,"text":"` + text + `"}`)
			add(`{"text":"` + text + `",` + filled[1:])
			add(`{"text":"` + text + `"}`)
		}
		add(`{"=` + filled[1:])
	}
	return documents
}

// formSpellings returns names that some parser of forms might take for name.
func formSpellings(name string) []string {
	percent := fmt.Sprintf("%%%02x", name[0]) + name[1:]
	dotted, spaced, opened := strings.ReplaceAll(name, "_", "."), strings.ReplaceAll(name, "_", "+"), strings.Replace(name, "_", "[", 1)
	return []string{
		name, name, name, name, percent, strings.ToUpper(percent), strings.ToUpper(name), strings.ReplaceAll(name, "s", "%C5%BF"), dotted, spaced, opened,
		strings.ReplaceAll(name, "_", "%20"), strings.ReplaceAll(name, "_", "%5B"), strings.ReplaceAll(name, "_", "%5f"), strings.ReplaceAll(name, "_", "%2E"),
		name + "[]", name + "[a]", name + "%5B%5D", name + "[", name + "]", "[" + name + "]", "[]" + name, "a[" + name + "]", name + "%00", name + "%00x", "%00" + name,
		"+" + name, "%20" + name, name + "+", name + "%20", "%09" + name, "%0A" + name, "\r\n" + name, name + "%0D%0A", "%0B" + name, "%A0" + name, "%C2%A0" + name,
		"?" + name, "??" + name, "%3F" + name, "\xef\xbb\xbf" + name, "%EF%BB%BF" + name, name + "%", name + "%4", "%" + name, "%u0075" + name[1:],
		name + "\xff", name + "%FF", name + ".", name + ".x", name + "%3D", "%26" + name, "x;" + name, ";" + name, name + ";", name + ";x", "x; " + name,
		"&" + name, "&&" + name, "=" + name, name + "=" + name, "amp;" + name, "_charset_", "__proto__", "", "a", "b", "text", "é",
	}
}

var formValues = []string{
	"alice", "alice", "alice", "%61lice", "victim", "", "42", "a+b", "alice+", "+alice", "alice%00", "alice%0D%0A", "alice%", "alice%4", "%zz", "zo%C3%AB", "zo%c3%ab", "zoë", "zo%EB",
	"%ff", "\xff", "alice=", "=alice", "alice;", "alice;§n=victim", "alice; §n=victim", "alice%3B§n=victim", "alice%26§n=victim", "alice\n", "alice]=x", "alice%5D=x", "[\"victim\"]",
	"{\"§n\":\"victim\"}", "%EF%BB%BFalice", "\ufeffalice", "%u0061lice", "?", "utf-16", "alice\x00", "&§n=victim", "'alice'", "%F0%9F%98%80",
}

var formJoints = []string{"&", "&", "&", "&", "&", "&", "&&", ";", "&amp;", "& ", "\n", "&\r\n", "&?", "%26", ","}

func (s *differentialSite) formBodies(random *rand.Rand) (bodies []string) {
	add := func(text string) { bodies = append(bodies, s.fill(text)) }
	for _, name := range formSpellings(s.names[0]) {
		add(name + "=victim")
		add(name + "=alice&§s=§A")
		add(name + "=victim&§n=alice&§s=§A")
		add("§n=alice&§s=§A&" + name + "=victim")
		add("text=hi&" + name)
	}
	for _, value := range formValues {
		add("§n=" + value + "&§s=§A")
		add("§n=" + value)
		add("§n=alice&text=" + value + "&§s=§A")
		add("text=" + value + "&§n=victim")
	}
	for _, template := range []string{
		"", "&", "=", "§n=42&§s=§4", "§n=zo%C3%AB&§s=§Z", "§s=§A", "§n=alice&§s=§A&§s=§A", "§n=alice&§n=alice&§s=§A", "§o=alice&§n=alice&§s=§A", "§o=victim&§n=alice&§s=§A",
		`{"§n":"alice","§s":"§A"}`, `{"§n":"alice","§s":"§A","t":"&§n=victim"}`, `{"t":"&§n=victim"}`, `{"t":"&§n=alice&§s=§A&x="}`, `§n=alice&§s=§A&t={"§n":"victim"}`,
		`{"&§n=victim&":1}`, ` {"§n":"victim"}&§n=alice&§s=§A`, `{"§n":"victim"}=&§n=alice&§s=§A`, `{"§n":"victim"`, `{}&§n=alice&§s=§A`, `{}`, "_charset_=utf-16&§n=alice&§s=§A",
		"_charset_=iso-8859-1&§n=zo%C3%AB&§s=§Z", "§n&§n=alice&§s=§A", "§n=&§n=alice&§s=§A", "§n=alice&§s=§A&§n", strings.Repeat("a=1&", 1100) + "§n=alice&§s=§A",
		strings.Repeat("a=1&", 1100) + "§n=victim", "--b\r\nContent-Disposition: form-data; name=\"§n\"\r\n\r\nvictim\r\n--b--\r\n",
	} {
		add(template)
	}
	names := formSpellings(s.names[0])
	for range 250 {
		var b strings.Builder
		for i := range 1 + random.IntN(4) {
			if i > 0 {
				b.WriteString(pick(random, formJoints))
			}
			name := pick(random, names)
			if random.IntN(3) == 0 {
				b.WriteString("§s=§A")
				continue
			}
			b.WriteString(name)
			if random.IntN(8) > 0 {
				b.WriteString("=" + pick(random, formValues))
			}
		}
		add(b.String())
	}
	return bodies
}

// multipartTypes are Content-Types with boundaries that parsers may read as b
// or as c. The gateway may refuse any of them, but one.
var multipartTypes = []string{
	"multipart/form-data; boundary=b", "multipart/form-data; boundary=b", "multipart/form-data; boundary=b", "multipart/form-data;boundary=\"b\"", "Multipart/Form-Data; BOUNDARY=b",
	"multipart/form-data; charset=utf-8; boundary=b", "multipart/form-data; boundary=b; charset=UTF-8", "multipart/form-data; xboundary=c; boundary=b",
	"multipart/form-data; boundary=b; xboundary=c", "multipart/form-data; x=boundary; y=c; boundary=b", "multipart/form-data; x=\"boundary=c\"; boundary=b",
	"multipart/form-data; boundary=b; x=\"boundary=c\"", "multipart/form-data; boundary=b; x=\"; boundary=c\"", "multipart/form-data; x=\";boundary=c;\"; boundary=b",
	"multipart/form-data; boundary=b; boundary=c", "multipart/form-data; boundary=\"b\"c", "multipart/form-data; boundary=b,c", "multipart/form-data; boundary=\"b,c\"",
	"multipart/form-data; boundary=b c", "multipart/form-data; boundary=\"b \"", "multipart/form-data; boundary=\"boundary=b\"", "multipart/form-data; boundary*=utf-8''c; boundary=b",
	"multipart/form-data; boundary*0=c; boundary=b", "multipart/form-data; boundary='b'", "multipart/form-data; boundary=\"\\b\"", "multipart/form-data; boundary=b;", "multipart/form-data;; boundary=b",
	"multipart/form-data boundary=b", "multipart/form-data, boundary=b", "multipart/form-data; boundary", "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
	"multipart/form-data; boundary=c", "multipart/form-data; boundary= b", "multipart/form-data; boundary =b", "multipart/form-data;\tboundary=b", "multipart/form-data; boundary=--b",
	"multipart/form-data; boundary=B", "multipart/form-data; start=\"boundary\"; boundary=b", "multipart/form-data; Xboundary=c; boundary=b", "multipart/form-data; xBOUNDARY=c; boundary=b",
	"multipart/form-data; x=\"charset=utf-16\"; boundary=b", "multipart/form-data; boundary=b; charset=utf-16", "multipart/form-data; boundary=\"=b\"", "multipart/form-data; x=\"\u212a\u212a\u212a\"; boundary=b",
	"multipart/form-data; Boundary=\"b\"; x=boundary; y=c", "multipart/form-data; boundary=b\x01",
	"text/plain; x=\"multipart/form-data; boundary=b\"",
}

var dispositions = []string{
	`form-data; name="§n"`, `form-data; name="§n"`, `form-data; name="§n"`, `form-data; name="§s"`, `form-data; name="text"`, `form-data; name="file"; filename="x.txt"`,
	`form-data; name=§n`, `form-data;name="§n"`, `form-data; name="§n"; filename="x"`, `form-data; name="§n"; filename=""`, `form-data; name="§n"; filename*=utf-8''x`,
	`form-data; name*=utf-8''§n`, `form-data; name="a"; name="§n"`, `form-data; name="§n"; name="a"`, `form-data; name="a"; name*=utf-8''§n`, `form-data; name*0="§n"`,
	`form-data; name='§n'`, `form-data; name="'§n'"`, `form-data; name="\§n"`, `form-data; name="x\"; name=\"§n"`, `form-data; name="§n%00"`, `form-data; name="§n[]"`, `form-data; name=" §n"`,
	`form-data; name="§n "`, `form-data; name="=?utf-8?q?§n?="`, `attachment; name="§n"`, `name="§n"`, `form-data`, `FORM-DATA; NAME="§n"`, `form-data; name = "§n"`,
	`form-data; name="a"; x="; name=§n"`, `form-data; name="a"; filename="; name=\"§n\""`, `form-data; x=y; name="§n"`, "form-data; name=\"§n\x00\"", "form-data; name=\"§n\xff\"",
	`form-data; name="_charset_"`, `form-data; name="§n`, `form-data, name="§n"`, "form-data;\r\n name=\"§n\"", `form-data; name="a"; y='; name="§n"`,
}

var partHeaders = []string{
	"", "", "", "", "", "", "Content-Type: text/plain\r\n", "Content-Type: text/plain; charset=utf-16\r\n", "Content-Type: application/json\r\n", "Content-Type: multipart/mixed; boundary=c\r\n",
	"Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n", "Content-Length: 2\r\n", "X: y\n", "X: y\r", " X: y\r\n", "X : y\r\n",
	"Content-Disposition: form-data; name=\"§n\"\r\n", "X: Content-Disposition: form-data; name=\"§n\"\r\n", "\r\n", "X: \x00\r\n",
}

var partValues = []string{
	"alice", "alice", "alice", "§A", "§A", "victim", "", "42", "zoë", "zo\xeb", "alice\r\n", "\r\nalice", "alice ", "YWxpY2U=", "=61lice", "utf-16", "\ufeffalice", "alice\x00", "--b", "x\r\n--b\r\n", "x\n--b\n",
	"x\r\n--c\r\nContent-Disposition: form-data; name=\"§n\"\r\n\r\nvictim\r\n--c--\r\n", "--c\r\nContent-Disposition: form-data; name=\"§n\"\r\n\r\nvictim\r\n--c--",
	"\r\n--boundary=b\r\nContent-Disposition: form-data; name=\"§n\"\r\n\r\nvictim\r\n--boundary=b--\r\n", `{"§n":"victim"}`,
}

func multipartPart(disposition, header, value string) string {
	return "--b\r\nContent-Disposition: " + disposition + "\r\n" + header + "\r\n" + value + "\r\n"
}

func (s *differentialSite) multipartSamples(random *rand.Rand) (samples []sample) {
	add := func(contentType, body string) {
		samples = append(samples, sample{contentType, s.fill(body), false})
	}
	const plain = "multipart/form-data; boundary=b"
	const end = "--b--\r\n"
	signed := multipartPart(dispositions[0], "", "alice") + multipartPart(dispositions[3], "", "§A")
	hidden := "--c\r\nContent-Disposition: form-data; name=\"§n\"\r\n\r\nvictim\r\n--c--"
	for _, contentType := range multipartTypes {
		add(contentType, signed+end)
		add(contentType, multipartPart(dispositions[0], "", "victim")+end)
		add(contentType, signed+multipartPart(dispositions[4], "", hidden)+end)
		add(contentType, multipartPart(dispositions[4], "", hidden)+signed+end)
		add(contentType, multipartPart(dispositions[4], "", hidden)+end)
		add(contentType, multipartPart(dispositions[4], "", strings.ReplaceAll(hidden, "--c", "--boundary=b"))+end)
		add(contentType, strings.ReplaceAll(signed+end, "--b", "--boundary=b")+strings.ReplaceAll(hidden, "--c", "--b"))
		add(contentType, strings.ReplaceAll(signed+multipartPart(dispositions[4], "", strings.ReplaceAll(hidden, "--c", "--d"))+end, "--b", "--boundary=b"))
	}
	for _, d := range dispositions {
		add(plain, multipartPart(d, "", "victim")+end)
		add(plain, signed+multipartPart(d, "", "victim")+end)
		add(plain, multipartPart(d, "", "victim")+signed+end)
	}
	for _, header := range partHeaders {
		add(plain, multipartPart(dispositions[0], header, "alice")+multipartPart(dispositions[3], "", "§A")+end)
		add(plain, signed+multipartPart(dispositions[4], header, "victim")+end)
	}
	for _, value := range partValues {
		add(plain, multipartPart(dispositions[0], "", value)+multipartPart(dispositions[3], "", "§A")+end)
		add(plain, signed+multipartPart(dispositions[5], "", value)+end)
		add(plain, multipartPart(dispositions[5], "", value)+signed+end)
	}
	for _, around := range [][2]string{
		{"\r\n", ""}, {"preamble\r\n", ""}, {"", "epilogue"}, {"", hidden}, {hidden + "\r\n", ""}, {"", multipartPart(dispositions[0], "", "victim") + end}, {" ", ""}, {"--b--\r\n", ""}, {"\n", ""},
	} {
		add(plain, around[0]+signed+end+around[1])
	}
	add(plain, strings.ReplaceAll(signed+end, "\r\n", "\n"))
	add(plain, strings.TrimSuffix(signed, "\r\n"))
	add(plain, signed)
	add(plain, signed+"--b-")
	for range 150 {
		var b strings.Builder
		for range 1 + random.IntN(4) {
			d := dispositions[random.IntN(6)]
			if random.IntN(4) == 0 {
				d = pick(random, dispositions)
			}
			b.WriteString(multipartPart(d, pick(random, partHeaders), pick(random, partValues)))
		}
		add(pick(random, multipartTypes[:12]), b.String()+end)
	}
	return samples
}

// bodyTypes are the types that JSON and form bodies are sent under.
var (
	jsonTypes = []string{
		"application/json", "application/json", "", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "application/vnd.api+json",
		"APPLICATION/JSON; Charset=\"UTF-8\"", "application/json;charset=utf8", "text/json", "text/html; charset=utf-8", "application/x-www-form-urlencoded; charset=UTF-8",
		"Application/X-WWW-Form-URLencoded", "application/json; charset=utf-16", "text/plain; charset=utf-16le", "application/json; charset=utf-7", "application/json; x=\"; charset=utf-16\"",
		"application/json; x=\"\u212a\u212a\u212a\"; charset=utf-8", "text/plain; xcharset=utf-16",
		"multipart/form-data; boundary=b", "multipart/mixed; boundary=b", "application/json, text/plain", "application/json; charset", "application/json;", "application", "*/*", "text/plain;charset=\"\"",
		"application/csp-report", "application/graphql", "application/x-ndjson",
	}
	formTypes = []string{
		"application/x-www-form-urlencoded", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8", "APPLICATION/X-WWW-FORM-URLENCODED",
		"application/x-www-form-urlencoded;charset=\"utf-8\"", "application/x-www-form-urlencoded; x=y", "application/x-www-form-urlencoded ;", "application/x-www-form-urlencoded; charset=utf-16",
		"application/x-www-form-urlencoded; charset=iso-8859-1", "application/x-www-form-urlencoded, x", "application/x-www-form-urlencoded x", "application/json", "text/plain", "",
	}
)

func pick(random *rand.Rand, list []string) string { return list[random.IntN(len(list))] }

// randomJSON puts a document together from pieces.
func (s *differentialSite) randomJSON(random *rand.Rand) string {
	names := jsonSpellings(s.names[0])
	var b strings.Builder
	for i := range 1 + random.IntN(5) {
		if i > 0 {
			b.WriteString(pick(random, []string{",", ",", ",", ",", " , ", ",\n", ",,", ";", "", ",/**/"}))
		}
		switch random.IntN(4) {
		case 0:
			b.WriteString(`"§s":` + pick(random, signatureValues))
		case 1:
			b.WriteString(`"text":` + pick(random, jsonValues))
		default:
			name := names[random.IntN(3)]
			if random.IntN(3) == 0 {
				name = pick(random, names)
			}
			b.WriteString(`"` + name + `"` + pick(random, []string{":", ":", ":", " : ", ":/**/", "=", ""}) + pick(random, jsonValues))
		}
	}
	return s.fill(s.wrap(b.String()))
}

// mutate changes a few bytes, mostly to others with a meaning.
func mutate(random *rand.Rand, body string) string {
	b := []byte(body)
	for range 1 + random.IntN(3) {
		if len(b) == 0 {
			break
		}
		at := random.IntN(len(b))
		switch random.IntN(5) {
		case 0:
			b[at] = byte(random.IntN(256))
		case 1:
			b = slices.Delete(b, at, at+1)
		case 2: // a piece twice
			end := min(len(b), at+1+random.IntN(40))
			b = slices.Insert(b, at, bytes.Clone(b[at:end])...)
		default:
			token := pick(random, []string{`"`, "{", "}", ",", ":", "\\", "&", "=", ";", "%", "\x00", "\r\n", "--b", "[", "]", "/**/", "\\u0000", "\xff", " ", "+", "\ufeff", "ſ", "null", "1", "-"})
			b = slices.Insert(b, at, []byte(token)...)
		}
	}
	return string(b)
}

func (s *differentialSite) samples(random *rand.Rand) (samples []sample) {
	// In UTF-7 the text of one member is members of its own.
	hidden := s.fill(s.wrap(`"§n":"alice","§s":"§A","text":"+ACI-,+ACI-§n+ACI-:+ACI-victim"`))
	for _, contentType := range []string{"application/json; charset=utf-7", "text/plain;charset=\"utf-7\"", "application/x-www-form-urlencoded; CHARSET=UTF-7", "application/json"} {
		samples = append(samples, sample{contentType, hidden, false})
	}
	for i, document := range s.jsonDocuments() {
		samples = append(samples, sample{jsonTypes[1], document, i%7 == 0}, sample{jsonTypes[i%len(jsonTypes)], document, false}, sample{jsonTypes[2+i%3], document, false})
	}
	for range 300 {
		samples = append(samples, sample{pick(random, jsonTypes), s.randomJSON(random), random.IntN(4) == 0})
	}
	for _, body := range s.formBodies(random) {
		contentType := formTypes[0]
		if random.IntN(4) == 0 {
			contentType = pick(random, formTypes)
		}
		samples = append(samples, sample{contentType, body, random.IntN(8) == 0})
	}
	samples = append(samples, s.multipartSamples(random)...)
	for range 400 {
		seed := samples[random.IntN(len(samples))]
		samples = append(samples, sample{seed.contentType, mutate(random, seed.body), false})
	}
	return samples
}

// request is the sample as it is sent, nil where no client can send it.
func (p *sample) request() *Request {
	if strings.ContainsFunc(p.contentType, func(c rune) bool { return c < ' ' && c != '\t' }) {
		return nil
	}
	r := &Request{Method: "POST", Target: "/chat", Header: make(http.Header), Body: []byte(p.body), Chunked: p.chunked}
	if p.contentType != "" {
		r.Header.Set("Content-Type", p.contentType)
	}
	return r
}

// A comparison holds what parsers read against what the gateway verified.
type comparison struct {
	t      *testing.T
	sites  []*differentialSite
	places []string // where backends look

	mu                          sync.Mutex
	verified, stripped, refused int
	read                        map[string]int // ids, by parser
}

// compare runs sites in front of a mirror of all backends, and the samples of each
// beside those of the others.
func compare(t *testing.T, sites []*differentialSite, places []string, send func(c *comparison, i int, s *differentialSite)) *comparison {
	t.Helper()
	m := newMirror(t, Start(t, shapePaths))
	c := &comparison{t: t, sites: sites, places: places, read: make(map[string]int)}
	file := "{" + globals + "}\n"
	for _, s := range sites {
		file += s.block(t, strings.TrimPrefix(m.URL, "http://"))
	}
	run(t, file, sites[0].address)
	var group sync.WaitGroup
	for i, s := range sites {
		group.Go(func() { send(c, i, s) })
	}
	group.Wait()
	t.Logf("%d verified, %d forwarded without a user, %d refused; ids read by %v", c.verified, c.stripped, c.refused, c.read)
	return c
}

// proves fails where there are too few of a kind, and where a parser read next to
// nothing: it was asked in the wrong way.
func (c *comparison) proves(verified, stripped, refused int) {
	c.t.Helper()
	if c.verified < verified || c.stripped < stripped || c.refused < refused {
		c.t.Error("too few samples of one kind prove nothing")
	}
	for parser, count := range c.read {
		if count < 20 {
			c.t.Errorf("%s read a user id only %d times", parser, count)
		}
	}
}

// send sends a request, and returns what became of it; nil where it was not forwarded.
func (c *comparison) send(site *differentialSite, r *Request) *said {
	s, err := sendTo(site.address, r)
	switch {
	case err != nil:
		c.t.Errorf("%s: %v: %q %q", site.title, err, r.Target, r.Body)
		return nil
	case s.status >= 500:
		c.t.Errorf("%s: %d for %q, type %q, body %q", site.title, s.status, r.Target, r.Header["Content-Type"], r.Body)
		return nil
	case s.seen != nil && s.seen.Fault != "":
		c.t.Errorf("%s, asked about %q %q", s.seen.Fault, r.Target, r.Body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.seen == nil:
		c.refused++
		return nil
	case s.user == "":
		c.stripped++
	default:
		c.verified++
	}
	for _, answer := range s.seen.Answers {
		for parser, reading := range answer {
			if slices.Contains(c.places, reading.Place) {
				c.read[parser] += 0
			}
		}
	}
	for _, path := range site.paths() {
		for _, f := range s.seen.read(c.places, path) {
			c.read[f.parser]++
		}
	}
	return s
}

// try sends a request. No parser may read another user than the one that was verified.
func (c *comparison) try(site *differentialSite, r *Request) {
	s := c.send(site, r)
	if s == nil {
		return
	}
	if s.user != "" && !s.seen.asSent(r) {
		c.t.Errorf("%s: a verified body was changed: %q\nto %q", site.title, r.Body, s.seen.Body)
	}
	for _, f := range s.unvouched(c.places, site.paths()...) {
		c.t.Errorf("%s: %s reads %q, the gateway verified %q: type %q\n sent %q %q\n seen %q %q",
			site.title, f.parser, f.read, s.user, r.Header["Content-Type"], r.Target, r.Body, s.seen.Target, s.seen.Body)
	}
}

// No parser of a backend may read another user id in a body than the one that
// the gateway verified, nor any where it verified none.
func TestNoBackendReadsAnotherUserInABody(t *testing.T) { testBodies(t, 8) }

// testBodies tries one body of so many, by chance.
func testBodies(t *testing.T, of int) {
	compare(t, differentialSites(), inBodies, func(c *comparison, i int, s *differentialSite) {
		random, chosen := rand.New(rand.NewPCG(uint64(i), 7)), rand.New(rand.NewPCG(uint64(i), 9))
		known := make(map[sample]bool)
		for _, p := range s.samples(random) {
			if known[p] || chosen.IntN(of) > 0 {
				continue
			}
			known[p] = true
			if r := p.request(); r != nil {
				c.try(s, r)
			}
		}
	}).proves(4000/of, 8000/of, 16000/of)
}

// The same holds for queries.
func TestNoBackendReadsAnotherUserInAQuery(t *testing.T) {
	sites := slices.DeleteFunc(differentialSites(), func(s *differentialSite) bool { return !s.query })
	compare(t, sites, inQueries, func(c *comparison, i int, s *differentialSite) {
		random := rand.New(rand.NewPCG(uint64(i), 8))
		queries := s.formBodies(random)
		for range 200 {
			queries = append(queries, mutate(random, queries[random.IntN(len(queries))]))
		}
		for _, query := range queries {
			if query = sendable(query); len(query) <= 8000 { // the servers of some languages take no longer one
				c.try(s, &Request{Method: "GET", Target: "/chat?" + query, Header: make(http.Header)})
			}
		}
	}).proves(50, 100, 100)
}

// TestNoBackendReadsATakenConversation: zoe has every conversation that the
// differential test's bodies name. Of those that arrive for mallory, no parser
// of a backend may read one.
func TestNoBackendReadsATakenConversation(t *testing.T) {
	taken := []string{"alice", "victim", "42", "1", "43"}
	site := &differentialSite{title: "taken", names: []string{"cid"}, signature: "sig",
		directive: "chat_identity required {\nsecret {env.TEST_SECRET}\nclaim user_id header X-User\nclaim signature header X-Hash\nconversation body /cid\n}"}
	c := compare(t, []*differentialSite{site}, inBodies, func(c *comparison, _ int, s *differentialSite) {
		send := func(user string, r *Request) *said {
			r.Header["X-User"], r.Header["X-Hash"] = []string{user}, []string{sign(user)}
			return c.send(s, r)
		}
		for _, conversation := range taken {
			p := sample{"application/json", `{"cid":"` + conversation + `"}`, false}
			if said := send("zoe", p.request()); said == nil || said.user != "zoe" {
				t.Errorf("%s: %v", conversation, said)
			}
		}
		known := make(map[sample]bool)
		for _, p := range s.samples(rand.New(rand.NewPCG(20, 26))) {
			r := p.request()
			if r == nil || known[p] {
				continue
			}
			known[p] = true
			said := send("mallory", r)
			if said == nil {
				continue
			}
			for _, f := range said.seen.read(inBodies, s.paths()[0]) {
				if slices.Contains(taken, strings.ToLower(f.read[1:])) { // behind a letter for its type
					t.Errorf("%s reads zoe's %q: type %q, body %q", f.parser, f.read, r.Header["Content-Type"], r.Body)
				}
			}
		}
	})
	if c.verified < 300 || c.refused < 300 {
		t.Error("too few of a kind to prove anything")
	}
}

// sendable escapes what a request line cannot hold.
func sendable(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
