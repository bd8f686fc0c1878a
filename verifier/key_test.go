package verifier

import (
	"errors"
	"testing"
)

// TestKeyID: an identity says which key signed, and nothing else does.
func TestKeyID(t *testing.T) {
	v, err := Dialects[0].Verifier()
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]*Key, 3)
	for i, id := range []string{"new", "old", ""} {
		secret, err := NewSecret("the-secret-with-the-name-" + id)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = NewKey(secret)
		keys[i].ID = id
	}
	for _, key := range keys {
		signature, err := v.Sign(key, map[Field]string{UserID: "user-1"})
		if err != nil {
			t.Fatal(err)
		}
		var r Reading
		r.Text(Place{Field: UserID}, []byte("user-1"))
		r.Text(Place{Field: Signature}, []byte(signature))
		if i, err := v.Verify(&r, keys...); err != nil || i.KeyID() != key.ID {
			t.Errorf("%q signed, and the identity says %q: %v", key.ID, i.KeyID(), err)
		}
		if i, err := v.Verify(&r); !errors.Is(err, ErrInvalid) || i.KeyID() != "" {
			t.Errorf("without keys %q: %v", i.KeyID(), err)
		}
	}
}
