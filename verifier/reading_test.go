package verifier

import (
	"errors"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

func TestText(t *testing.T) {
	for _, test := range []struct {
		name, value string
		field       Field
		want        error
		error       string
	}{
		{"an id", "user-1", UserID, nil, ""},
		{"not ASCII", "Zoë", UserID, nil, ""},
		{"empty", "", UserID, nil, ""},
		{"not UTF-8", "\xff", UserID, ErrMalformed, "user_id is not valid UTF-8"},
		{"a surrogate as UTF-8", "\xed\xa0\x80", Email, ErrMalformed, "email is not valid UTF-8"},
		{"attributes", ` {"a":1}`, Attributes, nil, ""},
		{"no attributes", "", Attributes, nil, ""},
		{"attributes, an array", `[]`, Attributes, ErrMalformed, "attributes is not a JSON object"},
		{"attributes, not JSON", `{`, Attributes, ErrMalformed, "attributes is not a JSON object"},
		{"attributes, a text", `plan=pro`, Attributes, ErrMalformed, "attributes is not a JSON object"},
		{"attributes, blanks", `  `, Attributes, ErrMalformed, "attributes is not a JSON object"},
	} {
		var r Reading
		r.Text(Place{Field: test.field}, []byte(test.value))
		wantError(t, test.name, r.fault(), test.want, test.error)
		value := test.value
		if test.want != nil {
			value = ""
		}
		if string(r.settled()[test.field]) != value {
			t.Errorf("%s: %q", test.name, r.settled()[test.field])
		}
	}
}

func TestTwofold(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*Reading)
		want bool
	}{
		{"nothing", func(*Reading) {}, false},
		{"one value", func(r *Reading) { r.Text(Place{Field: UserID}, []byte("a")) }, false},
		{"the same twice", func(r *Reading) { r.Text(Place{Field: UserID}, []byte("a")); r.Text(Place{Field: UserID}, []byte("a")) }, false},
		{"two values", func(r *Reading) { r.Text(Place{Field: UserID}, []byte("a")); r.Text(Place{Field: UserID}, []byte("b")) }, true},
		{"a value and nothing", func(r *Reading) { r.Text(Place{Field: UserID}, []byte("a")); r.Text(Place{Field: UserID}, nil) }, false},
		{"two values of the widget", func(r *Reading) { r.Text(Place{Field: Widget}, []byte("a")); r.Text(Place{Field: Widget}, []byte("b")) }, true},
		{"twice in one place", func(r *Reading) { r.MarkDuplicate(Place{Field: UserID}) }, true},
		{"a variant alone", func(r *Reading) { r.MarkVariant(Place{Field: UserID}) }, false},
		{"a variant and a value", func(r *Reading) { r.MarkVariant(Place{Field: UserID}); r.Text(Place{Field: UserID}, []byte("a")) }, true},
		{"a variant and an empty value", func(r *Reading) { r.MarkVariant(Place{Field: UserID}); r.Text(Place{Field: UserID}, nil) }, false},
		{"a variant of another field", func(r *Reading) { r.MarkVariant(Place{Field: Email}); r.Text(Place{Field: UserID}, []byte("a")) }, false},
	} {
		var r Reading
		if test.do(&r); r.ambiguous() != test.want {
			t.Errorf("%s: %v", test.name, !test.want)
		}
		if r.Reset(); r.ambiguous() || r.fault() != nil || len(r.settled()[UserID]) != 0 {
			t.Errorf("%s: something is left after Reset", test.name)
		}
	}
}

// TestSingle: a field that could be read in two ways names nothing.
func TestSingle(t *testing.T) {
	reader, _ := spoken(t, "inviaro")
	for _, test := range []struct {
		body, query, widget string
		plain               bool
	}{
		{`{"key":"w"}`, "", "w", true},
		{`{"key":"w"}`, "key=w", "w", true},
		{`{"key":"w"}`, "key=v", "", false},
		{`{"key":"w","key":"w"}`, "", "", false},
		{`{"key":"w","KEY":"w"}`, "", "", false},
		{`{"KEY":"w"}`, "", "", true},
		{`{}`, "key=w&key=w", "", false},
		{`{}`, "key[]=w", "", true},
		{`{"key":null}`, "", "", true},
		// What is wrong with another field is no matter of this one.
		{`{"key":"w","user_id":"a","userId":"b"}`, "", "w", false},
		{`{"key":"w","user_id":1.5}`, "", "w", false},
		{`{"key":7}`, "", "", false},
	} {
		var r Reading
		reader.JSON([]byte(test.body), &r)
		reader.Query([]byte(test.query), &r)
		if got := string(r.Single(Widget)); got != test.widget || r.Plain() != test.plain {
			t.Errorf("%s %s: %q, plain %v", test.body, test.query, got, r.Plain())
		}
	}
	var r Reading
	reader.JSONOrForm([]byte(`{"key":"w","m":"&key=v&"}`), &r)
	if got := r.Single(Widget); got != nil {
		t.Errorf("JSON as a form: %q", got)
	}
}

func TestMalformed(t *testing.T) {
	var r Reading
	r.MarkMalformed(Place{Field: Nonce}, "is odd")
	r.MarkMalformed(Place{Field: Email}, "is odd, too")
	wantError(t, "first", r.fault(), ErrMalformed, "verifier: nonce is odd")
	if r.Reset(); r.fault() != nil {
		t.Error("an error is left after Reset")
	}
}

// TestReadingReuse: what one request left in a reading's memory must not come
// up in the next.
func TestReadingReuse(t *testing.T) {
	reader, v := spoken(t, "bookbag")
	var r Reading
	texts := []string{
		`{"user_id":"\u0061bc","user_hash":"\u0064ef","user_metadata":{"name":"\u0067hi"}}`,
		`{"user_hash":"x","USER_ID":"y"}`,
		`{"user_id":"u","user_id":"v"}`,
		`{"user_id"`,
		`{"user_id":"\u0075","user_hash":"h"}`,
		`{}`,
	}
	wants := []error{nil, ErrPartial, ErrAmbiguous, ErrMalformed, nil, ErrMissing}
	for range 3 {
		for i, text := range texts {
			r.Reset()
			reader.JSON([]byte(text), &r)
			wantError(t, text, v.shape(&r), wants[i], "")
			var fresh Reading
			reader.JSON([]byte(text), &fresh)
			for f := range fresh.claim {
				if string(fresh.settled()[f]) != string(r.settled()[f]) {
					t.Errorf("%s: %s is %q, and %q in a new reading", text, Field(f), r.settled()[f], fresh.settled()[f])
				}
			}
			if len(fresh.BodyCuts) != len(r.BodyCuts) {
				t.Errorf("%s: cuts %v, %v", text, r.BodyCuts, fresh.BodyCuts)
			}
		}
	}
}

// TestDecodedTogether: several decoded fields share one buffer, which grows.
func TestDecodedTogether(t *testing.T) {
	reader, _ := spoken(t, "nextcap")
	var r Reading
	body := `{"userId":"\u0061` + strings.Repeat("x", 100) + `","userHash":"\u0062` + strings.Repeat("y", 300) + `","email":"\u0063","name":"\u0064` + strings.Repeat("z", 2000) + `"}`
	reader.JSON([]byte(body), &r)
	for f, want := range map[Field]string{UserID: "a" + strings.Repeat("x", 100), Signature: "b" + strings.Repeat("y", 300), Email: "c", Name: "d" + strings.Repeat("z", 2000)} {
		if string(r.settled()[f]) != want {
			t.Errorf("%s: %.20q…", f, r.settled()[f])
		}
	}
	// The buffer is now large enough for all. Appending to a value must not
	// write over the next.
	r.Reset()
	reader.JSON([]byte(body), &r)
	longer := append(r.settled()[UserID], "!!!!"...)
	if r.settled()[Signature][0] != 'b' || len(longer) != 105 {
		t.Error("a value's memory reaches into the next")
	}
}

// TestMore: where names appear more often than is kept, the claim is ambiguous
// whichever they are, and what would have to be cut is the whole text.
func TestMore(t *testing.T) {
	reader, v := spoken(t, "inviaro")
	const many = 1000
	for _, test := range []struct {
		name, text string
		read       func(text []byte, to *Reading)
	}{
		{"form", "key=a&x=1&user_id=u&" + strings.Repeat("User_id&", many) + "user_hash=h", func(b []byte, to *Reading) { reader.Form(b, to) }},
		{"JSON, as a form", `{"x":"&key=a&` + strings.Repeat("email;", many) + `"}`, func(b []byte, to *Reading) { reader.JSONOrForm(b, to) }},
		{"query", "key=a&x=1&user_id=u&" + strings.Repeat("user_id&", many) + "user_hash=h", func(b []byte, to *Reading) { reader.Query(b, to) }},
		{
			"multipart", strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n", many) + "--b--",
			func(b []byte, to *Reading) { reader.multipart(b, "b", to) },
		},
		{"JSON", `{"x":1,` + strings.Repeat(`"user_id":"u","x":1,`, many) + `"user_hash":"h"}`, func(b []byte, to *Reading) { reader.JSON(b, to) }},
	} {
		var to Reading
		test.read([]byte(test.text), &to)
		if err := v.shape(&to); !errors.Is(err, ErrAmbiguous) || to.Plain() {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := to.Single(Widget); test.name == "multipart" && len(got) > 0 {
			t.Errorf("%s: names the widget %q", test.name, got)
		}
		// Of a proof nothing is left, of the widget's name everything.
		left := len(claimjson.Cut(nil, []byte(test.text), append(to.BodyCuts, to.QueryCuts...)))
		if want := map[string]int{"multipart": len(test.text), "JSON, as a form": left}[test.name]; left != want {
			t.Errorf("%s: of %d bytes %d are left", test.name, len(test.text), left)
		}
		if to.Reset(); !to.Plain() || len(to.BodyCuts)+len(to.QueryCuts) > 0 {
			t.Errorf("%s: something is left after Reset", test.name)
		}
	}
}

// TestTooLong: a text that has to be decoded may have many times what any field
// may, and no more.
func TestTooLong(t *testing.T) {
	reader, _ := spoken(t, "bookbag")
	for _, test := range []struct {
		name, text string
		want       string
	}{
		{"escapes", `{"user_id":"` + strings.Repeat(`\n`, 1<<19) + `"}`, "user_id is too long to be read"},
		{"one escape", `{"user_id":"\n` + strings.Repeat("a", 1<<20) + `"}`, "user_id is too long to be read"},
		{"two together", `{"user_id":"\n` + strings.Repeat("a", 40<<10) + `","user_hash":"\n` + strings.Repeat("a", 40<<10) + `"}`, "signature is too long to be read"},
		{"none", `{"user_id":"` + strings.Repeat("a", 1<<20) + `"}`, ""},
		{"as many as an id may have", `{"user_id":"` + strings.Repeat(`\ud83d\ude00`, 512) + `","user_hash":"\n"}`, ""},
	} {
		var to Reading
		reader.JSON([]byte(test.text), &to)
		if test.want != "" {
			wantError(t, test.name, to.fault(), ErrMalformed, test.want)
		} else if to.fault() != nil {
			t.Errorf("%s: %v", test.name, to.fault())
		}
	}
	var to Reading
	reader.Form([]byte("user_hash="+strings.Repeat("%41", 1<<18)), &to)
	wantError(t, "form", to.fault(), ErrMalformed, "signature is too long to be read")
}
