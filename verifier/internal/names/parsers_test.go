package names_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A question is a text that decoders are to decode.
type question struct {
	Text   []byte `json:"text"`
	Header bool   `json:"header"` // it is a part's header block
	Object bool   `json:"object"` // it may be evaluated as an object of JavaScript
}

// decodings are what each decoder made of a text.
type decodings map[string][][]byte

// A language has its decoders decode a text.
type language interface {
	decode(t *testing.T, q question) decodings
}

// interpreter answers JSON lines with JSON lines.
type interpreter struct {
	in  io.Writer
	out *bufio.Reader
}

func startInterpreter(tb testing.TB, program, script string) *interpreter {
	tb.Helper()
	path := filepath.Join("testdata", "parsers", script)
	if _, err := os.ReadFile(path); err != nil { // so that a cached result does not outlive the script
		tb.Fatal(err)
	}
	cmd := exec.Command(program, path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("the test needs %s: %v", program, err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &interpreter{in, bufio.NewReader(out)}
}

func (p *interpreter) decode(t *testing.T, q question) (d decodings) {
	t.Helper()
	line, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	if line, err = p.out.ReadBytes('\n'); err != nil {
		t.Fatalf("no answer for %q: %v", q.Text, err)
	}
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	return d
}

// goDecoders are the standard library's.
type goDecoders struct{}

func (goDecoders) decode(_ *testing.T, q question) decodings {
	d := make(decodings)
	add := func(decoder string, err error, decoded ...string) {
		for _, text := range decoded {
			if err == nil {
				d[decoder] = append(d[decoder], []byte(text))
			}
		}
	}
	text := string(q.Text)
	if q.Header {
		header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(text + "\r\n\r\n"))).ReadMIMEHeader()
		if err != nil {
			return d
		}
		for _, values := range header {
			for _, value := range values {
				_, params, err := mime.ParseMediaType(value)
				add("mime.ParseMediaType", err, slices.Collect(maps.Values(params))...)
				decoded, err := new(mime.WordDecoder).DecodeHeader(value)
				add("mime.WordDecoder", err, decoded)
			}
		}
		return d
	}
	object := make(map[string]any)
	err := json.Unmarshal(q.Text, &object)
	add("json", err, slices.Collect(maps.Keys(object))...)
	values, err := url.ParseQuery(text)
	add("url", err, slices.Collect(maps.Keys(values))...)
	decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(q.Text)))
	add("quotedprintable", err, string(decoded))
	add("html", nil, html.UnescapeString(text))
	return d
}

func startLanguages(tb testing.TB) map[string]language {
	return map[string]language{
		"go":     goDecoders{},
		"python": startInterpreter(tb, "python3", "decode.py"),
		"node":   startInterpreter(tb, "node", "decode.js"),
		"ruby":   startInterpreter(tb, "ruby", "decode.rb"),
		"php":    startInterpreter(tb, "php", "decode.php"),
	}
}

// A dialect is how names are written for one kind of decoders.
type dialect struct {
	forms   []form
	nothing []string
	wrap    func(s speller, name string) string
	wide    bool // in UTF-16 or UTF-32, too
	object  bool
	header  bool
}

func asObject(s speller, name string) string {
	return fmt.Sprintf(s.one(`{"%s":"x"}`, `{"a":{"%s":1}}`, `{"a":"b", "%s" : 1 }`), name)
}

func asForm(s speller, name string) string {
	return fmt.Sprintf(s.one("%s=x", "a=1&%s=2", "a=1&%s[]=2", "x[%s]=1&y"), name)
}

var dialects = []dialect{
	{forms: []form{raw, codeUnits}, wrap: asObject, wide: true},
	{forms: []form{raw, raw, escapedItself, codeUnits}, wrap: asObject},
	{forms: []form{raw, codeUnits}, wrap: func(s speller, name string) string {
		text, _ := json.Marshal(asObject(s, name))
		return fmt.Sprintf(`{"text":%s}`, text)
	}},
	{
		forms: []form{raw, codeUnits, braced, scriptHex, scriptOctal, escapedItself}, nothing: []string{"\\\n", "\\\r\n", "\\\u2028"},
		wrap: func(s speller, name string) string {
			return fmt.Sprintf(s.one(`{"%s":1}`, `{'%s':1}`, `// x`+"\n"+`{a:1, "%s":2,}`), name)
		}, object: true,
	},
	{forms: []form{raw, codeUnits, braced}, wrap: func(s speller, name string) string { return "{" + name + ":1}" }, object: true},
	{forms: []form{raw, percentBytes}, wrap: asForm},
	{forms: []form{raw, codeUnits}, wrap: func(s speller, name string) string {
		return "data=" + url.QueryEscape(asObject(s, name))
	}},
	{forms: []form{raw, percentBytes, percentUnits}, wrap: asForm},
	{forms: []form{raw, equalsBytes}, nothing: []string{"=\r\n", "=\n"}, wrap: func(_ speller, name string) string { return name + " x" }},
	{forms: []form{raw, decimalReference, hexReference}, wrap: func(_ speller, name string) string { return `"` + name + `"` }},
	{forms: []form{raw, hexBytes, octalBytes}, wrap: func(_ speller, name string) string { return `"` + name + `"` }},
	{forms: []form{encodedBytes}, wrap: asForm},
	{forms: []form{raw}, wrap: asForm, wide: true},
	{forms: []form{raw}, wrap: speller.asHeader, header: true},
	{forms: []form{percentBytes}, wrap: speller.asExtended, header: true},
	{forms: []form{raw}, wrap: speller.asFolded, header: true},
}

func scriptHex(s speller, r rune) string {
	if r > 0xff {
		return codeUnits(s, r)
	}
	return fmt.Sprintf(`\x%02x`, r)
}

func scriptOctal(s speller, r rune) string {
	if r > 0xff {
		return codeUnits(s, r)
	}
	return fmt.Sprintf(`\%03o`, r)
}

// asHeader writes a name as encoded words.
func (s speller) asHeader(name string) string {
	var words []string
	inASCII := strings.Map(asciiOnly, name) == name
	for pieces := []rune(name); len(pieces) > 0; {
		n := 1 + s.IntN(len(pieces))
		piece := string(pieces[:n])
		pieces = pieces[n:]
		charset := s.one("utf-8", "UTF-8", "utf-8*en")
		if inASCII && s.sometimes(20) {
			charset = s.one("us-ascii", "iso-8859-1", "windows-1252")
		}
		if s.sometimes(50) {
			encoded := base64.StdEncoding.EncodeToString([]byte(piece))
			words = append(words, fmt.Sprintf("=?%s?%s?%s?=", charset, s.one("B", "b"), encoded))
			continue
		}
		words = append(words, fmt.Sprintf("=?%s?%s?%s?=", charset, s.one("Q", "q"), s.bytesOf(piece, "=%02X")))
	}
	value := strings.Join(words, s.one(" ", "\r\n ", "\r\n\t", "  "))
	return fmt.Sprintf(s.one("Content-Disposition: form-data; name=\"%s\"", "Content-Disposition: form-data; filename=x.jpg; name=\"%s\"",
		"X-Name: %s"), value)
}

func asciiOnly(r rune) rune {
	if r > 0x7f {
		return -1
	}
	return r
}

func (s speller) bytesOf(text, format string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if 'a' <= c && c <= 'z' && s.sometimes(50) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, format, c)
		}
	}
	return b.String()
}

// asExtended writes a percent-encoded name as extended parameters.
func (s speller) asExtended(name string) string {
	attribute := s.one("name", "filename", "NAME")
	if s.sometimes(30) {
		return fmt.Sprintf("Content-Disposition: form-data; %s*=%s'%s'%s", attribute, s.one("utf-8", "UTF-8"), s.one("", "en"), name)
	}
	value := "Content-Disposition: form-data"
	text := "utf-8''" + name
	for number := 0; len(text) > 0; number++ {
		n := min(len(text), 3*(1+s.IntN(6)))
		if number == 0 {
			n = min(len(text), len("utf-8''")+3*s.IntN(4))
		}
		value += fmt.Sprintf("; %s*%d*=%s", attribute, number, text[:n])
		text = text[n:]
	}
	return value
}

// asFolded writes a name in pieces, and in folded lines.
func (s speller) asFolded(name string) string {
	value := "Content-Disposition: form-data"
	number := 0
	for text := []rune(name); len(text) > 0; number++ {
		n := 1 + s.IntN(len(text))
		value += fmt.Sprintf(s.one("; name*%d=\"%s\"", ";\r\n name*%d=\"%s\"", ";\r\n\tname*%d=\"%s\""), number, string(text[:n]))
		text = text[n:]
	}
	if i := strings.IndexByte(name, '_'); i > 0 && s.sometimes(30) {
		return fmt.Sprintf("Content-Disposition: form-data; name=\"%s\r\n %s\"", name[:i], name[i+1:])
	}
	return value
}

// document returns a text in one dialect, sometimes with a fault in it.
func (s speller) document(name string) question {
	d := dialects[s.IntN(len(dialects))]
	written := d.wrap(s, s.name(name, d.forms, d.nothing...))
	q := question{Text: []byte(written), Header: d.header, Object: d.object}
	if d.wide && s.sometimes(70) && strings.ToValidUTF8(written, "") == written {
		q.Text = encodings[s.IntN(len(encodings))].encode(written)
	}
	if s.sometimes(20) && len(q.Text) > 0 {
		i := s.IntN(len(q.Text))
		switch s.IntN(3) {
		case 0:
			q.Text[i] = "\\%=&\"u\x00\xff?'0"[s.IntN(11)]
		case 1:
			q.Text = slices.Delete(q.Text, i, i+1)
		case 2:
			q.Text = slices.Insert(q.Text, i, "\\%=&\"u\x00\xff?'0"[s.IntN(11)])
		}
		q.Object = false
	}
	return q
}

// checkParsers asserts that a name stands in a document wherever a decoder
// decodes it to a text in which it does. found counts where the document itself
// does not show it.
func checkParsers(t *testing.T, languages map[string]language, seed uint64, found map[string]int) {
	s := newSpeller(seed)
	which := s.IntN(len(generatedNames))
	name := generatedNames[which]
	q := s.document(name)
	stand := generatedSets[which].Stand
	if q.Header {
		stand = func(text []byte) (string, bool) { return generatedSets[which].StandInHeader(text, nil) }
	}
	_, stands := stand(q.Text)
	plain := standsAmong(utf8Decoded(q.Text), []rune(name))
	for language, l := range languages {
		for decoder, decoded := range l.decode(t, q) {
			for _, text := range decoded {
				if !standsAmong(utf8Decoded(text), []rune(name)) {
					continue
				}
				if !stands {
					t.Errorf("seed %d: %s in %s reads %q in %q, where %s does not stand", seed, decoder, language, text, q.Text, name)
				}
				if !plain {
					found[language+" "+decoder]++
				}
				break
			}
		}
	}
}

// TestParsers has the decoders of five languages decide. FuzzParsers goes on
// for as long as it is told.
func TestParsers(t *testing.T) {
	languages := startLanguages(t)
	found := make(map[string]int)
	for seed := range uint64(2000) {
		checkParsers(t, languages, seed, found)
	}
	for _, decoder := range slices.Sorted(maps.Keys(found)) {
		t.Logf("%s: %d", decoder, found[decoder])
	}
	for _, decoder := range []string{
		"go json", "go url", "go quotedprintable", "go html", "go mime.ParseMediaType", "go mime.WordDecoder",
		"python json", "python json twice", "python parse_qsl", "python quopri", "python html", "python unicode_escape",
		"python utf-16-le", "python utf-16-be json", "python utf-32-le", "python utf-32-be json",
		"python email", "python email HTTP", "python email words",
		"node JSON.parse", "node JSON.parse twice", "node an object", "node querystring", "node URLSearchParams", "node unescape",
		"node unescape, then JSON.parse", "node utf16le", "node utf-16be",
		"ruby JSON", "ruby JSON twice", "ruby CGI.unescape", "ruby decode_www_form", "ruby decode_www_form, then JSON",
		"ruby quoted-printable", "ruby CGI.unescapeHTML", "ruby UTF-16LE JSON", "ruby UTF-32BE JSON", "ruby nkf",
		"php json_decode", "php json_decode twice", "php parse_str", "php parse_str, then json_decode", "php urldecode",
		"php quoted_printable_decode", "php html_entity_decode", "php stripcslashes", "php UTF-16LE", "php UTF-32BE",
		"php iconv_mime_decode", "php iconv_mime_decode_headers",
	} {
		if found[decoder] < 5 {
			t.Errorf("%s read an encoded name %d times alone", decoder, found[decoder])
		}
	}
}

func FuzzParsers(f *testing.F) {
	languages := startLanguages(f)
	found := make(map[string]int)
	f.Add(uint64(0))
	f.Fuzz(func(t *testing.T, seed uint64) { checkParsers(t, languages, seed, found) })
}
