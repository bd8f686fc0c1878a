package verifier

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"mime/multipart"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A surface is a kind of text that is read, with an ordinary one of a megabyte
// (of a query what fits into a request's header) and those that cost most.
type surface struct {
	name     string
	size     int
	read     func(r *reader, text []byte, to *Reading)
	ordinary func(size int) string
	worst    []worst
}

// A worst text is a unit again and again between a head and a tail.
type worst struct{ head, unit, tail string }

func (w worst) text(size int) []byte {
	return []byte(w.head + strings.Repeat(w.unit, (size-len(w.head)-len(w.tail))/len(w.unit)) + w.tail)
}

var surfaces = []surface{
	{"form", 1 << 20, func(r *reader, text []byte, to *Reading) { r.Form(text, to) }, ordinaryForm, worstForms},
	{"query", 16 << 10, func(r *reader, text []byte, to *Reading) { r.Query(text, to) }, ordinaryForm, worstForms},
	{"multipart", 1 << 20, func(r *reader, text []byte, to *Reading) { r.multipart(text, "b", to) }, ordinaryMultipart, worstMultiparts()},
	{"JSON", 1 << 20, func(r *reader, text []byte, to *Reading) { r.JSON(text, to) }, ordinaryJSON, worstJSON()},
}

// worstForms have one watched name, all of them, what is nearly one in every
// way, names without anything, and escapes.
var worstForms = []worst{
	{"", "id&", ""}, {"", "ID&", ""}, {"", "id=1&", ""}, {"", "id;", ""}, {"", "id[&", ""}, {"", "+id&", ""}, {"", "%69%64&", ""}, {"", "id=%41&", ""},
	{"", "user_id&", ""}, {"", "uſer_id&", ""}, {"", "user_metadata={}&", ""}, {"", "id&signature&email&name&company&phone&traits&", ""},
	{"", "user_id&user_hash&user_metadata&", ""}, {"", "email&", ""}, {"", "name&", ""},
	{"", "&", ""}, {"", ";", ""}, {"", "=&", ""}, {"", "a&", ""}, {"", "i&", ""}, {"", "+&", ""}, {"", "[&", ""}, {"", "?&", ""}, {"", "_&", ""}, {"", "a;", ""},
	{"", "ie&", ""}, {"", "i?&", ""}, {"", "i+d&", ""}, {"", "iſ&", ""}, {"", "id?&", ""}, {"", "user_ie&", ""}, {"", "nome&", ""}, {"", "é&", ""},
	{"", "%69&", ""}, {"", "%20i&", ""}, {"", "%C3%A9&", ""}, {"", "i%20a&", ""}, {"", "%41", ""}, {"", "user%5Fie&", ""},
	{"", mixed("id?", "ie", "i", "if", "us", "user_", "_u", "em", "emai", "nam", "name", "co", "ph", "tra", "s", "sig"), ""}, {"", mixed("ie", "é", "%69", "%20i", "+i", "_i", "!i", "id[", "[", "nome"), ""},
	{"id=", "%41", ""}, {"user_id=", "%41", ""}, {"traits={", "%20", "}"}, {"user_metadata={", `%22a%22:1,`, `%22b%22:1}`}, {"user_metadata={", `"name":1,`, `"b":1}`},
}

// mixed is a long text of names in no order: at each of them the processor guesses
// wrong what comes.
func mixed(names ...string) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range 1000 {
		b.WriteString(names[r.IntN(len(names))] + "&")
	}
	return b.String()
}

func worstMultiparts() (all []worst) {
	for _, part := range []string{
		"Content-Disposition:form-data; name=id\r\n\r\n", "Content-Disposition:form-data; name=user_id\r\n\r\n", "Content-Disposition:form-data; name=i%64\r\n\r\n",
		"Content-Disposition:form-data;name=a\r\n\r\n", "Content-Disposition:form-data;name=%\r\n\r\n", "Content-Disposition:form-data;name=\"\"\r\n\r\n",
		"Content-Disposition:form-data;a=b;b=b;c=b;d=b;e=b;f=b;g=b;name=a\r\n\r\n",
		"Content-Disposition:form-data;name=a;x=" + strings.Repeat("name", 1000) + "\r\n\r\n",
		"Content-Disposition:form-data;name=" + strings.Repeat("%69", 1000) + "\r\n\r\n", "Content-Disposition:form-data;name=" + strings.Repeat("n", 3000) + "\r\n\r\n",
		"Content-Disposition:form-data;name=a\r\n" + strings.Repeat("a:\r\n", 15) + "\r\n",
		"Content-Disposition:form-data;name=a\r\nX:" + strings.Repeat("content-", 500) + "\r\n\r\n",
		"Content-Disposition:form-data;name=a\r\nContent-Type:" + strings.Repeat("multipart", 440) + "\r\n\r\n",
		"Content-Disposition:form-data;name=a\r\n\r\n" + strings.Repeat("--", 4000),
	} {
		all = append(all, worst{"", "--b\r\n" + part + "\r\n", "--b--\r\n"})
	}
	return append(all, worst{"--b\r\nContent-Disposition:form-data; name=id\r\n\r\n", "é", "\r\n--b--\r\n"})
}

func worstJSON() (all []worst) {
	for _, member := range []string{
		`"id":1,`, `"ID":1,`, `"\u0069d":1,`, `"id":1 , `, `"id":{},`, `"id":[],`, `"id":"",`, `"id":1,"a":1,`, `"user_id":1,"a":1,`, `"user_id":1,`, `"user\u005fid":1,`,
		`"uſer_id":1,`, `"id":1,"signature":1,"email":1,"name":1,"company":1,"phone":1,"traits":1,`, `"traits":{},`, `"user_metadata":{"n\u0061me":1},`,
		`"":1,`, `"a":1,`, `"i":1,`, `"ie":1,`, `"\u0069":1,`, `"\n":1,`, `"é":1,`, `"user_ie":1,`, `"\u0075\u0073\u0065\u0072\u005f\u0069\u0065":1,`, `"a":{},`,
	} {
		all = append(all, worst{"{", member, `"z":0}`})
	}
	for _, element := range []string{
		`{},`, `[],`, `1,`, `"",`, `{"":1},`, `{"a":[]},`, `[{}],`, `-0,`, `"\n",`, `"\u0041",`, `"é",`, `1e1,`, ` 1 ,`, `{"\n":1},`, `{"a":1,"b":1},{"b":1,"a":1},`,
		strings.Repeat("[", 900) + strings.Repeat("]", 900) + ",", strings.Repeat(`{"":`, 900) + "0" + strings.Repeat("}", 900) + ",",
	} {
		all = append(all, worst{`{"z":[`, element, "0]}"})
	}
	// Where a pointer leads through an object: an array, and texts that might be JSON.
	for _, element := range []string{
		`{},`, `[],`, `[[{}]],`, `{"id":1},`, `{"user_id":1},`, `{"user_id":1,"a":1},`, `{"a":1},`, `{"a":[1,2]},`, `{"user_metadata":"x"},`, `1,`, `"",`, `" ",`, `"/",`, `"//",`, `")]}'",`, `"\n",`, `"\ud800",`,
		strings.Repeat("[", 900) + strings.Repeat("]", 900) + ",",
	} {
		all = append(all, worst{`[`, element, "0]"})
	}
	for _, inside := range []string{` `, `\n`, `\u0020`, `\ufeff`, "\u3000", `//\n`, `/**/`, `)]}'`, `#\u2028`} {
		all = append(all, worst{`["`, inside, `"]`})
	}
	for _, begun := range []string{`//`, `/*`, `#`} {
		all = append(all, worst{`["` + begun, `*`, `"]`}, worst{`["` + begun, `\u002a`, `"]`}, worst{`["` + begun, `é`, `"]`})
	}
	for _, name := range []string{"id", "user_id", "z"} {
		all = append(all, worst{`{"` + name + `":"`, `\n`, `"}`}, worst{`{"` + name + `":"`, `\u0041`, `"}`})
	}
	return append(all, worst{`{"user_metadata":{`, `"name":1,`, `"a":1}}`}, worst{`{"`, `\u0041`, `":1}`}, worst{`{"`, `\ud800`, `":1}`}, worst{`{"i`, `\ud800`, `d":1}`}, worst{`{"z":[`, "\n \t", `0]}`})
}

// said is what people write.
var said = strings.Fields("where is my order it was due on Monday, and nothing has come. Can you help me? I paid for “express” delivery: " +
	"12.50 € that the café's shop at 4/7 Müller-Straße took thanks a lot & bye!")

func say(r *rand.Rand) string {
	words := make([]string, 1+r.IntN(30))
	for i := range words {
		words[i] = said[r.IntN(len(said))]
	}
	return strings.Join(words, " ")
}

// ordinaryForm is an order of many lines, as a browser sends it.
func ordinaryForm(size int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString("id=42&user_id=42&user_hash=aa")
	for i := 0; b.Len() < size-800; i++ {
		for name, value := range []string{say(r), fmt.Sprint(r.IntN(2000)), ""} {
			b.WriteString("&" + url.QueryEscape(fmt.Sprintf("order[lines][%d][%s]", i, []string{"text", "count", "gift"}[name])) + "=" + url.QueryEscape(value))
		}
	}
	return b.String()
}

func ordinaryMultipart(size int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary("b")
	_ = w.WriteField("id", "42")
	for i := 0; b.Len() < size-1000; i++ {
		_ = w.WriteField(fmt.Sprintf("order[lines][%d][text]", i), say(r))
		_ = w.WriteField(fmt.Sprintf("order[lines][%d][count]", i), fmt.Sprint(r.IntN(2000)))
		if i%100 == 0 {
			file, _ := w.CreateFormFile("photo", "photo.jpg")
			_, _ = file.Write([]byte(say(r)))
		}
	}
	_ = w.Close()
	return b.String()
}

// ordinaryJSON is a conversation.
func ordinaryJSON(size int) string {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteString(`{"id":"42","user_id":"42","user_hash":"aa","messages":[`)
	for i := 0; b.Len() < size-1000; i++ {
		text, _ := json.Marshal(say(r) + "\n" + say(r))
		fmt.Fprintf(&b, `{"id":%d,"role":"%s","content":%s,"at":%d,"read":%v,"tags":[]},`, i, []string{"user", "agent"}[r.IntN(2)], text, r.IntN(2e9), r.IntN(2) > 0)
	}
	return b.String() + `0]}`
}

var worstDialects = []string{"replybubble", "bookbag"}

// TestWorstKeepsLittle: what reading allocates and keeps is bounded by a small
// number that does not depend on how much there is to read.
func TestWorstKeepsLittle(t *testing.T) {
	const most, mostKept = 192 << 10, 64 << 10
	for _, dialect := range worstDialects {
		reader, v := spoken(t, dialect)
		for _, s := range surfaces {
			for _, w := range s.worst {
				for _, size := range []int{s.size / 4, s.size} {
					text := w.text(size)
					var to Reading
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					s.read(reader, text, &to)
					_ = v.shape(&to)
					runtime.ReadMemStats(&after)
					if got := after.TotalAlloc - before.TotalAlloc; got > most && !raceEnabled {
						t.Errorf("%s, %s, %d bytes of %.40q: %d bytes are allocated, want at most %d", dialect, s.name, size, w.head+w.unit, got, most)
					}
					if to.Memory() > mostKept {
						t.Errorf("%s, %s, %d bytes of %.40q: %d bytes are kept, want at most %d", dialect, s.name, size, w.head+w.unit, to.Memory(), mostKept)
					}
				}
			}
		}
	}
}

// BenchmarkWorst reports what the worst text costs, as a multiple of an ordinary
// one of that size. They take turns, and the quickest run of each counts, so that
// it does not matter what else the machine does.
func BenchmarkWorst(b *testing.B) {
	for _, s := range surfaces {
		b.Run(s.name, func(b *testing.B) {
			var most float64
			var which string
			for _, dialect := range worstDialects {
				reader, v := spoken(b, dialect)
				took := func(text []byte) time.Duration {
					var to Reading
					began := time.Now()
					s.read(reader, text, &to)
					_ = v.shape(&to)
					return time.Since(began)
				}
				ordinary := []byte(s.ordinary(s.size))
				for _, w := range s.worst {
					text := w.text(s.size)
					plain, bad := took(ordinary), took(text)
					for range max(b.N, 20) {
						plain, bad = min(plain, took(ordinary)), min(bad, took(text))
					}
					if ratio := float64(bad) / float64(plain); ratio > most {
						most, which = ratio, fmt.Sprintf("%s, %.40q: %v, ordinary %v", dialect, w.head+w.unit, bad, plain)
					}
				}
			}
			b.ReportMetric(most, "times")
			b.ReportMetric(0, "ns/op")
			b.Log(which)
		})
	}
}
