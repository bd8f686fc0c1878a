package verifier

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
)

// sessionVector is one of testdata/sessions.json, which another program has written.
type sessionVector struct {
	Name, Secret, Random, Key   string
	UserHashOfInfo              string `json:"user_hash_of_info"`
	Widget, Version, Thumbprint string
	Rules, User, Session        string
	Expires                     int64
	SignedAt                    *int64 `json:"signed_at"`
}

func sessionVectors(t testing.TB) (all []sessionVector) {
	t.Helper()
	text, err := os.ReadFile("testdata/sessions.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	return all
}

// sessions returns the sessions of a vector and the key that has verified its claim.
func (v *sessionVector) sessions(t testing.TB) (*Sessions, *Key) {
	t.Helper()
	s := &Sessions{Widget: v.Widget, Unversioned: v.Thumbprint == "" && v.Version == ""}
	rules, err := hex.DecodeString(v.Rules)
	if err != nil || copy(s.Rules[:], rules) != len(s.Rules) {
		t.Fatal(err)
	}
	if v.Thumbprint == "" {
		key := NewKey(WeakSecret(v.Secret))
		if key.ID = v.Version; s.Unversioned {
			key.ID = "of this process"
		}
		return s, key
	}
	s.Shared = []*SessionKey{NewSessionKey([]byte(v.Secret))}
	n, err := base64.RawURLEncoding.DecodeString(rfc7638)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewPublicKey(PublicKey{Key: &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}})
	if err != nil || key.Thumbprint() != v.Thumbprint {
		t.Fatalf("%s, %v", key.Thumbprint(), err)
	}
	return s, key
}

// rfc7638 is the modulus of the key in section 3.1 of that RFC.
const rfc7638 = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

// verify reads a text as the session of a request.
func (s *Sessions) verify(text string, now time.Time, keys ...*Key) (Identity, error) {
	var r Reading
	r.Text(Place{Field: SessionField}, []byte(text))
	return s.Verify(&r, keys, now)
}

// TestSessionVectors compares with what another implementation derives and signs. No user
// id is signed like a session: the session's key is neither the secret nor the signature of
// the user id with which Expand on the secret would have begun.
func TestSessionVectors(t *testing.T) {
	mac := func(key, text string) string {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return hex.EncodeToString(h.Sum(nil))
	}
	for _, v := range sessionVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			derived := hex.EncodeToString(deriveSessionKey([]byte(v.Secret)))
			if derived != v.Key {
				t.Errorf("the key is %s, want %s", derived, v.Key)
			}
			if mac(sessionSalt, v.Secret) != v.Random {
				t.Error("Extract is no HMAC under the salt")
			}
			hash, err := compiled(t, Dialect{Message: "{user_id}"}).Sign(NewKey(WeakSecret(v.Secret)), map[Field]string{UserID: "ada"})
			if err != nil || hash != mac(v.Secret, "ada") {
				t.Fatal("the vector is about another signature", err)
			}
			if expanded := mac(v.Secret, sessionInfo+"\x01"); expanded != v.UserHashOfInfo || expanded == derived || mac(v.Secret, sessionInfo) == derived {
				t.Error("the session's key is the signature of a user id")
			}
			s, key := v.sessions(t)
			expires := time.UnixMilli(v.Expires)
			i := Identity{user: v.User, key: key}
			if v.SignedAt != nil {
				i.signedAt = time.Unix(*v.SignedAt, 0)
			}
			if text := s.Sign(i, expires); text != v.Session {
				t.Errorf("signed %s, want %s", text, v.Session)
			}
			got, err := s.verify(v.Session, expires.Add(-time.Millisecond), key)
			if err != nil || got.User() != v.User || !got.Expires().Equal(expires) || !got.SignedAt().Equal(i.signedAt) ||
				!got.BySession() || got.ByToken() || got.KeyID() != key.ID || got.Thumbprint() != v.Thumbprint || got.Email()+got.Name()+got.Attributes() != "" {
				t.Errorf("%+v, %v", got, err)
			}
			if text := s.Sign(got, expires.Add(time.Hour)); text != "" {
				t.Errorf("a session gives another session: %s", text)
			}
			for name, now := range map[string]time.Time{"at its end": expires, "an hour later": expires.Add(time.Hour)} {
				if _, err := s.verify(v.Session, now, key); !errors.Is(err, ErrExpired) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// TestSessionBinds changes one thing after another that a session is bound to.
func TestSessionBinds(t *testing.T) {
	for _, v := range sessionVectors(t) {
		now := time.UnixMilli(v.Expires - 1)
		for name, change := range map[string]func(*Sessions, *Key) []*Key{
			"widget":      func(s *Sessions, k *Key) []*Key { s.Widget += "2"; return []*Key{k} },
			"rules":       func(s *Sessions, k *Key) []*Key { s.Rules[31]++; return []*Key{k} },
			"no key":      func(*Sessions, *Key) []*Key { return nil },
			"no such key": func(*Sessions, *Key) []*Key { return []*Key{nil} },
			"another key": func(*Sessions, *Key) []*Key { return []*Key{NewKey(Secret{}), ed25519Key(t)} },
			"other sharers": func(s *Sessions, k *Key) []*Key {
				s.Shared = []*SessionKey{NewSessionKey([]byte("x"))}
				return []*Key{k}
			},
			"version": func(s *Sessions, k *Key) []*Key {
				s.Unversioned = false
				again := NewKey(WeakSecret(v.Secret))
				again.ID = "another"
				return []*Key{again}
			},
		} {
			s, key := v.sessions(t)
			keys := change(s, key)
			_, err := s.verify(v.Session, now, keys...)
			if name == "other sharers" && v.Thumbprint == "" {
				if err != nil {
					t.Errorf("%s: a secret's session needs no other key: %v", v.Name, err)
				}
				continue
			}
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %s: %v", v.Name, name, err)
			}
		}
		s, key := v.sessions(t)
		s.Shared = append([]*SessionKey{NewSessionKey([]byte("newer"))}, s.Shared...)
		if _, err := s.verify(v.Session, now, NewKey(Secret{}), ed25519Key(t), key); err != nil {
			t.Errorf("%s: among several keys: %v", v.Name, err)
		}
	}
}

func ed25519Key(t testing.TB) *Key {
	t.Helper()
	public := make([]byte, 32)
	_, _ = rand.Read(public)
	key, err := NewPublicKey(PublicKey{Key: ed25519.PublicKey(public)})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestSessionSpelling has one spelling verify. Every other text is invalid, whatever it is.
func TestSessionSpelling(t *testing.T) {
	for _, v := range sessionVectors(t) {
		s, key := v.sessions(t)
		now := time.UnixMilli(v.Expires - 1)
		widget, encoded, _ := strings.Cut(v.Session, "~")
		signed, _ := base64.RawURLEncoding.DecodeString(encoded)
		texts := map[string]string{
			"nothing behind the widget": widget + "~", "the widget alone": widget, "no widget": "~" + encoded, "no separator": encoded,
			"padding": v.Session + "=", "newline": v.Session[:20] + "\n" + v.Session[20:], "newline at its end": v.Session + "\r\n",
			"space": " " + v.Session, "separator behind": v.Session + "~", "twice": v.Session + v.Session, "upper case": strings.ToUpper(v.Session),
			"another widget": "x" + v.Session, "standard alphabet": widget + "~" + base64.RawStdEncoding.EncodeToString(signed) + "+/",
			"escaped": strings.Replace(v.Session, "~", "%7E", 1), "too long": v.Session + strings.Repeat("A", maxSession), "a NUL": v.Session + "\x00",
			"not UTF-8": "\xff\xfe", "a JWT": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.", "a user hash": strings.Repeat("ab", 32),
			"zeros": widget + "~" + base64.RawURLEncoding.EncodeToString(make([]byte, len(signed))), "a MAC alone": widget + "~" + base64.RawURLEncoding.EncodeToString(signed[len(signed)-sha256.Size:]),
		}
		for i := range encoded { // every bit of every character, the unused ones of the last among them
			for _, c := range base64Alphabet {
				if c != rune(encoded[i]) {
					texts["character changed"] = widget + "~" + encoded[:i] + string(c) + encoded[i+1:]
					if _, err := s.verify(texts["character changed"], now, key); !errors.Is(err, ErrInvalid) {
						t.Fatalf("%s: %q verifies in place of %q: %v", v.Name, texts["character changed"], v.Session, err)
					}
				}
			}
			texts["cut short"] = widget + "~" + encoded[:i]
			if _, err := s.verify(texts["cut short"], now, key); !errors.Is(err, ErrInvalid) {
				t.Fatalf("%s: the first %d characters verify: %v", v.Name, i, err)
			}
		}
		for name, text := range texts {
			if _, err := s.verify(text, now, key); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %s: %v", v.Name, name, err)
			}
		}
		if _, err := s.verify(v.Session, now, key); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// TestSessionLength has the longest ids of widgets and users make a session that a header,
// a query and a cookie take.
func TestSessionLength(t *testing.T) {
	shared := []*SessionKey{NewSessionKey([]byte("an encryption key"))}
	for name, user := range map[string]string{
		"one": "a", "short": "ada", "ASCII": strings.Repeat("a", 512), "as long as UTF-8 is written": strings.Repeat("é", 512),
		"one more": strings.Repeat("é", 511) + "☃", "three bytes each": strings.Repeat("☃", 512), "four bytes each": strings.Repeat("\U0010ffff", 512),
		"half": strings.Repeat("\U0001f600", 257), "three times": strings.Repeat("☃", 342), "ending in ASCII": strings.Repeat("☃", 400) + "a",
	} {
		for kind, key := range map[string]*Key{"secret": NewKey(WeakSecret("test-secret-of-more-than-16-bytes")), "public": ed25519Key(t)} {
			s := &Sessions{Widget: strings.Repeat("w", 128), Shared: shared}
			text := s.Sign(Identity{user: user, key: key, signedAt: time.Now()}, time.Now().Add(time.Hour))
			if len(text) > maxSession || strings.Trim(text, base64Alphabet+".~") != "" || text == "" {
				t.Errorf("%s, %s: %d characters: %s", name, kind, len(text), text)
			}
			if got, err := s.verify(text, time.Now(), key); err != nil || got.User() != user {
				t.Errorf("%s, %s: %q, %v", name, kind, got.User(), err)
			}
		}
	}
	s := new(Sessions)
	for name, i := range map[string]Identity{"nobody": {}, "a public key without an encryption key": {user: "ada", key: ed25519Key(t)}} {
		if text := s.Sign(i, time.Now()); text != "" {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestSessionField: a session is no piece of a claim, and any text is one.
func TestSessionField(t *testing.T) {
	v := compiled(t, Dialect{Message: "{user_id}", Places: []Place{
		{Field: UserID, Location: atBody, Name: "/user_id"}, {Field: Signature, Location: atBody, Name: "/user_hash"},
		{Field: SessionField, Location: atQuery, Name: "s"}, {Field: SessionField, Location: atBody, Name: "/s"}, {Field: SessionField, Location: atHeader, Name: "S"},
	}})
	key := NewKey(WeakSecret("test-secret-of-more-than-16-bytes"))
	hash, _ := v.Sign(key, map[Field]string{UserID: "ada"})
	claim := `"user_id":"ada","user_hash":"` + hash + `"`
	for _, c := range []struct {
		name, query, body, header string
		want                      error
		session                   string
	}{
		{"alone", "s=abc", "", "", ErrMissing, "abc"},
		{"beside a claim", "s=abc", "{" + claim + "}", "", nil, "abc"},
		{"beside a user id", "s=abc", `{"user_id":"ada"}`, "", ErrPartial, "abc"},
		{"in all places", "s=abc", `{"s":"abc"}`, "abc", ErrMissing, "abc"},
		{"two", "s=abc", `{"s":"abd"}`, "", ErrAmbiguous, ""},
		{"two beside a claim", "s=abc", `{"s":"abd",` + claim + `}`, "", ErrAmbiguous, ""},
		{"twice in the query", "s=abc&s=abc", "", "", ErrAmbiguous, ""},
		{"in another spelling, too", "s=abc&S=abc", "", "", ErrAmbiguous, ""},
		{"a bad escape", "s=%zz", "", "", ErrMissing, "\xff"},
		{"not UTF-8 in the query", "s=%ff", "", "", ErrMissing, "\xff"},
		{"not UTF-8 in a header", "", "", "a\xffb", ErrMissing, "\xff"},
		{"long", "s=" + strings.Repeat("a", 100_000), "", "", ErrMissing, "?"},
		{"half a surrogate", "", `{"s":"\ud800"}`, "", ErrMissing, "\xff"},
		{"a number", "", `{"s":1}`, "", ErrMalformed, ""},
		{"empty", "s=", `{"s":""}`, "", ErrMissing, ""},
		{"null", "", `{"s":null}`, "", ErrMissing, ""},
	} {
		var r Reading
		v.Query([]byte(c.query), &r)
		if c.body != "" {
			v.JSON([]byte(c.body), &r)
		}
		if c.header != "" {
			r.Text(Place{Field: SessionField}, []byte(c.header))
		}
		if _, err := v.Verify(&r, key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if got := r.Single(SessionField); c.session != "?" && !bytes.Equal(got, []byte(c.session)) {
			t.Errorf("%s: session %.20q, want %q", c.name, got, c.session)
		}
		if (c.session != "") != r.Has(SessionField) && c.want != ErrAmbiguous && c.want != ErrMalformed {
			t.Errorf("%s: the session is there: %v", c.name, r.Has(SessionField))
		}
	}
}

// TestSessionAllocates: to verify a session allocates the user id, as a signature does.
func TestSessionAllocates(t *testing.T) {
	v := sessionVectors(t)[0]
	s, key := v.sessions(t)
	keys, now := []*Key{NewKey(Secret{}), key}, time.UnixMilli(v.Expires-1)
	var r Reading
	text := []byte(v.Session)
	verify := func() error {
		r.Reset()
		r.Text(Place{Field: SessionField}, text)
		_, err := s.Verify(&r, keys, now)
		return err
	}
	allocates(t, "a session", 1, func() {
		if err := verify(); err != nil {
			t.Fatal(err)
		}
	})
	text = []byte(strings.Replace(v.Session, "AgAA", "AgAB", 1))
	allocates(t, "a forged one", 0, func() {
		if err := verify(); !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	})
}

// BenchmarkSession compares a session with the signature of a user id.
func BenchmarkSession(b *testing.B) {
	vector := sessionVectors(b)[0]
	s, key := vector.sessions(b)
	v := compiled(b, Dialect{Message: "{user_id}"})
	hash, _ := v.Sign(key, map[Field]string{UserID: vector.User})
	now := time.UnixMilli(vector.Expires - 1)
	keys := []*Key{key}
	var r Reading
	b.Run("signature", func(b *testing.B) {
		for b.Loop() {
			r.Reset()
			r.Text(Place{Field: UserID}, []byte(vector.User))
			r.Text(Place{Field: Signature}, []byte(hash))
			if _, err := v.Verify(&r, keys...); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("session", func(b *testing.B) {
		for b.Loop() {
			r.Reset()
			r.Text(Place{Field: SessionField}, []byte(vector.Session))
			if _, err := s.Verify(&r, keys, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
