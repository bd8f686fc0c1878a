package verifier

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

func newReader(t testing.TB, at string, places ...Place) *reader {
	t.Helper()
	for i := range places {
		places[i].Root = places[i].Field >= Widget
	}
	r, err := compileReader(places, at)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readsJSON checks what a reader finds of the user id in a body.
func readsJSON(t *testing.T, r *reader, body, user string, want error) {
	t.Helper()
	var to Reading
	r.JSON([]byte(body), &to)
	wantError(t, body, to.fault(), want, "")
	if got := string(to.settled()[UserID]); got != user {
		t.Errorf("%s: user id %q, want %q", body, got, user)
	}
}

func TestPointers(t *testing.T) {
	for _, test := range []struct {
		name, at string
		places   []Place
		error    string
	}{
		{"empty", "", []Place{{Field: UserID, Name: ""}}, "user_id: '' is no JSON pointer"},
		{"no slash", "", []Place{{Field: UserID, Name: "user_id"}}, "'user_id' is no JSON pointer: it begins with a slash, as in '/user_id'"},
		{"slash alone", "", []Place{{Field: Email, Name: "/"}}, "email: '/' names a member without a name"},
		{"slash at the end", "", []Place{{Field: UserID, Name: "/a/"}}, "names a member without a name"},
		{"two slashes", "", []Place{{Field: UserID, Name: "/a//b"}}, "names a member without a name"},
		{"bare tilde", "", []Place{{Field: UserID, Name: "/a~b"}}, "has a bare ~: write ~0 for ~ and ~1 for /"},
		{"bare tilde at the end", "", []Place{{Field: UserID, Name: "/a~"}}, "has a bare ~"},
		{"not UTF-8", "", []Place{{Field: UserID, Name: "/\xff"}}, "UTF-8"},
		{"at without a slash", "data", []Place{{Field: UserID, Name: "/id"}}, "at: 'data' is no JSON pointer"},
		{"at slash", "/", []Place{{Field: UserID, Name: "/id"}}, "at: '/' names a member without a name"},
		{"at slash at the end", "/data/", []Place{{Field: UserID, Name: "/id"}}, "at: '/data/' names a member without a name"},
		{"at with a bare tilde", "/d~2", []Place{{Field: UserID, Name: "/id"}}, "at: '/d~2' has a bare ~"},
		{"within a text", "", []Place{{Field: UserID, Name: "/user"}, {Field: Email, Name: "/user/email"}}, "email at '/user/email' lies within user_id at '/user', which is a text"},
		{"within a text, the other way round", "", []Place{{Field: Email, Name: "/user/email"}, {Field: UserID, Name: "/user"}}, "lies within user_id"},
		{"widget within a text", "", []Place{{Field: Widget, Name: "/user/w"}, {Field: Widget, Name: "/user"}}, "lies within widget"},
	} {
		_, err := compileReader(test.places, test.at)
		if err == nil || !strings.Contains(err.Error(), test.error) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.error)
		}
	}
	// Beside a text, or within the attributes, is not within a text.
	for _, places := range [][]Place{
		{{Field: UserID, Name: "/user"}, {Field: Email, Name: "/user_email"}},
		{{Field: Attributes, Name: "/user"}, {Field: UserID, Name: "/user/id"}},
		{{Field: UserID, Location: atQuery, Name: "no/pointer"}, {Field: Signature, Location: atHeader, Name: "X"}, {Field: Email, Location: atCookie, Name: "~"}},
	} {
		if _, err := compileReader(places, ""); err != nil {
			t.Errorf("%v: %v", places, err)
		}
	}
}

func TestTooManyNames(t *testing.T) {
	var query, body []Place
	for i := range 257 {
		query = append(query, Place{Field: UserID, Location: atQuery, Name: fmt.Sprint("q", i)})
		body = append(body, Place{Field: UserID, Name: fmt.Sprint("/b", i)})
	}
	for _, places := range [][]Place{query, body} {
		if _, err := compileReader(places, ""); err == nil || !strings.Contains(err.Error(), "can be") {
			t.Errorf("65 places: %v", err)
		}
		if _, err := compileReader(places[:64], ""); err != nil {
			t.Errorf("64 places: %v", err)
		}
	}
	r := newReader(t, "", query[:64]...)
	var to Reading
	r.Query([]byte("q63=a&q63=a"), &to)
	if !to.ambiguous() {
		t.Error("the last name twice is not noticed")
	}
}

// TestManyFormNames: a pointer may stand for two names in a form, so that there
// may be more of them than pointers.
func TestManyFormNames(t *testing.T) {
	var places []Place
	for i := range 64 {
		places = append(places, Place{Field: UserID, Name: fmt.Sprintf("/a/b%d", i)})
	}
	r := newReader(t, "", places...)
	for _, form := range []string{"b63=u&b63=u", "a[b63]=u&a[b63]=u&b0=u"} {
		var to Reading
		if r.Form([]byte(form), &to); !to.ambiguous() {
			t.Errorf("%s: a duplicate is not noticed", form)
		}
	}
}

func TestAt(t *testing.T) {
	r := newReader(t, "/a~1b/claim", Place{Field: UserID, Name: "/id"}, Place{Field: Signature, Name: "/sig"})
	for _, test := range []struct {
		body, user string
		want       error
	}{
		{`{"a/b":{"claim":{"id":"u"}}}`, "u", nil},
		{`{"a\/b":{"cl\u0061im":{"id":"u"}}}`, "u", nil},
		{`{"a/b":{"claim":{}}}`, "", nil},
		{`{"a/b":{}}`, "", nil},
		{`{}`, "", nil},
		{`{"id":"u"}`, "", nil},
		{`{"claim":{"id":"u"}}`, "", nil},
		{`{"a/b":{"claim":"u"}}`, "", nil},
		{`{"a/b":{"claim":[{"id":"u"}]}}`, "", nil}, // a variant
		{`{"a/b":{"claim":null}}`, "", nil},
		{`{"a/b":7}`, "", nil},
	} {
		readsJSON(t, r, test.body, test.user, test.want)
	}
	var to Reading
	for text, there := range map[string]bool{
		`{"a/b":[]}`: false, `{"a/b":[{"claim":{"id":"u"}}]}`: true, `{"a/b":"{\\"claim\\":{\\"id\\":\\"u\\"}}"}`: true, `{"a/b":"id"}`: false, `[{"a/b":{"claim":{"id":7}}}]`: true,
	} {
		to.Reset()
		if r.JSON([]byte(text), &to); to.HasProof() != there {
			t.Errorf("%s: a claim is there: %v", text, !there)
		}
	}

	// A form has no objects: the pointer's last token is the name.
	to.Reset()
	r.Form([]byte("id=u&sig=s&claim=x"), &to)
	if string(to.settled()[UserID]) != "u" || string(to.settled()[Signature]) != "s" || to.fault() != nil {
		t.Errorf("form: %q, %v", to.claim, to.fault())
	}
}

// TestRoot: a dialect's widget travels with its claim, a pointer that is
// configured for the widget starts from the document's root.
func TestRoot(t *testing.T) {
	body := []byte(`{"key":"outer","claim":{"key":"inner","id":"u"}}`)
	for root, want := range map[bool]string{false: "inner", true: "outer"} {
		places := []Place{{Field: UserID, Name: "/id"}, {Field: Widget, Name: "/key", Root: root}}
		r, err := compileReader(places, "/claim")
		if err != nil {
			t.Fatal(err)
		}
		var to Reading
		r.JSON(body, &to)
		if string(to.settled()[Widget]) != want || string(to.settled()[UserID]) != "u" {
			t.Errorf("root %v: widget %q, user id %q", root, to.settled()[Widget], to.settled()[UserID])
		}
		if left := string(claimjson.Cut(nil, body, to.BodyCuts)); left != `{"key":"outer","claim":{"key":"inner"}}` {
			t.Errorf("cut: %s", left)
		}
	}
}

func TestPointerEscapes(t *testing.T) {
	r := newReader(t, "", Place{Field: UserID, Name: "/~0a~1b~01"})
	readsJSON(t, r, `{"~a/b~1":"u"}`, "u", nil)
	readsJSON(t, r, `{"~0a~1b~01":"u"}`, "", nil)
	var to Reading
	r.Form([]byte(url.QueryEscape("~a/b~1")+"=u"), &to)
	if string(to.settled()[UserID]) != "u" {
		t.Errorf("form: %q", to.settled()[UserID])
	}
}

func TestOnePlaceForTwoFields(t *testing.T) {
	r := newReader(t, "", Place{Field: UserID, Name: "/email"}, Place{Field: Email, Name: "/email"}, Place{Field: UserID, Location: atQuery, Name: "email"}, Place{Field: Email, Location: atQuery, Name: "email"})
	check := func(name string, to *Reading, cut, want string) {
		t.Helper()
		if string(to.settled()[UserID]) != "a@b" || string(to.settled()[Email]) != "a@b" || to.ambiguous() || to.fault() != nil {
			t.Errorf("%s: %q, ambiguous %v, %v", name, to.claim, to.ambiguous(), to.fault())
		}
		if cut != want {
			t.Errorf("%s: cut %q", name, cut)
		}
	}
	var to Reading
	body := []byte(`{"email":"a@b","x":1}`)
	r.JSON(body, &to)
	check("JSON", &to, string(claimjson.Cut(nil, body, to.BodyCuts)), `{"x":1}`)
	to.Reset()
	form := []byte("email=a%40b&x=1")
	r.Form(form, &to)
	check("form", &to, string(claimjson.Cut(nil, form, to.BodyCuts)), "x=1")
	to.Reset()
	r.Query(form, &to)
	check("query", &to, string(claimjson.Cut(nil, form, to.QueryCuts)), "x=1")
	to.Reset()
	r.Form([]byte("email=a&email=a"), &to)
	if !to.ambiguous() {
		t.Error("twice in one place")
	}
}

// TestSeveralPlaces: a field may have several places, but one value.
func TestSeveralPlaces(t *testing.T) {
	r := newReader(t, "", Place{Field: UserID, Name: "/a/id"}, Place{Field: UserID, Name: "/b/id"}, Place{Field: UserID, Location: atQuery, Name: "id"}, Place{Field: UserID, Location: atHeader, Name: "X-Id"})
	for _, test := range []struct {
		body, query, header string
		user                string
		ambiguous           bool
	}{
		{`{"a":{"id":"u"}}`, "", "", "u", false},
		{`{"b":{"id":"u"}}`, "", "", "u", false},
		{`{"a":{"id":"u"},"b":{"id":"u"}}`, "id=u", "u", "u", false},
		{`{"a":{"id":""},"b":{"id":"u"}}`, "id=", "", "u", false},
		{`{"a":{"id":null},"b":{"id":"u"}}`, "", "u", "u", false},
		{`{"a":{"id":"u"},"b":{"id":"v"}}`, "", "", "u", true},
		{`{"a":{"id":"u"}}`, "id=v", "", "v", true},
		{`{"a":{"id":"u"}}`, "", "v", "u", true},
		{`{"a":{"id":1}}`, "id=1", "1", "1", false},
		{`{"a":{"id":1}}`, "id=01", "", "01", true},
		{`{}`, "id=u&id=u", "", "u", true},
		{`{}`, "id=&id=", "", "", true},
		{`{"a":{"id":"u"}}`, "ID=u", "", "u", true},
		{`{"A":{"id":"u"}}`, "", "u", "u", true},
		{`{"A":{"id":"u"}}`, "", "", "", false},
	} {
		var to Reading
		r.Query([]byte(test.query), &to)
		r.JSON([]byte(test.body), &to)
		to.Text(Place{Field: UserID}, []byte(test.header))
		if string(to.settled()[UserID]) != test.user || to.ambiguous() != test.ambiguous || to.fault() != nil {
			t.Errorf("%s %s %s: %q, ambiguous %v, %v", test.body, test.query, test.header, to.settled()[UserID], to.ambiguous(), to.fault())
		}
	}
}

func TestIntegers(t *testing.T) {
	r := newReader(t, "", Place{Field: UserID, Name: "/id"}, Place{Field: Timestamp, Name: "/ts"})
	for token, good := range map[string]bool{
		"0": true, "1": true, "-1": true, "42": true, "1000": true,
		"9007199254740991": true, "-9007199254740991": true, "9007199254740990": true, "999999999999999": true,
		"9007199254740992": false, "-9007199254740992": false, "9007199254741000": false, "9999999999999999": false,
		"10000000000000000": false, "90071992547409910": false, "-90071992547409910": false,
		"-0": false, "0.0": false, "1.0": false, "1.5": false, "-1.5": false, "1e3": false, "1E3": false, "1e0": false, "1e-3": false, "0e0": false, "1e400": false,
	} {
		user, want := "", error(ErrMalformed)
		if good {
			user, want = token, nil
		}
		readsJSON(t, r, `{"id":`+token+`}`, user, want)
		readsJSON(t, r, "{\"id\" :\t"+token+" ,\"x\":0}", user, want)
		// As a text any of them is an id.
		readsJSON(t, r, `{"id":"`+token+`"}`, token, nil)
	}
	for _, token := range []string{"01", "-", "+1", "0x1", "1_000", ".5", "1.", "NaN", "Infinity", "--1"} {
		readsJSON(t, r, `{"id":`+token+`}`, "", ErrMalformed)
	}
	// A timestamp's digits are counted when its shape is checked.
	var to Reading
	r.JSON([]byte(`{"ts":1800000000}`), &to)
	if string(to.settled()[Timestamp]) != "1800000000" {
		t.Errorf("timestamp %q", to.settled()[Timestamp])
	}
}

// TestAbsent: null and the empty text count as absent, in every field.
func TestAbsent(t *testing.T) {
	for _, d := range Dialects {
		reader, v := spoken(t, d.Name)
		for _, value := range []string{"null", `""`} {
			for _, p := range d.Places {
				if p.Field == Attributes && value == `""` || !p.inBody() {
					continue
				}
				name, _, nested := strings.Cut(p.Name[1:], "/")
				body := `{"` + name + `":` + value + `}`
				if nested {
					body = `{"` + name + `":{"` + lastToken(p.Name) + `":` + value + `}}`
				}
				var to Reading
				reader.JSON([]byte(body), &to)
				wantError(t, d.Name+" "+body, v.shape(&to), ErrMissing, "")
				if len(to.settled()[p.Field]) != 0 {
					t.Errorf("%s %s: %q", d.Name, body, to.settled()[p.Field])
				}
			}
		}
		for _, p := range d.Places {
			for _, form := range []string{lastToken(p.Name), lastToken(p.Name) + "="} {
				var to Reading
				reader.Form([]byte(form), &to)
				wantError(t, d.Name+" "+form, v.shape(&to), ErrMissing, "")
			}
		}
	}
}

// TestTypes: a wrong type is refused in what proves, and left out elsewhere.
func TestTypes(t *testing.T) {
	for _, d := range Dialects {
		reader, v := spoken(t, d.Name)
		for _, p := range d.Places {
			if !p.inBody() {
				continue
			}
			for _, value := range []string{"true", "false", "7", "-1.5", "[]", `["x"]`, "{}", `{"x":1}`, `"x"`, `"\ud83d"`, `"\udc00\ud83d"`} {
				good, field := value == `"x"`, p.Field
				if slices.ContainsFunc(d.Places, func(q Place) bool { return q.Field == UserID && q.inBody() && q.pointer() == p.pointer() }) {
					field = UserID // an e-mail address that stands for one
				}
				switch field {
				case UserID:
					good = good || value == "7"
				case Attributes:
					good = value[0] == '{' || value == "[]" // which is PHP's empty object
				case Timestamp, Nonce, TokenField:
					good = false // of another length
				}
				body := value
				for _, name := range slices.Backward(strings.Split(p.pointer(), "/")[1:]) {
					body = `{"` + name + `":` + body + `}`
				}
				var to Reading
				reader.JSON([]byte(body), &to)
				err := judged(v, &to)
				if bad := errors.Is(err, ErrMalformed); bad == good {
					t.Errorf("%s %s: %v", d.Name, body, err)
				}
			}
		}
	}
}

func TestBodyErrors(t *testing.T) {
	reader, _ := spoken(t, "bookbag")
	for _, test := range []struct {
		name, text string
		read       func(*Reading, []byte)
		error      string
	}{
		{"JSON", `{"user_id":}`, func(r *Reading, b []byte) { reader.JSON(b, r) }, "the body names user_id and is not valid JSON"},
		{"depth", `"user_id"` + strings.Repeat("[", 1001), func(r *Reading, b []byte) { reader.JSON(b, r) }, "the body names user_id and is not valid JSON"},
		{"JSON, UTF-8", "[\"user_hash\xff\"]", func(r *Reading, b []byte) { reader.JSON(b, r) }, "the body names user_hash and is not valid UTF-8"},
		{"form, escape", "x=%&user_id=u", func(r *Reading, b []byte) { reader.Form(b, r) }, "the body names user_id and has a bad percent escape"},
		{"form, UTF-8", "%ff=x&user_id", func(r *Reading, b []byte) { reader.Form(b, r) }, "the body names user_id and is not valid UTF-8"},
		{"field, escape", "user_id=%", func(r *Reading, b []byte) { reader.Form(b, r) }, "user_id has a bad percent escape"},
		{"field, UTF-8", "user_hash=%ff", func(r *Reading, b []byte) { reader.Form(b, r) }, "signature is not valid UTF-8"},
		{"query, escape", "user_id=%", func(r *Reading, b []byte) { reader.Query(b, r) }, "user_id has a bad percent escape"},
		{"multipart", "--b\r\nuser_id", func(r *Reading, b []byte) { reader.multipart(b, "b", r) }, "the body names user_id and is not a multipart form that all parsers read alike"},
		{
			"file", "--b\r\nContent-Disposition: form-data; name=\"user_id\"; filename=\"f\"\r\n\r\nu\r\n--b--\r\n",
			func(r *Reading, b []byte) { reader.multipart(b, "b", r) }, "user_id is not sent as a plain form field",
		},
		{"attributes", "user_metadata=7", func(r *Reading, b []byte) { reader.Form(b, r) }, "attributes is not a JSON object"},
		{"attributes, cut short", "user_metadata={", func(r *Reading, b []byte) { reader.Form(b, r) }, "attributes is not a JSON object"},
	} {
		var to Reading
		test.read(&to, []byte(test.text))
		wantError(t, test.name, to.fault(), ErrMalformed, test.error)
		// The first finding stays.
		test.read(&to, []byte(`]user_hash`))
		wantError(t, test.name, to.fault(), ErrMalformed, test.error)
	}
	// Elsewhere in a query a bad escape is somebody else's.
	var to Reading
	reader.Query([]byte("x=%zz&user_id=u"), &to)
	if string(to.settled()[UserID]) != "u" || to.fault() != nil {
		t.Errorf("query: %q, %v", to.settled()[UserID], to.fault())
	}
}

func TestJSONOrForm(t *testing.T) {
	reader, v := spoken(t, "bookbag")
	for _, test := range []struct {
		name, body string
		want       error
	}{
		{"JSON alone", `{"user_id":"u","user_hash":"h"}`, nil},
		{"equals signs and ampersands elsewhere", `{"user_id":"u","user_hash":"h","m":"a=b&c=d;e"}`, nil},
		{"a bad escape elsewhere", `{"user_id":"u","user_hash":"h","m":"100%&%zz"}`, nil},
		{"a differing id within", `{"user_id":"u","user_hash":"h","m":"&user_id=v&"}`, ErrAmbiguous},
		// Cutting the JSON's members would leave it for a form's parser to find.
		{"the same id within", `{"user_id":"u","user_hash":"h","m":"&user_id=u&"}`, ErrAmbiguous},
		{"the same signature within", `{"user_id":"u","user_hash":"h","m":"&user_hash=h&"}`, ErrAmbiguous},
		{"an id within, none in the JSON", `{"m":"&user_id=u&"}`, ErrAmbiguous},
		{"an id at the end", `{"m":"&user_id=u"}`, ErrAmbiguous},
		{"an id without a value", `{"m":"&user_id&"}`, ErrMissing},
		{"an empty id beside the JSON's", `{"user_id":"u","user_hash":"h","m":"&user_id=&"}`, ErrAmbiguous},
		{"an id in another case within", `{"m":"&USER_ID=u&"}`, ErrAmbiguous},
		{"an array within", `{"m":"&user_id[]=u&"}`, ErrAmbiguous},
		{"an id twice within", `{"m":"&user_id=u&user_id=u&"}`, ErrAmbiguous},
		{"after a semicolon", `{"m":"&x;user_id=u&"}`, ErrAmbiguous},
		{"a bad escape in the id within", `{"m":"&user_id=%zz&"}`, ErrAmbiguous},
		{"a name within, as in the JSON", `{"user_id":"u","user_hash":"h","user_metadata":{"name":"n"},"m":"&name=n&"}`, nil},
		{"a name within that differs", `{"user_id":"u","user_hash":"h","user_metadata":{"name":"n"},"m":"&name=o&"}`, nil},
		{"not JSON", `{"user_id":"u"`, ErrMalformed},
	} {
		var to Reading
		reader.JSONOrForm([]byte(test.body), &to)
		wantError(t, test.name, v.shape(&to), test.want, "")
		if left := string(claimjson.Cut(nil, []byte(test.body), to.BodyCuts)); test.want == nil && strings.Contains(left, "user_") && !strings.Contains(left, "user_metadata") {
			t.Errorf("%s: cut %s", test.name, left)
		}
	}
}

// TestAttributesInForms: in a form or a query the attributes are the text of a
// JSON object, whose members can be fields.
func TestAttributesInForms(t *testing.T) {
	reader, v := spoken(t, "bookbag")
	for _, test := range []struct {
		name, attributes, rest string
		display                string
		want                   error
	}{
		{"object", `{"name":"A","plan":"pro"}`, "", "A", nil},
		{"blanks around", " \n{\"name\":\"A\"} ", "", "A", nil},
		{"escaped name", `{"n\u0061me":"A"}`, "", "A", nil},
		{"the name beside, alike", `{"name":"A"}`, "&name=A", "A", nil},
		{"the name beside, differing", `{"name":"A"}`, "&name=B", "", ErrMalformed},
		{"the name in another case", `{"NAME":"A"}`, "", "", nil},
		{"the name in another case beside", `{"NAME":"A"}`, "&name=A", "", ErrMalformed},
		{"the name twice", `{"name":"A","name":"A"}`, "", "", ErrMalformed},
		{"the name of another type", `{"name":7}`, "", "", ErrMalformed},
		{"an array", `[]`, "", "", ErrMalformed},
		{"not JSON", `{name:1}`, "", "", ErrMalformed},
		{"twice", `{}`, "&user_metadata={}", "", ErrMalformed},
		{"an array field", `{}`, "&user_metadata[name]=A", "", ErrMalformed},
	} {
		form := []byte("user_id=u&user_hash=h&user_metadata=" + url.QueryEscape(test.attributes) + test.rest)
		var body, query Reading
		reader.Form(form, &body)
		reader.Query(form, &query)
		for _, to := range []*Reading{&body, &query} {
			wantError(t, test.name, judged(v, to), test.want, "")
			if string(to.claim[Name]) != test.display {
				t.Errorf("%s: name %q", test.name, to.claim[Name])
			}
		}
	}
}

// TestProofWithinAttributes: a user id that stands within the attributes' text
// cannot be cut out of a form but with the text.
func TestProofWithinAttributes(t *testing.T) {
	r := newReader(t, "",
		Place{Field: Attributes, Name: "/meta"}, Place{Field: UserID, Name: "/meta/id"}, Place{Field: Name, Name: "/meta/name"}, Place{Field: Signature, Name: "/sig"},
		Place{Field: Attributes, Location: atQuery, Name: "meta"}, Place{Field: UserID, Location: atQuery, Name: "id"})
	for form, want := range map[string]string{
		`x=1&meta={"id":"u"}&y=2`:              "x=1&y=2",
		`x=1&meta={"ID":"u"}&y=2`:              "x=1&y=2",
		`x=1&meta={"id":null}&y=2`:             "x=1&y=2",
		`x=1&META={"id":"u"}&y=2`:              "x=1&y=2",
		`x=1&meta[id]=u&y=2`:                   "x=1&y=2",
		`x=1&meta={"plan":1}&meta={"id":"u"}`:  `x=1&meta={"plan":1}`,
		`x=1&meta={"plan":1,"name":"A"}&sig=s`: `x=1&meta={"plan":1,"name":"A"}`,
	} {
		var to Reading
		r.Form([]byte(form), &to)
		if left := string(claimjson.Cut(nil, []byte(form), to.BodyCuts)); left != want {
			t.Errorf("%s: cut %s", form, left)
		}
		to.Reset()
		r.Query([]byte(strings.TrimSuffix(form, "&sig=s")), &to)
		if left := string(claimjson.Cut(nil, []byte(strings.TrimSuffix(form, "&sig=s")), to.QueryCuts)); left != want {
			t.Errorf("%s: cut of the query %s", form, left)
		}
	}
}

func TestMembersOwned(t *testing.T) {
	for _, test := range []struct {
		places []Place
		want   []string
	}{
		{Dialects[0].AllPlaces(), []string{"name", "email", "phone"}},
		{Dialects[1].AllPlaces(), nil},
		{[]Place{{Field: Attributes, Name: "/m"}, {Field: Name, Name: "/m/a~1b"}, {Field: Email, Name: "/m/deep/er"}, {Field: Phone, Name: "/mm/p"}, {Field: Widget, Name: "/m/w"}, {Field: Company, Location: atQuery, Name: "/m/c"}}, []string{"a/b"}},
	} {
		if got := membersOwned(test.places); !slices.Equal(got, test.want) {
			t.Errorf("%v: %q", test.places, got)
		}
	}
}
