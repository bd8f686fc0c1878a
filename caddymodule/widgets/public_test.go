package widgets

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

func newPublicKeys(t testing.TB) []crypto.PublicKey {
	t.Helper()
	first, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []crypto.PublicKey{first.Public(), second}
}

func newPublicRecord(t testing.TB, id string, public Public, ring *Ring) *Record {
	t.Helper()
	r, err := NewPublicRecord(id, "", "", public, ring, testTime)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPublic: public keys and the URL of a key set are kept like secrets, and replaced at
// once.
func TestPublic(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	keys, public := newKeys(t, DefaultCache, time.Now), newPublicKeys(t)
	record := newPublicRecord(t, "shop", Public{Keys: public}, ring)
	got, err := keys.Append(nil, record, plainText, ring)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d keys: %v", len(got), err)
	}
	for i, key := range public {
		if id, _ := keyset.Thumbprint(key); got[i].ID != id {
			t.Errorf("key %d is %s, want %s", i+1, got[i].ID, id)
		}
	}
	if url, err := keys.JWKS(record, ring); url != "" || err != nil {
		t.Errorf("it has the key set %q: %v", url, err)
	}
	const url = "https://login.example.com/jwks"
	next, err := record.WithPublic(Public{JWKS: url}, ring, testTime.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.Append(nil, next, plainText, ring); len(got) != 0 || err != nil {
		t.Errorf("%d keys are left: %v", len(got), err)
	}
	if got, err := keys.JWKS(next, ring); got != url || err != nil {
		t.Errorf("key set %q: %v", got, err)
	}
	if next.Created != testTime || next.Rotated != testTime.Add(time.Hour) || next.Secrets[0].Version == record.Secrets[0].Version {
		t.Errorf("%+v", next)
	}
	again, err := next.Reseal(NewRing(testKey(t, 2), testKey(t, 1)), testTime)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := NewRing(testKey(t, 2)).OpenPublic("shop", &again.Secrets[0]); err != nil || got.JWKS != url || again.Secrets[0].Version != next.Secrets[0].Version {
		t.Errorf("resealed: %+v, %v", got, err)
	}
	if _, err := record.Rotate(testSecret(t, secretText), 0, ring, testTime); !errors.Is(err, ErrNoSecret) {
		t.Errorf("it was given a secret: %v", err)
	}
	if _, err := newTestRecord(t, "shop", ring).WithPublic(Public{Keys: public}, ring, testTime); !errors.Is(err, ErrSecret) {
		t.Errorf("its secret was replaced: %v", err)
	}
}

// TestPublicIsSealed: whoever can write to the store can add no key, use a key of another
// widget, or have what everybody knows taken for a secret.
func TestPublicIsSealed(t *testing.T) {
	ring := NewRing(testKey(t, 1))
	shop := newPublicRecord(t, "shop", Public{Keys: newPublicKeys(t)}, ring)
	set := newPublicRecord(t, "set", Public{JWKS: "https://login.example.com/jwks"}, ring)
	secret := newTestRecord(t, "secret", ring)
	for name, forged := range map[string]struct {
		id     string
		sealed Sealed
		kind   Kind
	}{
		"public keys as a secret":     {"shop", shop.Secrets[0], Secrets},
		"public keys as a key set":    {"shop", shop.Secrets[0], KeySet},
		"a key set as a secret":       {"set", set.Secrets[0], Secrets},
		"a secret as public keys":     {"secret", secret.Secrets[0], PublicKeys},
		"a secret as a key set":       {"secret", secret.Secrets[0], KeySet},
		"another widget's keys":       {"other", shop.Secrets[0], PublicKeys},
		"another widget's key set":    {"other", set.Secrets[0], KeySet},
		"keys that nobody has sealed": {"shop", Sealed{Version: "V", KeyID: ring.First(), Box: make([]byte, 200)}, PublicKeys},
	} {
		forged.sealed.Kind = forged.kind
		r := &Record{ID: forged.id, Created: testTime, Rotated: testTime, Secrets: []Sealed{forged.sealed}}
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		keys := newKeys(t, DefaultCache, time.Now)
		for _, known := range []*Record{shop, set, secret} { // its entries must not answer
			_, _ = keys.Append(nil, known, plainText, ring)
		}
		if got, err := keys.Append(nil, r, plainText, ring); !errors.Is(err, ErrSeal) || len(got) > 0 {
			t.Errorf("%s: %d keys, %v", name, len(got), err)
		}
		if url, err := keys.JWKS(r, ring); url != "" || forged.kind == KeySet && !errors.Is(err, ErrSeal) {
			t.Errorf("%s: key set %q, %v", name, url, err)
		}
		if text, err := ring.Open(forged.id, &forged.sealed); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: opens as a secret of %d bytes: %v", name, len(text.Reveal()), err)
		}
	}
	for name, secrets := range map[string][]Sealed{
		"keys beside a secret": {secret.Secrets[0], {Kind: PublicKeys, Version: "V", KeyID: ring.First(), Box: make([]byte, 200), Until: testTime}},
		"two key sets":         {set.Secrets[0], {Kind: KeySet, Version: "V", KeyID: ring.First(), Box: make([]byte, 200), Until: testTime}},
		"an unknown kind":      {{Kind: "password", Version: "V", KeyID: ring.First(), Box: make([]byte, 200)}},
	} {
		if err := (&Record{ID: "shop", Secrets: secrets}).Check(); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
