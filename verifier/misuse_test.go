package verifier

import (
	"errors"
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
			m := v.Multipart("b", 1<<10, r)
			_, _ = m.Write([]byte(part("user_id", "alice") + part("user_hash", signature) + "--b--\r\n"))
			m.Close()
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
		"multipart": func(r *Reading) { v.Multipart("b", 1<<10, r).Close() },
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
