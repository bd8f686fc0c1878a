package verifier

import (
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
)

// What a program does wrong makes nobody of a user, and a user of nobody.

const misuseSecret = "an-example-secret-do-not-use"

func lookedUp(t *testing.T, name string) Dialect {
	t.Helper()
	d, err := LookupDialect(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func signedBy(t *testing.T, v *Verifier, key *Key, fields map[Field]string) string {
	t.Helper()
	signature, err := v.Sign(key, fields)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// An environment variable that is not set, and an error that nobody looks at.
func TestKeyOfNoSecret(t *testing.T) {
	v := compiled(t, lookedUp(t, "bookbag"))
	empty := NewKey(WeakSecret(""))
	body := `{"user_id":"victim","user_hash":"` + signedBy(t, v, empty, map[Field]string{UserID: "victim"}) + `"}`
	var r Reading
	v.JSON([]byte(body), &r)
	secret, _ := NewSecret("")
	if identity, err := v.Verify(&r, NewKey(secret)); !errors.Is(err, ErrInvalid) || identity != (Identity{}) {
		t.Errorf("a key of no secret verifies %q: %v", identity.User(), err)
	}
	if _, err := v.Verify(&r, empty); err != nil {
		t.Errorf("the key of an empty text, as explain asks for it: %v", err)
	}
}

// A map of tenants has nil for a tenant of the client's own making.
func TestKeyThatIsNone(t *testing.T) {
	v, key := compiled(t, lookedUp(t, "bookbag")), NewKey(WeakSecret(misuseSecret))
	body := `{"user_id":"alice","user_hash":"` + signedBy(t, v, key, map[Field]string{UserID: "alice"}) + `"}`
	for _, test := range []struct {
		keys []*Key
		user string
	}{
		{nil, ""},
		{[]*Key{nil}, ""},
		{[]*Key{nil, new(Key)}, ""},
		{[]*Key{nil, key}, "alice"},
		{[]*Key{key, nil}, "alice"},
	} {
		var r Reading
		v.JSON([]byte(body), &r)
		identity, err := v.Verify(&r, test.keys...)
		if identity.User() != test.user || (err == nil) != (test.user != "") || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %q %v", test.keys, identity.User(), err)
		}
	}
}

func closed(m *Multipart, body string) {
	_, _ = m.Write([]byte(body))
	m.Close()
}

// readers are the ways in which a Verifier reads alice's claim.
func readers(signature string) map[string]func(v *Verifier, r *Reading) {
	body, form := []byte(`{"user_id":"alice","user_hash":"`+signature+`"}`), []byte("user_id=alice&user_hash="+signature)
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	return map[string]func(*Verifier, *Reading){
		"JSON":       func(v *Verifier, r *Reading) { v.JSON(body, r) },
		"object":     func(v *Verifier, r *Reading) { v.Object(body, r) },
		"JSONOrForm": func(v *Verifier, r *Reading) { v.JSONOrForm(body, r) },
		"form":       func(v *Verifier, r *Reading) { v.Form(form, r) },
		"query":      func(v *Verifier, r *Reading) { v.Query(form, r) },
		"multipart": func(v *Verifier, r *Reading) {
			closed(v.Multipart("b", 1<<10, r), part("user_id", "alice")+part("user_hash", signature)+"--b--\r\n")
		},
	}
}

// What one Verifier reads may be another user for another one, or ambiguous.
func TestReadingOfAnotherVerifier(t *testing.T) {
	v, key := compiled(t, lookedUp(t, "bookbag")), NewKey(WeakSecret(misuseSecret))
	others := []*Verifier{compiled(t, lookedUp(t, "nextcap")), compiled(t, lookedUp(t, "inviaro")), compiled(t, lookedUp(t, "bookbag"))}
	for name, read := range readers(signedBy(t, v, key, map[Field]string{UserID: "alice"})) {
		var r Reading
		read(v, &r)
		if identity, err := v.Verify(&r, key); err != nil || identity.User() != "alice" {
			t.Fatalf("%s: %q %v", name, identity.User(), err)
		}
		for _, other := range others {
			var r Reading
			read(v, &r)
			if identity, err := other.Verify(&r, key); !errors.Is(err, errReading) || identity != (Identity{}) {
				t.Errorf("%s, verified by another one: %q %v", name, identity.User(), err)
			}
			r.Reset()
			other.Query([]byte("x=1"), &r)
			read(v, &r)
			if identity, err := v.Verify(&r, key); !errors.Is(err, errReading) || identity != (Identity{}) {
				t.Errorf("%s, read by two: %q %v", name, identity.User(), err)
			}
			r.Reset()
			read(v, &r)
			if _, err := v.Verify(&r, key); err != nil {
				t.Errorf("%s, after Reset: %v", name, err)
			}
		}
	}
}

// Of a signed e-mail address only a Verifier that signs it knows all spellings.
func TestSignedEmailReadByAnotherVerifier(t *testing.T) {
	plain, key := lookedUp(t, "bookbag"), NewKey(WeakSecret(misuseSecret))
	withEmail := plain
	withEmail.Message = "{user_id}\n{email}"
	v := compiled(t, withEmail)
	signature := signedBy(t, v, key, map[Field]string{UserID: "alice", Email: "a@example.com"})
	form := []byte("user_id=alice&user_hash=" + signature + "&email=a@example.com&user_metadata[email]=victim@example.com")
	for _, reader := range []*Verifier{v, compiled(t, plain)} {
		var r Reading
		reader.Form(form, &r)
		if identity, err := v.Verify(&r, key); err == nil {
			t.Errorf("two e-mail addresses, of which %q is verified", identity.Email())
		}
	}
}

// Who forgets Reset must not have the user of the request before.
func TestReadingWithoutReset(t *testing.T) {
	v, key := compiled(t, lookedUp(t, "bookbag")), NewKey(WeakSecret(misuseSecret))
	nobodys := map[string]func(r *Reading){
		"JSON":      func(r *Reading) { v.JSON([]byte(`{"text":"hi"}`), r) },
		"object":    func(r *Reading) { v.Object([]byte(`{"text":"hi"}`), r) },
		"text body": func(r *Reading) { v.Object([]byte("hi"), r) },
		"form":      func(r *Reading) { v.Form([]byte("text=hi"), r) },
		"query":     func(r *Reading) { v.Query(nil, r) },
		"multipart": func(r *Reading) { closed(v.Multipart("b", 1<<10, r), "--b--\r\n") },
		"text":      func(r *Reading) { r.Text(Place{Field: UserID}, nil) },
		"mark":      func(r *Reading) { r.MarkVariant(Place{Field: Name}) },
	}
	for first, read := range readers(signedBy(t, v, key, map[Field]string{UserID: "alice"})) {
		for second, readNobody := range nobodys {
			var r Reading
			read(v, &r)
			for range 2 { // which may be verified again
				if _, err := v.Verify(&r, key); err != nil {
					t.Fatal(first, err)
				}
			}
			readNobody(&r)
			if identity, err := v.Verify(&r, key); err == nil || identity != (Identity{}) {
				t.Errorf("%s of nobody behind %s of alice: %q", second, first, identity.User())
			}
			r.Reset()
			readNobody(&r)
			if identity, err := v.Verify(&r, key); !errors.Is(err, ErrMissing) || identity != (Identity{}) {
				t.Errorf("%s of nobody after Reset: %q %v", second, identity.User(), err)
			}
		}
	}
}

// Who changes a dialect changes his own.
func TestDialectIsACopy(t *testing.T) {
	d := lookedUp(t, "bookbag")
	d.Strip = []Field{Email}
	v := compiled(t, d)
	for _, of := range []func() Dialect{func() Dialect { return d }, v.Dialect, v.Dialect} {
		changed := of()
		if changed.Places[0].Name != "/user_id" || changed.Strip[0] != Email {
			t.Errorf("it has become another one: %v", changed.Places[0])
		}
		changed.Places[0].Name, changed.Strip[0] = "/changed", Name
	}
	if again := lookedUp(t, "bookbag"); again.Places[0].Name != "/user_id" {
		t.Errorf("everybody's has become %v", again.Places[0])
	}
}

// What is read into one Reading must agree, however often, and whatever had to be
// decoded: the values of the first are in memory that the second leaves alone.
func TestReadingOfTwoFormsOfOneKind(t *testing.T) {
	v, key := compiled(t, lookedUp(t, "bookbag")), NewKey(WeakSecret(misuseSecret))
	signature := signedBy(t, v, key, map[Field]string{UserID: "alicex"})
	multipart := func(boundary string, end string, fields ...string) func(*Reading) {
		body := ""
		for i := 0; i < len(fields); i += 2 {
			body += "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + fields[i] + "\"\r\n\r\n" + fields[i+1] + "\r\n"
		}
		return func(r *Reading) {
			m := v.Multipart(boundary, 1<<10, r)
			for i := range body { // a byte at a time, so that values are copied
				_, _ = m.Write([]byte(body)[i : i+1])
			}
			_, _ = m.Write([]byte(end))
			m.Close()
		}
	}
	query := func(text string) func(*Reading) { return func(r *Reading) { v.Query([]byte(text), r) } }
	form := func(text string) func(*Reading) { return func(r *Reading) { v.Form([]byte(text), r) } }
	for name, reads := range map[string][]func(*Reading){
		"queries":            {query("user_id=%76ictim&user_hash=" + signature), query("user_id=alice%78")},
		"forms":              {form("user_id=%76ictim&user_hash=" + signature), form("user_id=alice%78")},
		"a broken one after": {form("user_id=%76ictim&user_hash=" + signature), form("x=%"), form("user_id=alice%78")},
		"multiparts":         {multipart("b", "--b--\r\n", "user_id", "victim", "user_hash", signature), multipart("c", "--c--\r\n", "user_id", "alicex")},
		"both":               {form("user_id=%76ictim&user_hash=" + signature), multipart("b", "--b--\r\n", "user_id", "alicey"), form("user_id=alice%78")},
	} {
		var r Reading
		for _, read := range reads {
			read(&r)
		}
		if identity, err := v.Verify(&r, key); !errors.Is(err, ErrAmbiguous) || identity != (Identity{}) {
			t.Errorf("%s that say two users: %q %v", name, identity.User(), err)
		}
	}
}

// A form whose end nobody has looked at is nobody's, but no anonymous visitor's.
func TestMultipartNotClosed(t *testing.T) {
	v, key := compiled(t, lookedUp(t, "bookbag")), NewKey(WeakSecret(misuseSecret))
	const whole = "--b\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nalice\r\n--b--\r\n"
	for _, test := range []struct {
		name, boundary, body string
		want                 error
	}{
		{"whole", "b", whole, ErrPartial},
		{"cut short", "b", whole[:60], ErrMalformed},
		{"without its end", "b", strings.TrimSuffix(whole, "--b--\r\n"), ErrMalformed},
		{"no boundary", "", whole, ErrMalformed},
		{"another boundary", "c", whole, ErrMalformed},
		{"empty", "b", "", ErrMalformed},
		{"too large", "b", strings.Replace(whole, "alice", strings.Repeat("a", 2<<10), 1), ErrTooLarge},
	} {
		var r Reading
		m := v.Multipart(test.boundary, 1<<10, &r)
		_, _ = m.Write([]byte(test.body))
		if _, err := v.Verify(&r, key); !errors.Is(err, errOpen) {
			t.Errorf("%s, not closed: %v", test.name, err)
		}
		r.Reset()
		m = v.Multipart(test.boundary, 1<<10, &r)
		closed(m, test.body)
		m.Close() // again, as a defer does
		if _, err := v.Verify(&r, key); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if _, err := m.Write([]byte("x")); err == nil {
			t.Errorf("%s: written to after Close", test.name)
		}
	}
	for name, body := range map[string]string{"names nothing": "hello", "names it": "hello user_id"} {
		var r Reading
		v.Multipart("b", 1<<10, &r).CloseSearching(func(w io.Writer) bool { _, err := io.WriteString(w, body); return err == nil })
		want := ErrMissing
		if name == "names it" {
			want = ErrMalformed
		}
		if _, err := v.Verify(&r, key); !errors.Is(err, want) {
			t.Errorf("a body that %s: %v", name, err)
		}
	}
	// Two at once, and one that outlives its request.
	var r Reading
	one, other := v.Multipart("b", 1<<10, &r), v.Multipart("b", 1<<10, &r)
	closed(one, whole)
	closed(other, whole)
	if _, err := v.Verify(&r, key); err == nil || errors.Is(err, ErrMissing) {
		t.Errorf("two at once: %v", err)
	}
	r.Reset()
	late := v.Multipart("b", 1<<10, &r)
	r.Reset()
	closed(late, whole)
	if _, err := v.Verify(&r, key); !errors.Is(err, errReading) {
		t.Errorf("closed after Reset: %v", err)
	}
}

// What another Verifier does not see in a body is no visitor's silence.
func TestNothingReadByAnotherVerifier(t *testing.T) {
	v, other := compiled(t, lookedUp(t, "bookbag")), compiled(t, lookedUp(t, "nextcap"))
	var r Reading
	other.JSON([]byte(`{"user_id":"alice","user_hash":"x"}`), &r)
	if _, err := v.Verify(&r); !errors.Is(err, errReading) {
		t.Errorf("%v", err)
	}
}

// A dialect that leaves something open looks as if it did not.
func TestDialectLeavesNothingOpen(t *testing.T) {
	user, signature := Place{Field: UserID, Name: "/user"}, Place{Field: Signature, Location: "header", Name: "X-Signature"}
	at, nonce, email := Place{Field: Timestamp, Name: "/at"}, Place{Field: Nonce, Name: "/nonce"}, Place{Field: Email, Name: "/email"}
	for _, test := range []struct {
		error   string // "" is none
		message string
		length  int
		places  []Place
	}{
		{"", "{user_id}", 0, []Place{user, signature}},
		{"", "{user_id}", 3, []Place{user, signature, email}},
		{"", "{user_id}\n{email}", 0, []Place{user, signature, {Field: Email, Name: "/user"}}},
		{"", "{nonce}{user_id}{timestamp}", 8, []Place{user, signature, at, nonce}},
		{"a timestamp is read but not signed: add {timestamp} to Message, or remove the place", "{user_id}", 0, []Place{user, signature, at}},
		{"a nonce is read but not signed: add {nonce} to Message, or remove the place", "{user_id}", 0, []Place{user, signature, nonce}},
		{"there is no place for the signature", "{user_id}", 0, []Place{user}},
		{`message "{user_id}": there is no place for the user_id`, "{user_id}", 0, []Place{signature}},
		{`message "{user_id}.{timestamp}": there is no place for the timestamp`, "{user_id}.{timestamp}", 0, []Place{user, signature}},
		{`message "{user_id}{nonce}": there is no place for the nonce`, "{user_id}{nonce}", 0, []Place{user, signature}},
		{"there is no place for the email", "{user_id}\n{email}", 0, []Place{user, signature}},
		{"user_id and signature are both at '/user'", "{user_id}", 0, []Place{user, {Field: Signature, Location: "body", Name: "/user"}}},
		{"signature and timestamp are both at 'X-Signature'", "{user_id}.{timestamp}", 0, []Place{user, signature, {Field: Timestamp, Location: "header", Name: "X-Signature"}}},
		{"NonceLength must be at least 8, not 3", "{nonce}{user_id}", 3, []Place{user, signature, nonce}},
	} {
		d := Dialect{Message: test.message, NonceLength: test.length, Places: test.places, MaxAge: defaultMaxAge}
		v, err := d.Verifier()
		if test.error == "" && err != nil || test.error != "" && (v != nil || err == nil || !strings.HasSuffix(err.Error(), test.error)) {
			t.Errorf("%q %v: got %v, want %q", test.message, test.places, err, test.error)
		}
		if v, err := d.Reader(); (err != nil) != strings.Contains(test.error, "both at") || (v == nil) != (err != nil) {
			t.Errorf("%q %v: a proxy's: %v", test.message, test.places, err)
		}
	}
}

// What is signed must verify, or the fault is found far from where it is.
func TestSignRefusesWhatVerifyRefuses(t *testing.T) {
	d := lookedUp(t, "snapengage")
	d.Message = "{nonce}{timestamp}{user_id}\n{email}"
	v, key := compiled(t, d), NewKey(WeakSecret(misuseSecret))
	good := map[Field]string{UserID: "alice", Email: "a@example.com", Timestamp: "1800000000", Nonce: strings.Repeat("n", defaultNonceLength), Name: "\n"}
	signedBy(t, v, key, good)
	for _, test := range []struct {
		field Field
		text  string
		want  error
	}{
		{UserID, "", ErrPartial}, {Email, "", ErrPartial}, {Timestamp, "", ErrPartial}, {Nonce, "", ErrPartial},
		{UserID, "a\nb", ErrMalformed}, {UserID, "a\n", ErrMalformed}, {UserID, "a\xff", ErrMalformed}, {UserID, strings.Repeat("a", 513), ErrMalformed},
		{Email, "a\nb", ErrMalformed}, {Email, strings.Repeat("a", 255), ErrMalformed},
		{Timestamp, "now", ErrMalformed}, {Timestamp, "180000000", ErrMalformed}, {Nonce, "short", ErrMalformed}, {Nonce, strings.Repeat(".", 32), ErrMalformed},
	} {
		fields := maps.Clone(good)
		fields[test.field] = test.text
		text, err := v.Sign(key, fields)
		if text != "" || !errors.Is(err, test.want) {
			t.Errorf("%s %q: %q %v, want %v", test.field, test.text, text, err, test.want)
		}
		if fault, ok := errors.AsType[*Error](err); !ok || fault.Field != test.field {
			t.Errorf("%s %q: %v does not say the field", test.field, test.text, err)
		}
	}
	for _, none := range []*Key{nil, new(Key)} {
		if text, err := v.Sign(none, good); text != "" || !errors.Is(err, errNoKey) {
			t.Errorf("without a key: %q %v", text, err)
		}
	}
}

// Whoever has sent both is told which one does not count.
func TestHalfAClaimSaysWhich(t *testing.T) {
	v := compiled(t, lookedUp(t, "bookbag"))
	const missing, elsewhere = "is missing", "is there only in another spelling or inside an array"
	for _, test := range []struct {
		body, form string
		field      Field
		detail     string
	}{
		{body: `{"user_id":"a"}`, field: Signature, detail: missing},
		{body: `{"user_hash":"a"}`, field: UserID, detail: missing},
		{body: `{"USER_ID":"a","user_hash":"b"}`, field: UserID, detail: elsewhere},
		{body: `{"user_id":"a","User_Hash":"b"}`, field: Signature, detail: elsewhere},
		{body: `[{"user_id":"a","user_hash":"b"}]`, field: UserID, detail: elsewhere},
		{form: "user_id[]=a&user_hash=b", field: UserID, detail: elsewhere},
		{form: "user_id=a&user.hash=b", field: Signature, detail: elsewhere},
		{form: "?user_id=a&user_hash=b", field: UserID, detail: elsewhere},
	} {
		var r Reading
		if test.form != "" {
			v.Query([]byte(test.form), &r)
		} else {
			v.JSON([]byte(test.body), &r)
		}
		_, err := v.Verify(&r)
		fault, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, ErrPartial) || fault.Field != test.field || fault.Detail != test.detail {
			t.Errorf("%s%s: %v, want the %s: %s", test.body, test.form, err, test.field, test.detail)
		}
	}
}
