package widgets

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// testKey returns an encryption key that is made of one byte.
func testKey(t testing.TB, b byte) EncryptionKey {
	t.Helper()
	key, err := ParseEncryptionKey(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testSecret(t testing.TB, text string) verifier.Secret {
	t.Helper()
	secret, err := verifier.NewSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

const secretText = "a-secret-of-the-shop-0123456789"

func TestSealAndOpen(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	version := NewVersion()
	sealed, err := ring.Seal("shop", version, testSecret(t, secretText))
	if err != nil {
		t.Fatal(err)
	}
	if sealed.Version != version || sealed.KeyID != ring.First() {
		t.Errorf("sealed as version %s under key %s", sealed.Version, sealed.KeyID)
	}
	if bytes.Contains(sealed.Box, []byte(secretText)) {
		t.Error("the box holds the secret's text")
	}
	opened, err := ring.Open("shop", &sealed)
	if err != nil {
		t.Fatal(err)
	}
	if opened.Reveal() != secretText {
		t.Error("another secret was opened")
	}
	again, err := ring.Seal("shop", version, testSecret(t, secretText))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(again.Box[:nonceSize], sealed.Box[:nonceSize]) {
		t.Error("a nonce was used twice")
	}
}

func TestOpenRefuses(t *testing.T) {
	ring := NewRing(testKey(t, 1), testKey(t, 2))
	sealed, err := ring.Seal("shop", "VERSION", testSecret(t, secretText))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Open("shop", &sealed); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Sealed)) *Sealed {
		s := sealed
		s.Box = bytes.Clone(s.Box)
		change(&s)
		return &s
	}
	for name, c := range map[string]struct {
		id     string
		sealed *Sealed
	}{
		"copied to another widget":  {"shop2", &sealed},
		"copied to a prefix of it":  {"sho", &sealed},
		"under another version":     {"shop", with(func(s *Sealed) { s.Version = "OTHER" })},
		"id and version split anew": {"shop\x00VER", with(func(s *Sealed) { s.Version = "SION" })},
		"said to be of another key": {"shop", with(func(s *Sealed) { s.KeyID = testKey(t, 2).ID() })},
		"cut short":                 {"shop", with(func(s *Sealed) { s.Box = s.Box[:len(s.Box)-1] })},
		"shorter than its overhead": {"shop", with(func(s *Sealed) { s.Box = s.Box[:overhead-1] })},
		"empty":                     {"shop", with(func(s *Sealed) { s.Box = nil })},
	} {
		if _, err := ring.Open(c.id, c.sealed); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v, want ErrSeal", name, err)
		}
	}
	for i := range sealed.Box {
		if _, err := ring.Open("shop", with(func(s *Sealed) { s.Box[i] ^= 1 })); !errors.Is(err, ErrSeal) {
			t.Errorf("byte %d flipped: %v, want ErrSeal", i, err)
		}
	}
}

func TestMissingKey(t *testing.T) {
	first, second := testKey(t, 1), testKey(t, 2)
	sealed, err := NewRing(first).Seal("shop", "V", testSecret(t, secretText))
	if err != nil {
		t.Fatal(err)
	}
	for name, ring := range map[string]*Ring{"another key": NewRing(second), "no key": NewRing(), "no ring": nil} {
		_, err := ring.Open("shop", &sealed)
		missing, ok := errors.AsType[*MissingKeyError](err)
		if !ok || missing.KeyID != first.ID() {
			t.Errorf("%s: %v, want that key %s is missing", name, err, first.ID())
		}
	}
	if _, err := NewRing(second, first).Open("shop", &sealed); err != nil {
		t.Errorf("behind another key: %v", err)
	}
	if _, err := NewRing().Seal("shop", "V", testSecret(t, secretText)); !errors.Is(err, ErrNoKey) {
		t.Errorf("sealing without a key: %v", err)
	}
}

func TestParseEncryptionKey(t *testing.T) {
	good := NewEncryptionKey()
	if _, err := ParseEncryptionKey(good); err != nil {
		t.Fatalf("a new key: %v", err)
	}
	raw, _ := base64.StdEncoding.DecodeString(good)
	for name, text := range map[string]string{
		"empty":             "",
		"no base64":         "not a key!",
		"31 bytes":          base64.StdEncoding.EncodeToString(raw[:31]),
		"33 bytes":          base64.StdEncoding.EncodeToString(append(bytes.Clone(raw), 1)),
		"without padding":   strings.TrimRight(good, "="),
		"a widget's secret": strings.Repeat("0f", 32),
		"blank behind":      good + " ",
		"line end inside":   good[:20] + "\n" + good[20:],
		"two":               good + good,
		"URL alphabet":      base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)),
		"stray bits":        good[:42] + string(strayBits(good[42])) + "=",
	} {
		_, err := ParseEncryptionKey(text)
		if !errors.Is(err, ErrEncryptionKey) {
			t.Errorf("%s: %v, want ErrEncryptionKey", name, err)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error quotes the key", name)
		}
	}
}

// strayBits returns a last digit of a key that stands for the same byte.
func strayBits(digit byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return alphabet[strings.IndexByte(alphabet, digit)^1]
}

func TestEncryptionKeyPrints(t *testing.T) {
	text := NewEncryptionKey()
	key, err := ParseEncryptionKey(text)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.StdEncoding.DecodeString(text)
	within := struct{ Key EncryptionKey }{key}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, value := range []any{key, &key, within} {
			printed := fmt.Sprintf(format, value)
			for _, secret := range []string{text, string(raw), fmt.Sprintf("%x", raw), fmt.Sprint(raw)} {
				if strings.Contains(printed, secret) {
					t.Errorf("%s prints the key: %s", format, printed)
				}
			}
		}
	}
	if len(key.ID()) != 16 || key.ID() == testKey(t, 1).ID() {
		t.Errorf("id %q", key.ID())
	}
}

var testTime = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestRotate(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	record, err := NewRecord("shop", "", "", testSecret(t, "first-secret-0123456789"), ring, testTime)
	if err != nil {
		t.Fatal(err)
	}
	texts := func(r *Record, now time.Time) string {
		var all []string
		for i := range r.Secrets {
			if r.Secrets[i].Live(now) {
				secret, err := ring.Open("shop", &r.Secrets[i])
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, secret.Reveal()[:5])
			}
		}
		return strings.Join(all, " ")
	}
	rotate := func(r *Record, text string, grace time.Duration, now time.Time) *Record {
		t.Helper()
		before := texts(r, now)
		next, err := r.Rotate(testSecret(t, text), grace, ring, now)
		if err != nil {
			t.Fatal(err)
		}
		if texts(r, now) != before {
			t.Error("rotating changed the old record")
		}
		return next
	}
	hour := func(n int) time.Time { return testTime.Add(time.Duration(n) * time.Hour) }

	second := rotate(record, "secnd-secret-0123456789", 3*time.Hour, hour(0))
	third := rotate(second, "third-secret-0123456789", time.Hour, hour(1))
	for n, want := range map[int]string{1: "third secnd first", 2: "third first", 3: "third", 9: "third"} {
		if got := texts(third, hour(n)); got != want {
			t.Errorf("after %d hours: %s, want %s", n, got, want)
		}
	}
	fourth := rotate(third, "forth-secret-0123456789", time.Hour, hour(2))
	if len(fourth.Secrets) != 3 {
		t.Errorf("%d secrets are kept, want the current one and two in grace", len(fourth.Secrets))
	}
	if last := rotate(fourth, "fifth-secret-0123456789", 0, hour(2)); len(last.Secrets) != 1 {
		t.Errorf("%d secrets are kept without a grace", len(last.Secrets))
	}
	if fourth.Rotated != hour(2) || fourth.Created != testTime {
		t.Errorf("created %v, rotated %v", fourth.Created, fourth.Rotated)
	}
}

func TestRotateIsBounded(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	r, err := NewRecord("shop", "", "", testSecret(t, secretText), ring, testTime)
	for n := 1; n < MaxSecrets && err == nil; n++ {
		r, err = r.Rotate(testSecret(t, secretText), time.Hour, ring, testTime)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rotate(testSecret(t, secretText), time.Hour, ring, testTime); !errors.Is(err, ErrTooManySecrets) {
		t.Errorf("one more: %v, want ErrTooManySecrets", err)
	}
	if _, err := r.Rotate(testSecret(t, secretText), 0, ring, testTime); err != nil {
		t.Errorf("without a grace: %v", err)
	}
}

func TestReseal(t *testing.T) {
	old, current := testKey(t, 1), testKey(t, 2)
	r, err := NewRecord("shop", "required", "snapengage", testSecret(t, "first-secret-0123456789"), NewRing(old), testTime)
	if err == nil {
		r, err = r.Rotate(testSecret(t, "secnd-secret-0123456789"), time.Hour, NewRing(old), testTime)
	}
	if err != nil {
		t.Fatal(err)
	}
	next, err := r.Reseal(NewRing(current, old), testTime)
	if err != nil {
		t.Fatal(err)
	}
	for i := range next.Secrets {
		s := &next.Secrets[i]
		if s.KeyID != current.ID() || s.Version != r.Secrets[i].Version || s.Until != r.Secrets[i].Until {
			t.Errorf("secret %d: key %s, version %s, until %v", i, s.KeyID, s.Version, s.Until)
		}
		was, err1 := NewRing(old).Open("shop", &r.Secrets[i])
		is, err2 := NewRing(current).Open("shop", s)
		if err1 != nil || err2 != nil || was.Reveal() != is.Reveal() {
			t.Errorf("secret %d: %v, %v", i, err1, err2)
		}
	}
	if again, err := next.Reseal(NewRing(current, old), testTime); again != next || err != nil {
		t.Errorf("sealing again what is sealed: %v, %v", again, err)
	}
	if gone, err := next.Reseal(NewRing(current), testTime.Add(2*time.Hour)); err != nil || len(gone.Secrets) != 1 {
		t.Errorf("a secret past its grace is kept: %v", err)
	}
	if _, err := r.Reseal(NewRing(current), testTime); err == nil {
		t.Error("resealed without the key")
	}
}

func TestRecordCheck(t *testing.T) {
	good, err := NewRecord("shop", "required", "bookbag", testSecret(t, secretText), NewRing(testKey(t, 1)), testTime)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Record){
		"no id":              func(r *Record) { r.ID = "" },
		"bad id":             func(r *Record) { r.ID = "a/b" },
		"bad mode":           func(r *Record) { r.Mode = "lax" },
		"bad dialect":        func(r *Record) { r.Dialect = "klingon" },
		"no secret":          func(r *Record) { r.Secrets = nil },
		"no version":         func(r *Record) { r.Secrets[0].Version = "" },
		"no key id":          func(r *Record) { r.Secrets[0].KeyID = "" },
		"short box":          func(r *Record) { r.Secrets[0].Box = make([]byte, overhead-1) },
		"current one ends":   func(r *Record) { r.Secrets[0].Until = testTime },
		"second has no end":  func(r *Record) { r.Secrets = append(r.Secrets, r.Secrets[0]); r.Secrets[1].Version = "W" },
		"one version, twice": func(r *Record) { r.Secrets = append(r.Secrets, r.Secrets[0]); r.Secrets[1].Until = testTime },
	} {
		r := *good
		r.Secrets = []Sealed{good.Secrets[0]}
		if change(&r); !errors.Is(r.Check(), ErrRecord) {
			t.Errorf("%s: %v, want ErrRecord", name, r.Check())
		}
	}
	for _, id := range []string{"a", "0", "shop", "A.b_c-d", strings.Repeat("x", 128)} {
		if !ValidID(id) {
			t.Errorf("id %q is refused", id)
		}
	}
	for _, id := range []string{"", ".a", "-a", "_a", "a b", "a/b", "é", "a\x00", "a\n", strings.Repeat("x", 129)} {
		if ValidID(id) {
			t.Errorf("id %q is taken", id)
		}
	}
}
