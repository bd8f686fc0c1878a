package verifier

import (
	"encoding/base64"
	"errors"
	"fmt"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"
)

// dialectOf compiles a dialect whose places are lines of a Caddyfile's claim option.
func dialectOf(t testing.TB, message string, strip []Field, lines ...string) *Verifier {
	t.Helper()
	d := Dialect{Message: message, Strip: strip}
	for _, line := range lines {
		places, err := ParseClaim(strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		d.Places = append(d.Places, places...)
	}
	v, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// intercom has its claim in one JSON text.
func intercom(t testing.TB, strip ...Field) *Verifier {
	return dialectOf(t, "{user_id}", strip,
		"user_id body /user_data /user_id else body /user_data /email", "signature body /user_data /user_hash",
		"email body /user_data /email", "name body /user_data /name", "attributes body /user_data",
		"user_id query user_data /user_id else query user_data /email", "signature query user_data /user_hash",
		"email query user_data /email", "name query user_data /name", "attributes query user_data",
		"user_id header User-Data /user_id else header User-Data /email", "signature header User-Data /user_hash",
		"email header User-Data /email", "name header User-Data /name", "attributes header User-Data",
		"user_id query coded base64 /user_id else query coded base64 /email", "signature query coded base64 /user_hash",
		"email query coded base64 /email", "name query coded base64 /name", "attributes query coded base64",
		"user_id header Coded base64 /user_id else header Coded base64 /email", "signature header Coded base64 /user_hash",
		"email header Coded base64 /email", "name header Coded base64 /name", "attributes header Coded base64",
	)
}

// carriers are the ways in which a text travels. Each reads one, and returns what is left
// of it when a claim is cut.
var carriers = map[string]func(t testing.TB, v *Verifier, text string, to *Reading) (left string){
	"JSON": func(t testing.TB, v *Verifier, text string, to *Reading) string {
		body := []byte(`{"app_id":"a","user_data":` + text + `}`)
		v.JSON(body, to)
		return within(t, string(to.WithoutBody(body)), `{"app_id":"a","user_data":`, `}`)
	},
	"form": func(t testing.TB, v *Verifier, text string, to *Reading) string {
		body := []byte("app_id=a&user_data=" + url.QueryEscape(text) + "&x=%7B1")
		v.Form(body, to)
		return unescape(t, within(t, string(to.WithoutBody(body)), "app_id=a&user_data=", "&x=%7B1"))
	},
	"query": func(t testing.TB, v *Verifier, text string, to *Reading) string {
		query := []byte("app_id=a&user_data=" + strings.ReplaceAll(url.QueryEscape(text), "+", "%20") + "&x=%7B1")
		v.Query(query, to)
		return unescape(t, within(t, string(to.WithoutQuery(query)), "app_id=a&user_data=", "&x=%7B1"))
	},
	"multipart": func(t testing.TB, v *Verifier, text string, to *Reading) string {
		var body strings.Builder
		w := multipart.NewWriter(&body)
		_ = w.SetBoundary("XX")
		for _, field := range [][2]string{{"app_id", "a"}, {"user_data", text}, {"x", "1"}} {
			if err := w.WriteField(field[0], field[1]); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		m := v.Multipart("XX", 1<<20, to)
		for i := range body.Len() { // wherever its pieces end
			if _, err := m.Write([]byte(body.String()[i : i+1])); err != nil {
				t.Fatal(err)
			}
		}
		m.Close()
		before, behind, _ := strings.Cut(body.String(), text)
		return within(t, string(to.WithoutBody([]byte(body.String()))), before, behind)
	},
	"header": func(t testing.TB, v *Verifier, text string, to *Reading) string {
		p := Place{Field: UserID, Location: atHeader, Name: "user-data", Within: "/user_id"}
		v.Text(p, []byte(text), to)
		return string(v.WithoutText(p, []byte(text)))
	},
	"base64 header": func(t testing.TB, v *Verifier, text string, to *Reading) string {
		p := Place{Field: UserID, Location: atHeader, Name: "Coded", Within: "/user_id", Base64: true}
		coded := base64.RawURLEncoding.EncodeToString([]byte(text))
		v.Text(p, []byte(coded), to)
		return compact(decode(t, string(v.WithoutText(p, []byte(coded)))))
	},
	"base64 query": func(t testing.TB, v *Verifier, text string, to *Reading) string {
		query := []byte("app_id=a&coded=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(text))) + "&x=%7B1")
		v.Query(query, to)
		return compact(decode(t, unescape(t, within(t, string(to.WithoutQuery(query)), "app_id=a&coded=", "&x=%7B1"))))
	},
}

func within(t testing.TB, text, before, behind string) string {
	t.Helper()
	if !strings.HasPrefix(text, before) || !strings.HasSuffix(text, behind) {
		if !strings.Contains(before+behind, "user_data") && !strings.Contains(text, "user_data") {
			return "" // cut whole
		}
		return text
	}
	return text[len(before) : len(text)-len(behind)]
}

func unescape(t testing.TB, text string) string {
	t.Helper()
	text, err := url.QueryUnescape(text)
	if err != nil {
		t.Error(err)
	}
	return text
}

func decode(t testing.TB, text string) string {
	t.Helper()
	for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.StdEncoding} {
		if text, err := encoding.DecodeString(text); err == nil {
			return string(text)
		}
	}
	t.Errorf("%q is no base64", text)
	return ""
}

// compact leaves out the spaces that are what is cut of base64.
func compact(text string) string { return strings.ReplaceAll(text, " ", "") }

func TestTexts(t *testing.T) {
	hash := strings.Repeat("a1", 32)
	for _, test := range []struct {
		name, text string
		want       error
		user       string // with email and display name
		left       string // of what is cut
	}{
		{"a claim", `{"user_id":"u","user_hash":"` + hash + `","email":"e@x","name":"Zoë","plan":"pro"}`, nil, "u e@x Zoë", `{"name":"Zoë","plan":"pro"}`},
		{"the proof in the middle", `{"a":1,"user_id":"u","b":[2],"user_hash":"` + hash + `"}`, nil, "u  ", `{"a":1,"b":[2]}`},
		{"nothing else", `{"user_id":"u","user_hash":"` + hash + `"}`, nil, "u  ", `{}`},
		{"an integer", `{"user_id":42,"user_hash":"` + hash + `"}`, nil, "42  ", `{}`},
		{"escapes", `{"user\u005fid":"\u0075","user_hash":"` + hash + `"}`, nil, "u  ", `{}`},
		{"the e-mail for the id", `{"email":"e@x","user_hash":"` + hash + `"}`, nil, "e@x e@x ", `{}`},
		{"an empty id", `{"user_id":"","email":"e@x","user_hash":"` + hash + `"}`, nil, "e@x e@x ", `{}`},
		{"no id", `{"user_id":null,"email":"e@x","user_hash":"` + hash + `"}`, nil, "e@x e@x ", `{}`},
		{"nobody", `{"name":"Zoë","plan":"pro"}`, ErrMissing, "", `{"name":"Zoë","plan":"pro"}`},
		{"half", `{"user_id":"u","a":1}`, ErrPartial, "", `{"a":1}`},
		{"the other half", `{"user_hash":"` + hash + `","a":1}`, ErrPartial, "", `{"a":1}`},
		{"a variant of the id before the e-mail", `{"User_Id":"u","email":"e@x","user_hash":"` + hash + `"}`, ErrPartial, "", `{}`},
		{"a variant beside", `{"user_id":"u","USER_ID":"v","user_hash":"` + hash + `"}`, ErrAmbiguous, "", `{}`},
		{"the id twice", `{"user_id":"u","user_id":"u","user_hash":"` + hash + `"}`, ErrAmbiguous, "", `{}`},
		{"the e-mail twice beside an id", `{"user_id":"u","email":"a","email":"b","user_hash":"` + hash + `"}`, nil, "u  ", `{}`},
		{"the e-mail twice for the id", `{"email":"a","email":"b","user_hash":"` + hash + `"}`, ErrAmbiguous, "", `{}`},
		{"another type", `{"user_id":["u"],"user_hash":"` + hash + `"}`, ErrMalformed, "", `{}`},
		{"half a surrogate", `{"user_id":"\ud800","user_hash":"` + hash + `"}`, ErrMalformed, "", `{}`},
		{"in an array", `[{"user_id":"u","user_hash":"` + hash + `","a":1}]`, ErrPartial, "", `[{"a":1}]`},
	} {
		for carrier, read := range carriers {
			v := intercom(t)
			var to Reading
			left := read(t, v, test.text, &to)
			err := v.shape(&to)
			wantError(t, carrier+", "+test.name, err, test.want, "")
			if got := fmt.Sprintf("%s %s %s", to.claim[UserID], to.claim[Email], to.claim[Name]); test.want == nil && got != test.user {
				t.Errorf("%s, %s: %q, want %q", carrier, test.name, got, test.user)
			}
			if left != test.left {
				t.Errorf("%s, %s: left %s, want %s", carrier, test.name, left, test.left)
			}
		}
	}
}

// TestBrokenTexts: what does not read in one way is malformed if a watched name stands in
// it, else no claim.
func TestBrokenTexts(t *testing.T) {
	for text, want := range map[string]error{
		`{"user_id":"u",}`:                        ErrMalformed,
		`{"user_id":"u"} x`:                       ErrMalformed,
		`{'user_id':'u'}`:                         ErrMalformed,
		`{"us\u0065r_id":"u"`:                     ErrMalformed,
		`{"%75ser_id":"u"`:                        ErrMalformed,
		"\ufeff" + `{"user_id":"u"}`:              ErrMalformed,
		`{"user_id":"` + "\xff" + `"}`:            ErrMalformed,
		strings.Repeat(`{"user_id":`, 1001) + `7`: ErrMalformed,
		`/**/{"EMAIL":"u"}`:                       ErrMalformed,
		`{"name":"u",}`:                           ErrMissing,
		`{"video":"u"`:                            ErrMissing,
		`hello`:                                   ErrMissing,
		``:                                        ErrMissing,
		`7`:                                       ErrMissing,
		`"user_id"`:                               ErrMissing,
		`null`:                                    ErrMissing,
		`{}`:                                      ErrMissing,
	} {
		for carrier, read := range carriers {
			if carrier == "JSON" || carrier == "base64 query" || carrier == "base64 header" && !strings.HasPrefix(text, "{") {
				continue
			}
			v := intercom(t)
			var to Reading
			left := read(t, v, text, &to)
			wantError(t, carrier+" "+text, v.shape(&to), want, "")
			if want == ErrMalformed && strings.Contains(left, "user_id") {
				t.Errorf("%s %s: left %s", carrier, text, left)
			}
		}
	}
}

// TestTextNames: a text in another spelling of its name is half a claim, and one that
// appears more than once ambiguous, where a watched name stands in it.
func TestTextNames(t *testing.T) {
	claim := url.QueryEscape(`{"user_id":"u","user_hash":"` + strings.Repeat("a1", 32) + `"}`)
	nobody := url.QueryEscape(`{"plan":"pro"}`)
	for form, want := range map[string]error{
		"user_data=" + claim:                                            nil,
		"USER_DATA=" + claim:                                            ErrPartial,
		"user.data=" + claim:                                            ErrPartial,
		"user_data[]=" + claim:                                          ErrPartial,
		"user_data[0]=" + claim:                                         ErrPartial,
		"%20user_data=" + claim:                                         ErrPartial,
		"user_data[user_id]=u":                                          ErrPartial,
		"user_data.user_id=u":                                           ErrPartial,
		"user_data[user_id]=u&user_data=" + claim:                       ErrAmbiguous,
		"user_data[email]=u&user_data=" + claim:                         nil, // ranks below the id
		"user_data[plan]=u&user_data=" + claim:                          nil,
		"user_data=" + claim + "&user_data=" + claim:                    ErrAmbiguous,
		"user_data=" + claim + "&User_Data=" + claim:                    ErrAmbiguous,
		"user_data=" + claim + "&user_data=x":                           ErrAmbiguous,
		"user_data=x&user_data=" + claim:                                ErrAmbiguous,
		"user_data=" + nobody + "&user_data=" + nobody:                  ErrMissing,
		"user_data=" + nobody + "&User_Data=" + nobody:                  ErrMissing,
		"USER_DATA=" + nobody:                                           ErrMissing,
		"user_data[plan]=pro":                                           ErrMissing,
		"user_data=" + strings.Replace(claim, "%", "%z", 1):             ErrMalformed,
		"user_data=" + strings.Replace(claim, "u%22", "\xc3\xab%22", 1): ErrMalformed,
		"user_data=" + claim + ";user_data=" + claim:                    ErrAmbiguous,
		"x=1;user_data=" + claim:                                        ErrPartial,
		"user_id=u&user_hash=h":                                         ErrMissing,
	} {
		v := intercom(t)
		var body, query Reading
		v.Form([]byte(form), &body)
		wantError(t, "form "+form, v.shape(&body), want, "")
		v.Query([]byte(form), &query)
		wantError(t, "query "+form, v.shape(&query), want, "")
	}
}

// TestBase64Texts: base64 that decoders read differently is malformed if a watched name
// stands in what one of them reads.
func TestBase64Texts(t *testing.T) {
	hash := strings.Repeat("a1", 32)
	claim := func(more string) string { return `{"user_id":"u~~","user_hash":"` + hash + `"` + more + `}` }
	std, web := base64.StdEncoding.EncodeToString([]byte(claim(``))), base64.RawURLEncoding.EncodeToString([]byte(claim(`,"q":"?~?~?~"`)))
	if !strings.ContainsAny(web, "-_") {
		t.Fatal(web)
	}
	for text, want := range map[string]error{
		std:                         nil,
		strings.TrimRight(std, "="): nil,
		web:                         nil,
		strings.NewReplacer("-", "+", "_", "/").Replace(web): nil,
		web + strings.Repeat("=", (4-len(web)%4)%4):          nil,
		web[:len(web)-4] + "\n" + web[len(web)-4:]:           ErrMalformed,
		web[:40] + " " + web[40:]:                            ErrMalformed,
		web[:40] + "=" + web[40:]:                            ErrMalformed,
		web + "=====":                                        ErrMalformed,
		strings.Replace(web, "_", "/", 1) + "":               ErrMalformed,
		web + "!":                                            ErrMalformed,
		claim(``):                                            ErrMalformed,
		"eyJ1c2VyX2lkIjoiYWIifQ":                             ErrPartial,
		"eyJ1c2VyX2lkIjoiYWIifR":                             ErrMalformed, // unused bits
		"dXM=ZXJfaWQ=":                                       ErrMalformed, // us, then er_id
		"eyJwbGFuIjoidSJ9 ":                                  ErrMissing,
		"hello":                                              ErrMissing,
		"!":                                                  ErrMissing,
	} {
		v := intercom(t)
		for name, read := range map[string]func(to *Reading){
			"header": func(to *Reading) {
				v.Text(Place{Field: UserID, Location: atHeader, Name: "Coded", Within: "/user_id"}, []byte(text), to)
			},
			"query": func(to *Reading) { v.Query([]byte("coded="+url.QueryEscape(text)), to) },
		} {
			var to Reading
			read(&to)
			wantError(t, name+" "+text, v.shape(&to), want, "")
		}
	}
	// A plus sign that a form's parser makes a space of.
	plus := base64.StdEncoding.EncodeToString([]byte(claim(`,"q":"aa>"`)))
	if !strings.Contains(plus, "+") {
		t.Fatal(plus)
	}
	for query, want := range map[string]error{"coded=" + plus: ErrMalformed, "coded=" + url.QueryEscape(plus): nil} {
		v := intercom(t)
		var to Reading
		v.Query([]byte(query), &to)
		wantError(t, query, v.shape(&to), want, "")
	}
}

// TestTwoAlphabets: decoders of the standard alphabet pass over the other's characters.
// The text is one claim with them and another one without.
func TestTwoAlphabets(t *testing.T) {
	v := intercom(t)
	// Quanta that end in "-" are one character to some and none to others.
	inner := base64.StdEncoding.EncodeToString([]byte(`","user_id":"victim","b":"`))
	var mixed strings.Builder
	for i := 0; i < len(inner)/3*3; i += 3 {
		mixed.WriteString(inner[i:i+3] + "-")
	}
	for len(inner)%12 != 0 {
		t.Fatal("not aligned: ", len(inner))
	}
	text := base64.StdEncoding.EncodeToString([]byte(`{"user_id":"me","user_hash":"` + strings.Repeat("a1", 32) + `","a":"  `))
	text = strings.TrimRight(text, "=") + mixed.String() + strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(`"}`)), "=")
	if got := string(decodeLenient([]byte(text), "-", false)); !strings.Contains(got, `"user_id":"victim"`) {
		t.Fatal(got)
	}
	var to Reading
	v.Text(Place{Field: UserID, Location: atHeader, Name: "Coded", Within: "/user_id"}, []byte(text), &to)
	wantError(t, text, v.shape(&to), ErrMalformed, "")
}

// TestCodedTextInJSON: where a form has base64, a backend may decode it in a JSON body, too.
func TestCodedTextInJSON(t *testing.T) {
	v := dialectOf(t, "{user_id}", nil, "user_id body /d base64 /user_id", "signature body /d base64 /user_hash")
	coded := base64.StdEncoding.EncodeToString([]byte(`{"user_id":"u","user_hash":"h"}`))
	for body, want := range map[string]error{
		`{"d":{"user_id":"u","user_hash":"h"}}`:                    nil,
		`{"d":"` + coded + `"}`:                                    ErrPartial,
		`{"d":"` + strings.Replace(coded, "e", `\u0065`, 1) + `"}`: ErrPartial,
		`{"d":"` + coded[:20] + `\ud800` + coded[20:] + `"}`:       ErrPartial,
		`{"d":"hello"}`:            ErrMissing,
		`{"d":"eyJwbGFuIjoidSJ9"}`: ErrMissing,
	} {
		var to Reading
		v.JSON([]byte(body), &to)
		wantError(t, body, v.shape(&to), want, "")
		if left := string(to.WithoutBody([]byte(body))); errors.Is(want, ErrPartial) && left != "{}" {
			t.Errorf("%s: left %s", body, left)
		}
	}
	var to Reading
	form := []byte("x=1&d=" + url.QueryEscape(coded) + "&y=2")
	if v.Form(form, &to); string(to.WithoutBody(form)) != "x=1&y=2" || v.shape(&to) != nil {
		t.Errorf("form: left %s, %v", to.WithoutBody(form), v.shape(&to))
	}
	// What does not read as a form may have one, too.
	to.Reset()
	v.Form([]byte("x=%zz&%D=1&d="+coded), &to)
	wantError(t, "a broken form", v.shape(&to), ErrMalformed, "names d")
}

// TestStripWithin: fields to strip are cut within a text, and the attributes are all of it.
func TestStripWithin(t *testing.T) {
	const text = `{"user_id":"u","email":"e@x","name":"A","plan":"pro"}`
	for _, test := range []struct {
		strip []Field
		left  string
	}{
		{nil, `{"name":"A","plan":"pro"}`},
		{[]Field{Name}, `{"plan":"pro"}`},
		{[]Field{Attributes}, ``},
	} {
		for carrier, read := range carriers {
			var to Reading
			left := read(t, intercom(t, test.strip...), text, &to)
			if test.left == "" && !strings.Contains(left, "plan") {
				continue // with its field
			}
			if left != test.left {
				t.Errorf("%s, %v: left %q, want %q", carrier, test.strip, left, test.left)
			}
		}
	}
	v := intercom(t)
	var to Reading
	carriers["form"](t, v, `{"user_id":"u","user_hash":"h","email":"e@x","plan":"pro","company":{"id":1}}`, &to)
	if err := v.shape(&to); err != nil {
		t.Fatal(err)
	}
	if got := string(v.AppendAttributes(nil, &to)); got != `{"plan":"pro","company":{"id":1}}` {
		t.Errorf("attributes %s", got)
	}
}
