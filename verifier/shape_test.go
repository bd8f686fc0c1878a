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
func spoken(t testing.TB, dialect string) (*Reader, *Verifier) {
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
	v, err := New(Policy{Message: only(t), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
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
	v, err := New(Policy{Message: only(t), Limits: defaultLimits})
	if err != nil {
		t.Fatal(err)
	}
	for c := rune(0); c <= 0x2030; c++ {
		control := c < 0x20 || c >= 0x7f && c <= 0x9f
		for _, text := range []string{string(c), "a" + string(c), string(c) + "b", "é" + string(c) + "客"} {
			for _, f := range []Field{UserID, Email} {
				c := Claim{UserID: []byte("u"), Signature: []byte("s")}
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
	nonce := strings.Repeat("n", DefaultNonceLength)
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
		wantError(t, test.name, v.Shape(&r), test.want, "")
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
					r.Variant(Place{Field: Field(f)})
				}
			}
			want := ErrPartial
			switch {
			case subset|variants == 0:
				want = ErrMissing
			case subset == 1<<len(values)-1:
				want = nil
			}
			wantError(t, strconv.FormatInt(int64(subset), 2)+" "+strconv.FormatInt(int64(variants), 2), v.Shape(&r), want, "")
		}
	}
}

func TestVerify(t *testing.T) {
	v, err := New(Policy{Message: only(t), Limits: defaultLimits})
	if err != nil {
		t.Fatal(err)
	}
	secrets := []Secret{WeakSecret("first-secret-0123456789"), WeakSecret("second-secret-0123456789"), WeakSecret("third-secret-0123456789")}
	keys := make([]*Key, len(secrets))
	for i, s := range secrets {
		keys[i] = NewKey(s)
	}
	for i, s := range secrets {
		claim := claimOf("user-1")
		claim[Signature] = []byte(v.policy.Sign(s, claim))
		wantError(t, fmt.Sprint("all keys, secret ", i), v.Verify(claim, keys), nil, "")
		wantError(t, fmt.Sprint("own key, secret ", i), v.Verify(claim, keys[i:i+1]), nil, "")
		wantError(t, fmt.Sprint("other keys, secret ", i), v.Verify(claim, append(append([]*Key{}, keys[:i]...), keys[i+1:]...)), ErrInvalid, "")
		wantError(t, fmt.Sprint("no key, secret ", i), v.Verify(claim, nil), ErrWidgetUnknown, "")
		claim[UserID] = []byte("user-2")
		wantError(t, fmt.Sprint("another user, secret ", i), v.Verify(claim, keys), ErrInvalid, "")
	}
	// An absent signature must not match, whatever the computation before left.
	wantError(t, "no signature", v.Verify(claimOf("user-1"), keys), ErrInvalid, "")
	wantError(t, "no claim", v.Verify(&Claim{}, keys), ErrPartial, "")
	// A valid MAC of nothing names nobody.
	empty := &Claim{}
	empty[Signature] = []byte(v.policy.Sign(secrets[0], empty))
	wantError(t, "a signed empty user id", v.Verify(empty, keys), ErrPartial, "")
}

func TestTwoReadings(t *testing.T) {
	nonce := strings.Repeat("n", 29)
	seconds := time.Unix(twoFresh, 0)
	for _, test := range []struct {
		name  string
		now   time.Time
		claim Claim
		want  error
	}{
		{"seconds with milliseconds before them", seconds, Claim{UserID: []byte("user"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, ErrMalformed},
		{"milliseconds that end in seconds", seconds, Claim{UserID: []byte("user"), Nonce: []byte(nonce + "abc"), Timestamp: []byte("1981981981982")}, ErrMalformed},
		{"the id too short to give the nonce its characters", seconds, Claim{UserID: []byte("use"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, nil},
		{"a character in the id that no nonce holds", seconds, Claim{UserID: []byte("use."), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, nil},
		{"no digits before the seconds", seconds, Claim{UserID: []byte("user"), Nonce: []byte(nonce + "19x"), Timestamp: []byte("1981981982")}, nil},
		{"the other reading is not fresh", time.Unix(1_800_000_000, 0), Claim{UserID: []byte("user"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1800000000")}, nil},
		// Old in this reading: the signature is judged, then its age.
		{"this reading is not fresh", time.Unix(twoFresh+400, 0), Claim{UserID: []byte("user"), Nonce: []byte(nonce + "198"), Timestamp: []byte("1981981982")}, nil},
	} {
		v, err := New(Policy{
			Message: template(t, "{user_id}{nonce}{timestamp}", DefaultNonceLength), Limits: defaultLimits, MaxAge: DefaultMaxAge, Skew: DefaultSkew,
		}, WithClock(func() time.Time { return test.now }))
		if err != nil {
			t.Fatal(err)
		}
		r := sent(test.claim)
		r.Text(Place{Field: Signature}, []byte("-"))
		text := ""
		if test.want != nil {
			text = "seconds and as milliseconds"
		}
		wantError(t, test.name, v.Shape(r), test.want, text)
	}
}
