package widgets

import (
	"bytes"
	"fmt"
	"runtime"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// Sizes of the key cache, in bytes.
const (
	DefaultCache = 64 << 20
	MinCache     = 1 << 20 // as many keys as one widget may have secrets
	// keyCost is approximately the size of a key, with the states that requests on a few
	// processors have derived from it since the last garbage collection.
	keyCost = 2 << 10
)

// Keys derives verification keys from encrypted secrets, and caches them. The record says
// which secrets are current, so a cached key is never used after its secret was retired.
type Keys struct {
	// cache is keyed by the secret's version and the encoding of its key. Versions are never
	// reused, so no entry has to be replaced or deleted for correctness.
	cache  *ristretto.Cache[string, *decrypted]
	misses singleflight.Group
	now    func() time.Time
	others others // for hints to the operator

	verdicts verifier.Verdicts // of public keys
}

// decrypted is what verifies and what it was derived from. All of that is compared: a record that
// was tampered with must not get a cached key for a secret that no longer decrypts.
type decrypted struct {
	id     string
	sealed Sealed
	keys   []*verifier.Key // of a secret one, of a key set none
	jwks   string
	slot   uint32 // of a secret, among the recently used
}

func (o *decrypted) is(id string, s *Sealed) bool {
	return o.id == id && o.sealed.Kind == s.Kind && o.sealed.Version == s.Version && o.sealed.KeyID == s.KeyID && bytes.Equal(o.sealed.Box, s.Box)
}

// NewKeys returns a cache of that size in bytes. The clock tells which secrets have ended,
// and the verdicts are those of public keys, nil for none.
func NewKeys(size int64, now func() time.Time, verdicts verifier.Verdicts) (*Keys, error) {
	if size < MinCache {
		return nil, fmt.Errorf("widgets: a cache of %d bytes is too small: at least %d", size, MinCache)
	}
	cache, err := ristretto.NewCache(&ristretto.Config[string, *decrypted]{
		NumCounters:        max(10*size/keyCost, 1000),
		MaxCost:            size,
		BufferItems:        64,
		IgnoreInternalCost: true, // it is in keyCost
		Metrics:            true,
	})
	if err != nil {
		return nil, err
	}
	k := &Keys{cache: cache, now: now, verdicts: verdicts}
	// A cache panics if it is closed while in use, and requests outlive their
	// configuration. So it is closed when it is unreachable.
	runtime.AddCleanup(k, func(c *ristretto.Cache[string, *decrypted]) { go c.Close() }, cache)
	return k, nil
}

// Append appends the keys that the record's live secrets write in an encoding, the current
// one first: see [verifier.Secret.Decoded]; or its public keys. If some cannot be decrypted
// or write none, it appends the others and returns the first error.
func (k *Keys) Append(keys []*verifier.Key, r *Record, encoding string, ring *Ring) ([]*verifier.Key, error) {
	var failed error
	var now time.Time
	if len(r.Secrets) > 1 {
		now = k.now()
	}
	for i := range r.Secrets {
		s := &r.Secrets[i]
		if !s.Live(now) {
			continue
		}
		o, err := k.decrypted(r, s, encoding, ring)
		if err == nil {
			keys = append(keys, o.keys...)
		} else if failed == nil {
			failed = err
		}
	}
	return keys, failed
}

// JWKS returns the URL of the record's key set, "" if it has none.
func (k *Keys) JWKS(r *Record, ring *Ring) (string, error) {
	if r.Kind() != KeySet {
		return "", nil
	}
	o, err := k.decrypted(r, &r.Secrets[0], plainText, ring)
	if err != nil {
		return "", err
	}
	return o.jwks, nil
}

// plainText is the encoding of most secrets.
const plainText = "text"

func (k *Keys) decrypted(r *Record, s *Sealed, encoding string, ring *Ring) (*decrypted, error) {
	// A key that was removed from the configuration decrypts nothing, cached or not.
	if !ring.Has(s.KeyID) {
		return nil, &MissingKeyError{s.KeyID}
	}
	entry := s.Version
	if s.Kind == Secrets && encoding != plainText {
		entry += " " + encoding // which no version contains
	}
	if o, ok := k.cache.Get(entry); ok && o.is(r.ID, s) {
		k.others.use(o)
		return o, nil
	}
	o, err, _ := k.misses.Do(r.ID+"\x00"+entry+"\x00"+string(s.Kind)+"\x00"+s.KeyID+"\x00"+string(s.Box), func() (any, error) { return k.open(r, s, encoding, entry, ring) })
	if err != nil {
		return nil, err
	}
	return o.(*decrypted), nil
}

func (k *Keys) open(r *Record, s *Sealed, encoding, entry string, ring *Ring) (*decrypted, error) {
	o := &decrypted{id: r.ID, sealed: *s}
	if s.Kind == Secrets {
		secret, err := ring.Open(r.ID, s)
		if err == nil {
			secret, err = secret.Decoded(encoding)
		}
		if err != nil {
			return nil, err
		}
		key := verifier.NewKey(secret)
		key.ID = s.Version
		o.keys, o.slot = []*verifier.Key{key}, k.others.opened.Add(1)%maxOthers
		k.others.use(o)
		k.others.learn(r, o)
	} else {
		public, err := ring.OpenPublic(r.ID, s)
		if err != nil {
			return nil, err
		}
		if o.jwks = public.JWKS; o.jwks == "" {
			if o.keys, err = keyset.Keys(public.Keys, k.verdicts); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrSeal, err)
			}
		}
	}
	if k.cache.Set(entry, o, keyCost) {
		k.cache.Wait() // the next Get would miss until the buffer is drained
	}
	return o, nil
}

// KeysStats are the cache's statistics since it was created.
type KeysStats struct {
	Hits, Misses uint64
	Cost         int64 // bytes in use
	Size         int64 // maximum, in bytes
}

// Stats returns the cache's statistics.
func (k *Keys) Stats() KeysStats {
	m := k.cache.Metrics
	// The two are not read at the same moment.
	cost := max(int64(m.CostAdded())-int64(m.CostEvicted()), 0)
	return KeysStats{m.Hits(), m.Misses(), cost, k.cache.MaxCost()}
}
