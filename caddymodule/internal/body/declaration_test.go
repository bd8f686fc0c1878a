package body

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func declare(contentType ...string) Declaration {
	return Declare(http.Header{"Content-Type": contentType})
}

func TestDeclaredTypes(t *testing.T) {
	const several, odd = true, true
	for _, c := range []struct {
		lines        []string
		kinds        Kind
		several, odd bool
	}{
		{lines: []string{"application/json"}, kinds: KindJSON},
		{lines: []string{"application/json; charset=utf-8"}, kinds: KindJSON},
		{lines: []string{"application/json;charset=UTF-8"}, kinds: KindJSON},
		{lines: []string{"Application/JSON ; Charset=\"utf-8\";"}, kinds: KindJSON},
		{lines: []string{"application/vnd.api+json"}, kinds: KindJSON},
		{lines: []string{"application/graphql+json; charset=utf-8"}, kinds: KindJSON},
		{lines: []string{"application/ld+json"}, kinds: KindJSON},
		{lines: []string{"application/json; profile=\"a; b=c\""}, kinds: KindJSON},
		{lines: []string{"application/json charset=utf-8"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; charset=utf-8; charset=utf-8"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; charset="}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; x=charset=utf-8"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; xcharset=utf-7; charset=utf-8"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; x=\"charset=utf-7\""}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; charset*=utf-8''utf-8"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; charset=\"utf\\-8\""}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; charset=\"utf-8"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; charset=utf-8 x"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json; é=1"}, kinds: KindJSON, odd: odd},
		{lines: []string{"application/json, text/plain"}, kinds: KindJSON, several: several, odd: odd},
		{lines: []string{"text/plain,application/json"}, kinds: KindJSON, several: several, odd: odd},
		{lines: []string{"application/json", "application/json"}, kinds: KindJSON, several: several, odd: odd},
		{lines: []string{"application/json", "multipart/form-data; boundary=x"}, kinds: KindJSON | KindMultipart, several: several, odd: odd},
		{lines: []string{"application/json", ""}, kinds: KindJSON, several: several, odd: odd},

		{lines: []string{"application/x-www-form-urlencoded"}, kinds: KindForm},
		{lines: []string{"application/x-www-form-urlencoded;charset=UTF-8"}, kinds: KindForm},
		{lines: []string{"application/x-www-form-urlencoded; charset=a; charset=b"}, kinds: KindNearForm, odd: odd},
		{lines: []string{"application/x-www-form-urlencoded-x"}, kinds: KindNearForm},
		{lines: []string{"text/urlencoded"}, kinds: KindNearForm},
		{lines: []string{"text/plain; x=URLEncoded"}, kinds: KindNearForm},
		{lines: []string{"urlencoded"}, kinds: KindNearForm, odd: odd},
		{lines: []string{"text/plain", "x-URLENCODED"}, kinds: KindNearForm, several: several, odd: odd},

		{lines: []string{"multipart/form-data; boundary=x"}, kinds: KindMultipart},
		{lines: []string{"multipart/form-data; boundary=----WebKitFormBoundaryePkpFF7tjBAqx29L"}, kinds: KindMultipart},
		{lines: []string{"Multipart/Form-Data; Boundary=\"X\"; charset=utf-8"}, kinds: KindMultipart},
		{lines: []string{"multipart/form-data"}, kinds: KindMultipart},
		{lines: []string{"multipart/form-data; boundary=x; boundary=y"}, kinds: KindNearMultipart, odd: odd},
		{lines: []string{"multipart/form-data; boundary=x, multipart/form-data; boundary=y"}, kinds: KindMultipart, several: several, odd: odd},
		{lines: []string{"multipart/form-data-x; boundary=b"}, kinds: KindNearMultipart},
		{lines: []string{"multipart/mixed; boundary=b"}, kinds: KindNearMultipart},
		{lines: []string{"multipart/related; type=\"application/xop+xml\"; boundary=\"uuid:1-2\"; start=\"<root@x>\""}, kinds: KindNearMultipart},
		{lines: []string{"application/json; x=multipart"}, kinds: KindJSON | KindNearMultipart},
		{lines: []string{"video/mp4, multipart/mixed; boundary=x"}, kinds: KindNearMultipart, several: several, odd: odd},
		{lines: []string{"multipart/form-data; boundary=x; y=urlencoded"}, kinds: KindMultipart | KindNearForm},

		{lines: []string{"application/grpc"}, kinds: KindFramed},
		{lines: []string{"application/grpc+proto"}, kinds: KindFramed},
		{lines: []string{"application/grpc+json"}, kinds: KindFramed},
		{lines: []string{"application/grpc-web+proto"}, kinds: KindFramed},
		{lines: []string{"application/grpc-web-text"}, kinds: KindFramed},
		{lines: []string{"application/connect+json"}, kinds: KindFramed},
		{lines: []string{"application/connect+proto"}, kinds: KindFramed},

		{lines: []string{"application/x-ndjson"}},
		{lines: []string{"application/jsonl"}},
		{lines: []string{"application/json-seq"}},
		{lines: []string{"application/stream+json"}},
		{lines: []string{"text/plain;charset=UTF-8"}},
		{lines: []string{"application/octet-stream"}},
		{lines: []string{"video/webm;codecs=vp8,opus"}, odd: odd},
		{lines: []string{"audio/webm;codecs=\"opus,pcm\""}},
		{lines: []string{"text/plain; x=\", application/json\""}, kinds: KindJSON, several: several, odd: odd},
		{lines: []string{"undefined"}, odd: odd},
		{lines: []string{"null"}, odd: odd},
		{lines: []string{"; charset=binary"}, odd: odd},
		{lines: []string{"*/*"}},
		{lines: nil, odd: odd},
		{lines: []string{""}, odd: odd},
		{lines: []string{" "}, odd: odd},
	} {
		d := declare(c.lines...)
		if d.Kinds != c.kinds || d.Several != c.several || d.Plain == c.odd {
			t.Errorf("%q: kinds %b, several %v, plain %v", c.lines, d.Kinds, d.Several, d.Plain)
		}
		missing := len(strings.TrimSpace(strings.Join(c.lines, ""))) == 0
		if d.Missing != missing {
			t.Errorf("%q: missing %v", c.lines, d.Missing)
		}
		if d.Upload() != d.Kinds.Has(KindMultipart|KindNearForm|KindNearMultipart) {
			t.Errorf("%q: upload %v", c.lines, d.Upload())
		}
	}
}

func TestBoundaries(t *testing.T) {
	seventy := strings.Repeat("b", 70)
	for _, c := range []struct {
		line, boundary string
		ambiguous      bool
	}{
		// What browsers and SDKs send.
		{"multipart/form-data; boundary=----WebKitFormBoundaryePkpFF7tjBAqx29L", "----WebKitFormBoundaryePkpFF7tjBAqx29L", false},
		{"multipart/form-data; boundary=---------------------------9051914041544843365972754266", "---------------------------9051914041544843365972754266", false},
		{"multipart/form-data; boundary=----geckoformboundary1", "----geckoformboundary1", false},
		{"multipart/form-data; boundary=----formdata-undici-056387624", "----formdata-undici-056387624", false},
		{"multipart/form-data; boundary=--dio-boundary-1234567890", "--dio-boundary-1234567890", false},
		{"multipart/form-data; boundary=dart-http-boundary-+_x.y", "dart-http-boundary-+_x.y", false},
		{"multipart/form-data; boundary=alamofire.boundary.9c0e", "alamofire.boundary.9c0e", false},
		{"multipart/form-data; boundary=Boundary+55FD9C", "Boundary+55FD9C", false},
		{`multipart/form-data; boundary="Boundary_1_123_456"`, "Boundary_1_123_456", false},
		{`multipart/form-data; boundary="===============7330845974216740156=="`, "===============7330845974216740156==", false},
		{"multipart/form-data;boundary=*****", "*****", false},
		{`multipart/form-data; boundary="----=_Part_1_2.3"; charset=UTF-8`, "----=_Part_1_2.3", false},
		{"multipart/form-data; charset=utf-8; boundary=x", "x", false},
		{`multipart/form-data; boundary=x;`, "x", false},
		{`multipart/form-data; boundary=x ; charset=utf-8`, "x", false},
		{"multipart/mixed; boundary=b", "b", false},
		{"MULTIPART/MIXED; BOUNDARY=B", "B", false},
		{"multipart/form-data; boundary=" + seventy, seventy, false},
		{"multipart/form-data", "", false},
		{"multipart/mixed; x=y", "", false},

		{"multipart/form-data; boundary=" + seventy + "b", "", true},
		{"multipart/form-data; boundary=", "", true},
		{`multipart/form-data; boundary=""`, "", true},
		{"multipart/form-data; boundary", "", true},
		{"multipart/form-data; boundary=a; boundary=b", "", true},
		{"multipart/form-data; boundary=a; Boundary=a", "", true},
		{"multipart/form-data; boundary=a; boundary*=b", "", true},
		{"multipart/form-data; boundary*0=a; boundary*1=b", "", true},
		{"multipart/form-data; boundary =a", "", true},
		{"multipart/form-data; boundary= a", "", true},
		{"multipart/form-data; boundary=a b", "", true},
		{"multipart/form-data; boundary=a,b", "", true},
		{`multipart/form-data; boundary="a b"`, "", true},
		{`multipart/form-data; boundary="a,b"`, "", true},
		{`multipart/form-data; boundary="a\"b"`, "", true},
		{`multipart/form-data; boundary="a`, "", true},
		{`multipart/form-data; boundary="a"b`, "", true},
		{`multipart/form-data; boundary=a"b`, "", true},
		{"multipart/form-data; boundary=é", "", true},
		{"multipart/form-data; xboundary=a", "", true},
		{"multipart/form-data; xboundary=a; boundary=b", "", true},
		{"multipart/form-data; boundaryx=a; boundary=b", "", true},
		{`multipart/form-data; x="; boundary=a"; boundary=b`, "", true},
		{`multipart/form-data; boundary="x; boundary=y"`, "", true},
		{`multipart/form-data; boundary="boundary=y"`, "", true},
		{"multipart/form-data; boundary=a, text/plain", "", true},
		{"multipart/boundary; boundary=a", "", true},
	} {
		d := declare(c.line)
		if d.Boundary != c.boundary || d.BoundaryAmbiguous != c.ambiguous {
			t.Errorf("%q: %q, ambiguous %v", c.line, d.Boundary, d.BoundaryAmbiguous)
		}
		if several := c.ambiguous && strings.Count(strings.ToLower(c.line), "boundary") > 1; d.SeveralBoundaries != several {
			t.Errorf("%q: several %v", c.line, d.SeveralBoundaries)
		}
		if c.ambiguous && d.Plain {
			t.Errorf("%q: plain", c.line)
		}
	}
	// A boundary that has the word in itself is one all the same.
	for line, several := range map[string]bool{
		"multipart/form-data; boundary=boundary_.oOo._ab/cd+ef":              false,
		"multipart/form-data; boundary=Boundary+ABC==":                       false,
		`multipart/form-data; boundary="----=_Part boundary"`:                false,
		"multipart/form-data; boundary=a/boundary; charset=boundary":         false,
		"multipart/form-data; boundary=boundary/=boundary":                   false,
		"multipart/form-data; boundary=a/b; boundary =c":                     true,
		`multipart/form-data; boundary=a/b; "boundary"=c`:                    true,
		"multipart/form-data; boundary=a/b; boundary*0*=c":                   true,
		"multipart/form-data; boundary=boundary/; boundary=c":                true,
		"multipart/form-data; boundary=boundary=c":                           true,
		"multipart/form-data; x=boundary; y=a/b":                             false,
		"multipart/form-data; x=boundary; boundary=a/b":                      true,
		"boundary=a; multipart/form-data; boundary=a":                        true,
		"multipart/form-data; boundary=a/b, multipart/form-data; boundary=c": true,
	} {
		if d := declare(line); !d.BoundaryAmbiguous || d.SeveralBoundaries != several {
			t.Errorf("%q: ambiguous %v, several %v", line, d.BoundaryAmbiguous, d.SeveralBoundaries)
		}
	}
	for _, lines := range [][]string{
		{"multipart/form-data; boundary=a", "multipart/form-data; boundary=a"},
		{"multipart/form-data; boundary=a", "text/plain; boundary=b"},
		{"text/plain; boundary=b", "multipart/mixed"},
	} {
		if d := declare(lines...); !d.BoundaryAmbiguous {
			t.Errorf("%q: %q", lines, d.Boundary)
		}
	}
	if d := declare("text/plain; boundary=a, b"); d.Boundary != "" || d.BoundaryAmbiguous {
		t.Errorf("a boundary of no multipart body: %+v", d)
	}
}

func TestCharsets(t *testing.T) {
	for line, want := range map[string]Charset{
		"text/plain":                                      CharsetUTF8,
		"text/plain;charset=UTF-8":                        CharsetUTF8,
		`text/plain; charset="utf-8"`:                     CharsetUTF8,
		"text/plain; charset='UTF8'":                      CharsetUTF8,
		"text/plain; charset=US-ASCII":                    CharsetUTF8,
		"text/plain; charset=ascii":                       CharsetUTF8,
		"text/plain; charset=":                            CharsetUTF8,
		"text/plain; charset=utf-8, text/html":            CharsetUTF8,
		"text/plain; charset=utf-16":                      CharsetSearchable,
		"text/plain; charset=UTF-16LE":                    CharsetSearchable,
		"text/plain; charset=utf-32be":                    CharsetSearchable,
		"text/plain; charset=ISO-8859-1":                  CharsetSearchable,
		"text/plain; charset=iso-8859-15":                 CharsetSearchable,
		"text/plain; charset=iso-8859-8-i":                CharsetSearchable,
		"text/plain; charset=iso_8859-1":                  CharsetSearchable,
		"text/plain; charset=latin1":                      CharsetSearchable,
		"text/plain; charset=windows-1252":                CharsetSearchable,
		"text/plain; charset=CP1251":                      CharsetSearchable,
		"text/plain; charset=utf-7":                       CharsetUnknown,
		"text/plain; charset=utf7":                        CharsetUnknown,
		"text/plain; charset=ibm037":                      CharsetUnknown,
		"text/plain; charset=cp037":                       CharsetUnknown,
		"text/plain; charset=shift_jis":                   CharsetUnknown,
		"text/plain; charset=iso-2022-jp":                 CharsetUnknown,
		"text/plain; charset=iso-8859-":                   CharsetUnknown,
		"text/plain; charset=windows-12520":               CharsetSearchable, // nobody's, and nothing hides in it
		"text/plain; charset=x-user-defined":              CharsetUnknown,
		"text/plain; charset=binary":                      CharsetUnknown,
		"text/plain; charset*=utf-8''utf-8":               CharsetUnknown,
		"text/plain; charset=utf-8; charset=utf-7":        CharsetUnknown,
		"text/plain; charset=utf-7; charset=utf-8":        CharsetUnknown,
		"text/plain; charset=utf-8; charset=utf-16":       CharsetSearchable,
		"text/plain; charset = utf-7":                     CharsetUnknown,
		`text/plain; x="charset=utf-7"`:                   CharsetUnknown, // Tomcat
		"text/plain; xcharset=utf-7":                      CharsetUnknown,
		"text/plain; charset=utf-8, x/y; charset=EBCDIC":  CharsetUnknown,
		"application/vnd.charset; v=1":                    CharsetUTF8,
		"application/x-www-form-urlencoded; charset=utf8": CharsetUTF8,
	} {
		if got := declare(line).Charset; got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
	if d := declare("application/json", "application/json; charset=utf-7"); d.Charset != CharsetUnknown {
		t.Error("the second line's charset is not seen")
	}
}

func TestMedia(t *testing.T) {
	for line, want := range map[string]bool{
		"image/png": true, "IMAGE/PNG": true, "image/svg+xml": true, "audio/ogg; codecs=opus": true, "video/webm;codecs=vp8,opus": true,
		"font/woff2": true, "image/vnd.microsoft.icon": true, "image/png, video/mp4": true,
		"": false, "text/plain": false, "application/octet-stream": false, "model/gltf+json": false, "image/x+json": false,
		"image/png, text/plain": false, "image": false, "images/png": false, "image/png; x=multipart": false, "application/json": false,
	} {
		if got := declare(line).Media; got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestCodings(t *testing.T) {
	for _, c := range []struct {
		lines   []string
		coding  Coding
		codings []coding
	}{
		{nil, CodingNone, nil},
		{[]string{""}, CodingNone, nil},
		{[]string{"identity"}, CodingNone, nil},
		{[]string{"Identity, ,identity"}, CodingNone, nil},
		{[]string{"gzip"}, CodingKnown, []coding{gzipped}},
		{[]string{"X-GZip"}, CodingKnown, []coding{gzipped}},
		{[]string{"deflate"}, CodingKnown, []coding{deflated}},
		{[]string{"zstd"}, CodingKnown, []coding{zstandard}},
		{[]string{"gzip, identity", "zstd"}, CodingKnown, []coding{gzipped, zstandard}},
		{[]string{"gzip,gzip,gzip"}, CodingKnown, []coding{gzipped, gzipped, gzipped}},
		{[]string{"gzip,gzip,gzip,gzip"}, CodingUnknown, nil},
		{[]string{"br"}, CodingUnknown, nil},
		{[]string{"gzip, br"}, CodingUnknown, nil},
		{[]string{"gzip;q=1"}, CodingUnknown, nil},
		{[]string{"UTF-8"}, CodingUnknown, nil},
		{[]string{"aws-chunked"}, CodingUnknown, nil},
		{[]string{"none"}, CodingUnknown, nil},
	} {
		d := Declare(http.Header{"Content-Encoding": c.lines})
		if d.Coding != c.coding || c.codings != nil && !reflect.DeepEqual(d.codings, c.codings) {
			t.Errorf("%q: %d %v", c.lines, d.Coding, d.codings)
		}
	}
}

// FuzzDeclare holds declarations to what a caller relies on.
func FuzzDeclare(f *testing.F) {
	f.Add("application/json; charset=utf-8", "")
	f.Add("multipart/form-data; boundary=\"a\"; charset=x", "multipart/mixed; boundary=b")
	f.Add("text/plain; x=urlencoded", "application/grpc")
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, lines := range [][]string{{one}, {one, two}} {
			d := declare(lines...)
			text := strings.ToLower(strings.Join(lines, "\n"))
			if strings.Contains(text, "multipart") != d.Kinds.Has(KindMultipart|KindNearMultipart) ||
				strings.Contains(text, "urlencoded") != d.Kinds.Has(KindForm|KindNearForm) {
				t.Errorf("%q: kinds %b", lines, d.Kinds)
			}
			if d.Boundary != "" && (d.BoundaryAmbiguous || !d.Upload() || strings.Count(text, "boundary=") != 1 || !strings.Contains(strings.Join(lines, "\n"), d.Boundary)) {
				t.Errorf("%q: boundary %q, ambiguous %v", lines, d.Boundary, d.BoundaryAmbiguous)
			}
			if d.Plain && (d.Several || d.Missing || len(lines) > 1 || strings.Count(text, "charset=") > 1) {
				t.Errorf("%q is plain: %+v", lines, d)
			}
			if d.Missing && d.Kinds != 0 || d.Media && d.Kinds != 0 {
				t.Errorf("%q: %+v", lines, d)
			}
		}
	})
}
