package names_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// A speller writes names with a spelling chosen for each character.
type speller struct{ *rand.Rand }

func newSpeller(seed uint64) speller { return speller{rand.New(rand.NewPCG(seed, 0))} }

func (s speller) one(of ...string) string { return of[s.IntN(len(of))] }

func (s speller) sometimes(percent int) bool { return s.IntN(100) < percent }

// A form is a way to write one character.
type form func(s speller, r rune) string

func raw(_ speller, r rune) string { return string(r) }

func codeUnits(s speller, r rune) string { return s.units(r, `\u%04x`, `\u%04X`) }

func javaUnits(s speller, r rune) string { return s.units(r, `\uu%04x`, `\uuuu%04x`) }

func percentUnits(s speller, r rune) string { return s.units(r, "%%u%04X", "%%U%04x") }

func braced(s speller, r rune) string {
	return fmt.Sprintf(`\u{%s%x}`, s.one("", "0", "000000000000000"), r)
}

func decimalReference(s speller, r rune) string { return fmt.Sprintf(s.one("&#%d;", "&#0%d;"), r) }

func hexReference(s speller, r rune) string { return fmt.Sprintf(s.one("&#x%x;", "&#X%X;"), r) }

func bareReference(s speller, r rune) string { return fmt.Sprintf(s.one("&#%d", "&#X%X"), r) }

func encodedBytes(s speller, r rune) string { return string(s.encoded(r)) }

func percentBytes(s speller, r rune) string { return s.bytes(r, "%%%02x", "%%%02X") }

func percentTwice(s speller, r rune) string { return s.bytes(r, "%%25%02X") }

func hexBytes(s speller, r rune) string { return s.bytes(r, `\x%02x`, `\x%02X`) }

func octalBytes(s speller, r rune) string { return s.bytes(r, `\%03o`) }

func equalsBytes(s speller, r rune) string { return s.bytes(r, "=%02X") }

func equalsTwice(s speller, r rune) string { return s.bytes(r, "=3D%02x") }

// escapedItself is for characters that are no escape of their own.
func escapedItself(_ speller, r rune) string {
	if strings.ContainsRune("abefnrtuvx01234567", r) {
		return string(r)
	}
	return `\` + string(r)
}

var everyForm = []form{
	raw, codeUnits, javaUnits, percentUnits, braced, decimalReference, hexReference, bareReference,
	percentBytes, percentTwice, hexBytes, octalBytes, equalsBytes, equalsTwice, escapedItself,
}

// text writes a name that is bounded somewhere among noise.
func (s speller) text(name string) []byte {
	var b strings.Builder
	b.WriteString(s.one("", "x", "é")) // before an escape that is a bound, or a plain one
	b.WriteString(s.one(`"`, "&", "_", " ", ".", "[", "\n", "=", "%22", "%20", "%E2%80%9C", `\u0022`, `\"`, `\n`, `\42`, `\x22`, "=22", "&#34;", "&#x22"))
	forms, wide := everyForm, s.sometimes(30)
	if !wide {
		forms = append(slices.Clone(forms), encodedBytes, encodedBytes)
	}
	b.WriteString(s.name(name, forms, `\`, `\\\`, "\\\n", "\\\r\n", "=\r\n", "= \n"))
	b.WriteString(s.one(`"`, "&", "_", " ", ".", "]", "\n", "=", "%22", `\u0022`, `\n`, "=22", "&#34;", "“", ""))
	text := []byte(b.String())
	if wide {
		text = encodings[s.IntN(len(encodings))].encode(b.String())
	}
	around := func() (noise []byte) {
		for range s.IntN(30) {
			noise = append(noise, byte(s.IntN(256)))
		}
		return noise
	}
	text = append(around(), text...)
	if s.sometimes(50) {
		text = append(append(text, ' '), around()...)
	}
	return text
}

// name writes a name, with some of nothing between its characters.
func (s speller) name(name string, forms []form, nothing ...string) string {
	var b strings.Builder
	for i, r := range []rune(name) {
		if i > 0 && len(nothing) > 0 && s.sometimes(10) {
			b.WriteString(s.one(nothing...))
		}
		if strings.ContainsRune("_. [+", r) {
			r = []rune("__. [+")[s.IntN(6)]
		} else {
			for range s.IntN(3) {
				r = unicode.SimpleFold(r)
			}
		}
		written := forms[s.IntN(len(forms))](s, r)
		if len(nothing) > 0 && s.sometimes(30) && len(written) > utf8.RuneLen(r) && written == strings.ToValidUTF8(written, "") {
			written = s.within(written)
		}
		b.WriteString(written)
	}
	return b.String()
}

// units writes r's units of UTF-16.
func (s speller) units(r rune, formats ...string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune{r}) {
		fmt.Fprintf(&b, s.one(formats...), unit)
	}
	return b.String()
}

// bytes writes r's bytes.
func (s speller) bytes(r rune, formats ...string) string {
	return s.bytesIn(s.encoded(r), s.one(formats...))
}

func (s speller) bytesIn(text []byte, format string) string {
	var b strings.Builder
	for _, c := range text {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

// encoded returns r in UTF-8, overlong, in CESU-8, or in ISO-8859-1.
func (s speller) encoded(r rune) (list []byte) {
	if r > 0x7f && r < 0x100 && s.sometimes(20) {
		return []byte{byte(r)}
	}
	if r > 0xffff && s.sometimes(30) {
		hi, lo := utf16.EncodeRune(r)
		return appendRune(appendRune(nil, hi), lo)
	}
	length := utf8.RuneLen(r) + s.IntN(2)*s.IntN(5-utf8.RuneLen(r))
	if length == 1 {
		return []byte{byte(r)}
	}
	for range length - 1 {
		list = append(list, 0x80|byte(r&0x3f))
		r >>= 6
	}
	list = append(list, 0xff<<(8-length)|byte(r))
	slices.Reverse(list)
	return list
}

// within writes some characters of an escape as escapes. Where these begin with
// a backslash, so is every backslash: readers take two of them for one.
func (s speller) within(written string) string {
	format := s.one(`\u%04x`, `%%%02X`, `\x%02x`, `=%02X`)
	var b strings.Builder
	for _, r := range written {
		if r < utf8.RuneSelf && (s.sometimes(60) || r == '\\' && format[0] == '\\') {
			fmt.Fprintf(&b, format, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// generatedNames are written one at a time.
var generatedNames = []string{"user_id", "userHash", "token", "sketches.ok", "Größe-я😀", "Größe", "日本", "id"}

// TestGenerated writes names in many ways, in all of which they stand. It
// writes others each time; FuzzGenerated goes on for as long as it is told.
func TestGenerated(t *testing.T) {
	for range 20_000 {
		checkGenerated(t, rand.Uint64())
		if t.Failed() {
			return
		}
	}
}

func FuzzGenerated(f *testing.F) {
	f.Add(uint64(0))
	f.Fuzz(checkGenerated)
}

func checkGenerated(t *testing.T, seed uint64) {
	s := newSpeller(seed)
	which := s.IntN(len(generatedNames))
	text := s.text(generatedNames[which])
	if _, ok := generatedSets[which].Stand(text); !ok {
		t.Errorf("seed %d: %s does not stand in %q", seed, generatedNames[which], text)
	}
}

var generatedSets = func() (sets []*names.Set) {
	for i := range generatedNames {
		sets = append(sets, names.Compile(generatedNames[i:i+1]))
	}
	return sets
}()
