package verifier

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// spoken returns what reads and checks a dialect's claims.
func spoken(t testing.TB, dialect string) (*reader, *Verifier) {
	t.Helper()
	v := vector{Now: 1_800_000_000}
	reader, verifier, _ := v.setup(t, dialect)
	return reader, verifier
}

// wantError checks an error's sentinel and, where text is not empty, what it says.
func wantError(t *testing.T, name string, err, want error, text string) {
	t.Helper()
	switch {
	case want == nil && err != nil, want != nil && !errors.Is(err, want):
		t.Errorf("%s: got %v, want %v", name, err, want)
	case text != "" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("%s: got %v, which does not say %q", name, err, text)
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{UserID: 5, Email: 4, Name: 3, Company: 2, Phone: 1, Attributes: 2, AttributeBytes: 20}
	v := compiled(t, Dialect{Message: "{user_id}", Limits: limits})
	for _, field := range []struct {
		field Field
		most  int
	}{{UserID, 5}, {Email, 4}, {Name, 3}, {Company, 2}, {Phone, 1}} {
		// Bytes do not count: each of these is one character.
		for _, character := range []string{"x", "é", "客", "😀"} {
			for _, over := range []int{0, 1} {
				r := new(Reading)
				if field.field != UserID {
					r.Text(Place{Field: UserID}, []byte("u"))
				}
				r.Text(Place{Field: Signature}, []byte("s"))
				r.Text(Place{Field: field.field}, []byte(strings.Repeat(character, field.most+over)))
				name := fmt.Sprintf("%s of %d %s", field.field, field.most+over, character)
				if over == 0 {
					wantError(t, name, judged(v, r), nil, "")
				} else {
					wantError(t, name, judged(v, r), ErrMalformed, fmt.Sprintf("%s is longer than %d characters", field.field, field.most))
				}
			}
		}
	}
}

// TestFieldErrorsKeepValues: what an error says goes into answers and logs.
func TestFieldErrorsKeepValues(t *testing.T) {
	reader, v := spoken(t, "snapengage")
	const private = "private-value"
	for _, body := range []string{
		`{"user_id":"` + strings.Repeat(private, 100) + `"}`,
		`{"user_id":"` + private + `\n"}`,
		`{"user_id":{"` + private + `":1}}`,
		`{"user_id":"u","hmacSignature":"s","hmacNonce":"` + private + `","hmacTimestamp":"` + private + `"}`,
		`{"user_id":"u","hmacTimestamp":"` + private + `"}`,
		`{"name":["` + private + `"]}`,
		`{"` + private + `":"user_id":`,
	} {
		var r Reading
		reader.JSON([]byte(body), &r)
		err := judged(v, &r)
		wantError(t, body, err, ErrMalformed, "verifier: ")
		if err != nil && strings.Contains(err.Error(), private) {
			t.Errorf("the error holds the value: %v", err)
		}
	}
}

func TestControlCharacters(t *testing.T) {
	v := compiled(t, Dialect{Message: "{user_id}"})
	for c := rune(0); c <= 0x2030; c++ {
		control := c < 0x20 || c >= 0x7f && c <= 0x9f
		for _, text := range []string{string(c), "a" + string(c), string(c) + "b", "é" + string(c) + "客"} {
			for _, f := range []Field{UserID, Email} {
				c := claim{UserID: []byte("u"), Signature: []byte("s")}
				c[f] = []byte(text)
				err := judged(v, sent(c))
				if control {
					wantError(t, fmt.Sprintf("%s %q", f, text), err, ErrMalformed, f.String()+" holds a control character")
				} else {
					wantError(t, fmt.Sprintf("%s %q", f, text), err, nil, "")
				}
			}
		}
	}
}

// TestOrderOfReasons: of several that hold, the first in the list is found.
func TestOrderOfReasons(t *testing.T) {
	reader, v := spoken(t, "snapengage")
	now := "1800000000"
	nonce := strings.Repeat("n", defaultNonceLength)
	whole := `"user_id":"u","hmacSignature":"s","hmacNonce":"` + nonce + `","hmacTimestamp":"` + now + `"`
	for _, test := range []struct {
		name, body string
		want       error
	}{
		{"whole", `{` + whole + `}`, nil},
		{"malformed and ambiguous", `{"user_id":1.5,"user_id":2}`, ErrMalformed},
		{"malformed field and ambiguous", `{"user_id":"u","user_id":"x","hmacNonce":"short"}`, ErrMalformed},
		{"over a limit and ambiguous", `{"user_id":"` + strings.Repeat("x", 513) + `","USER_ID":""}`, ErrMalformed},
		{"a bad nonce alone", `{"hmacNonce":"short"}`, ErrMalformed},
		{"a bad timestamp alone", `{"hmacTimestamp":"soon"}`, ErrMalformed},
		{"ambiguous and partial", `{"user_id":"a","user_id":"b"}`, ErrAmbiguous},
		{"a duplicate, and nothing of a claim", `{"name":"a","name":"b"}`, ErrMissing},
		{"missing", `{"name":"a"}`, ErrMissing},
		{"partial", `{"user_id":"a","hmacNonce":"` + nonce + `"}`, ErrPartial},
	} {
		var r Reading
		reader.JSON([]byte(test.body), &r)
		wantError(t, test.name, v.shape(&r), test.want, "")
	}
}

// TestPartial takes every subset of the fields that are signed.
func TestPartial(t *testing.T) {
	_, v := spoken(t, "snapengage")
	values := [...]string{UserID: "u", Signature: "s", Timestamp: "1800000000", Nonce: strings.Repeat("n", 32)}
	for subset := range 1 << len(values) {
		for variants := range 1 << len(values) {
			if subset&variants != 0 {
				continue
			}
			var r Reading
			for f, value := range values {
				if subset>>f&1 != 0 {
					r.Text(Place{Field: Field(f)}, []byte(value))
				}
				if variants>>f&1 != 0 {
					r.MarkVariant(Place{Field: Field(f)})
				}
			}
			want := ErrPartial
			switch {
			case subset|variants == 0:
				want = ErrMissing
			case subset == 1<<len(values)-1:
				want = nil
			}
			wantError(t, strconv.FormatInt(int64(subset), 2)+" "+strconv.FormatInt(int64(variants), 2), v.shape(&r), want, "")
		}
	}
}

func TestVerify(t *testing.T) {
	v := compiled(t, Dialect{Message: "{user_id}"})
	secrets := []Secret{WeakSecret("first-secret-0123456789"), WeakSecret("second-secret-0123456789"), WeakSecret("third-secret-0123456789")}
	keys := make([]*Key, len(secrets))
	for i, s := range secrets {
		keys[i] = NewKey(s)
	}
	wantID := func(name string, c *claim, keys []*Key, want error) {
		t.Helper()
		id, err := v.Verify(sent(*c), keys...)
		if wantError(t, name, err, want, ""); err == nil && id.User() != string(c[UserID]) || err != nil && id != (Identity{}) {
			t.Errorf("%s: %+v", name, id)
		}
	}
	for i, s := range secrets {
		claim := claimOf("user-1")
		claim[Signature] = []byte(v.sign(NewKey(s), claim))
		wantID(fmt.Sprint("all keys, secret ", i), claim, keys, nil)
		wantID(fmt.Sprint("own key, secret ", i), claim, keys[i:i+1], nil)
		wantID(fmt.Sprint("other keys, secret ", i), claim, append(append([]*Key{}, keys[:i]...), keys[i+1:]...), ErrInvalid)
		wantID(fmt.Sprint("no key, secret ", i), claim, nil, ErrInvalid)
		claim[UserID] = []byte("user-2")
		wantID(fmt.Sprint("another user, secret ", i), claim, keys, ErrInvalid)
	}
	// An absent signature must not match, whatever the computation before left.
	if v.signer(claimOf("user-1"), keys) != nil {
		t.Error("no signature matches")
	}
	wantID("no signature", claimOf("user-1"), keys, ErrPartial)
	wantID("no claim", &claim{}, keys, ErrMissing)
	// A valid MAC of nothing names nobody.
	empty := &claim{}
	empty[Signature] = []byte(v.sign(NewKey(secrets[0]), empty))
	wantID("a signed empty user id", empty, keys, ErrPartial)
}

// TestVerifyRefusesAmbiguous: no order of calls verifies what two readers could
// read in two ways, and keys are looked up only for what has a shape.
func TestVerifyRefusesAmbiguous(t *testing.T) {
	_, v := spoken(t, "bookbag")
	key := NewKey(WeakSecret("first-secret-0123456789"))
	hash, err := v.Sign(key, map[Field]string{UserID: "user-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"user_id":"user-1","user_id":"user-2","user_hash":"` + hash + `"}`,
		`{"user_id":"user-1","USER_ID":"user-2","user_hash":"` + hash + `"}`,
	} {
		var r Reading
		v.JSON([]byte(body), &r)
		id, err := v.VerifyFunc(&r, func() []*Key {
			t.Errorf("%s: keys are asked for", body)
			return []*Key{key}
		})
		if wantError(t, body, err, ErrAmbiguous, ""); id != (Identity{}) {
			t.Errorf("%s: %+v", body, id)
		}
	}
	var r Reading
	v.JSON([]byte(`{"user_id":"user-1","user_hash":"`+new(Verifier).sign(key, &claim{})+`"}`), &r)
	if id, err := new(Verifier).Verify(&r, key); err == nil {
		t.Errorf("the zero Verifier verifies %+v", id)
	}
	if text, err := v.Sign(key, nil); err == nil {
		t.Errorf("nobody is signed as %s", text)
	}
}

// TestIdentityOwnsItsMemory: a buffer that is used again changes nobody's identity.
func TestIdentityOwnsItsMemory(t *testing.T) {
	_, v := spoken(t, "bookbag")
	key := NewKey(WeakSecret("first-secret-0123456789"))
	hash, _ := v.Sign(key, map[Field]string{UserID: "user-1"})
	body := []byte(`{"user_id":"user-1","user_hash":"` + hash + `"}`)
	var r Reading
	v.JSON(body, &r)
	id, err := v.Verify(&r, key)
	clear(body)
	r.Reset()
	if err != nil || id.User() != "user-1" || id.Email() != "" || !id.SignedAt().IsZero() || fmt.Sprintf("%x", id.Digest()) != hash {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestTwoReadings(t *testing.T) {
	nonce := strings.Repeat("n", 29)
	seconds := time.Unix(twoFresh, 0)
	for _, test := range []struct {
		name  string
		now   time.Time
		claim claim
		want  error
	}{
		{"seconds with milliseconds before them", seconds, claim{UserID: []byte("user"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, ErrMalformed},
		{"milliseconds that end in seconds", seconds, claim{UserID: []byte("user"), Nonce: []byte(nonce + "abc"), Timestamp: []byte("1981981981982")}, ErrMalformed},
		{"the id too short to give the nonce its characters", seconds, claim{UserID: []byte("use"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, nil},
		{"a character in the id that no nonce holds", seconds, claim{UserID: []byte("use."), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, nil},
		{"no digits before the seconds", seconds, claim{UserID: []byte("user"), Nonce: []byte(nonce + "19x"), Timestamp: []byte("1981981982")}, nil},
		{"the other reading is not fresh", time.Unix(1_800_000_000, 0), claim{UserID: []byte("user"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1800000000")}, nil},
		// Old in this reading: the signature is judged, then its age.
		{"this reading is not fresh", time.Unix(twoFresh+400, 0), claim{UserID: []byte("user"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, nil},
	} {
		v := compiled(t, Dialect{
			Message: "{user_id}{nonce}{timestamp}", MaxAge: defaultMaxAge, Skew: defaultSkew, Time: func() time.Time { return test.now },
		})
		r := sent(test.claim)
		r.Text(Place{Field: Signature}, []byte("-"))
		text := ""
		if test.want != nil {
			text = "seconds and as milliseconds"
		}
		wantError(t, test.name, v.shape(r), test.want, text)
	}
}
