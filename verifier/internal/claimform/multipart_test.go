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
	if err := readMultipart([]byte("--a,b--"), "a,b", compile(), new(claimform.Matches)); !errors.Is(err, claimform.ErrMultipart) {
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
			var matches claimform.Matches
			if err := readMultipart([]byte(tc.body), "b", names, &matches); err != nil {
				t.Fatalf("refused: %v", err)
			}
			if got := show(list, matches.List); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if left := cutHits([]byte(tc.body), matches.List, every); string(left) != tc.left {
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
			var matches claimform.Matches
			checkFault(t, readMultipart([]byte(tc.body), "b", names, &matches), &matches, tc.want, -1)
		})
	}
}

// long returns header lines that have together so many bytes.
func long(size int) string {
	lines := strings.Repeat("X: "+strings.Repeat("y", 3000)+"\r\n", 2)
	return lines + "X: " + strings.Repeat("y", size-len(lines)-5) + "\r\n"
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
				var matches claimform.Matches
				m := claimform.NewMultipart("boundary", nested("user_id", "user/"), nameStands, int64(tc.max), &matches)
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
	var at, pieces claimform.Matches
	read := func(c multipartBody, max int64, matches *claimform.Matches, size func() int) error {
		m := claimform.NewMultipart(c.boundary, names, nameStands, max, matches)
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
	var matches claimform.Matches
	for _, size := range []int{len(body), 100} {
		read := func() {
			m := claimform.NewMultipart("----WebKitFormBoundaryAbC123", names, func([]byte) (string, bool) { return "", false }, math.MaxInt64, &matches)
			for chunk := range slices.Chunk(body, size) {
				m.Write(chunk)
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
		read()
		if len(matches.List) != 16 || !matches.More(0) {
			t.Errorf("%d matches", len(matches.List))
		}
		if n := testing.AllocsPerRun(5, read); n > 4 { // of its own, and of a header in pieces
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
			var matches claimform.Matches
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				m := claimform.NewMultipart(boundary, names, nil, math.MaxInt64, &matches)
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
