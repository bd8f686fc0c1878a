package widgets

import (
	"bytes"
	"fmt"
	"runtime"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"golang.org/x/sync/singleflight"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Sizes of the key cache, in bytes.
const (
	DefaultCache = 64 << 20
	MinCache     = 1 << 20 // as many keys as one widget may have secrets
	// keyCost is about what a key takes, with the states that requests on a few
	// processors have made of it since the last garbage collection.
	keyCost = 2 << 10
)

// Keys makes verification keys of sealed secrets, and caches them. It never
// answers with a key that the record given does not name: the record says which
// secrets are current, the cache only saves work.
type Keys struct {
	// cache has the version of a secret for its key. No version is used twice,
	// so an entry is never replaced, and none has to be deleted to be right.
	cache  *ristretto.Cache[string, *opened]
	misses singleflight.Group
	now    func() time.Time
}

// opened is a key and what it was made of: the widget and the sealed secret
// with all that a record says of it. Whoever can write records could otherwise
// have a cached key stand for a secret that does not open any more.
type opened struct {
	id     string
	sealed Sealed
	key    *verifier.Key
}

func (o *opened) is(id string, s *Sealed) bool {
	return o.id == id && o.sealed.Version == s.Version && o.sealed.KeyID == s.KeyID && bytes.Equal(o.sealed.Box, s.Box)
}

// NewKeys returns a cache of that size in bytes.
func NewKeys(size int64, now func() time.Time) (*Keys, error) {
	if size < MinCache {
		return nil, fmt.Errorf("widgets: a cache of %d bytes is too small: at least %d", size, MinCache)
	}
	cache, err := ristretto.NewCache(&ristretto.Config[string, *opened]{
		NumCounters:        max(10*size/keyCost, 1000),
		MaxCost:            size,
		BufferItems:        64,
		IgnoreInternalCost: true, // it is in keyCost
		Metrics:            true,
	})
	if err != nil {
		return nil, err
	}
	k := &Keys{cache: cache, now: now}
	// A cache that is closed while requests use it panics, and requests outlive
	// the configuration they came in with. So it is closed when nobody can have it.
	runtime.AddCleanup(k, func(c *ristretto.Cache[string, *opened]) { go c.Close() }, cache)
	return k, nil
}

// Append appends the keys of the record's live secrets to keys, current first.
// Where some cannot be opened it goes on with the others, and returns the first
// error.
func (k *Keys) Append(keys []*verifier.Key, r *Record, ring *Ring) ([]*verifier.Key, error) {
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
		key, err := k.key(r.ID, s, ring)
		if err == nil {
			keys = append(keys, key)
		} else if failed == nil {
			failed = err
		}
	}
	return keys, failed
}

func (k *Keys) key(id string, s *Sealed, ring *Ring) (*verifier.Key, error) {
	// A key that was removed from the configuration opens nothing any more, be
	// it cached or not.
	if !ring.Has(s.KeyID) {
		return nil, &MissingKeyError{s.KeyID}
	}
	if o, ok := k.cache.Get(s.Version); ok && o.is(id, s) {
		return o.key, nil
	}
	made, err, _ := k.misses.Do(id+"\x00"+s.Version+"\x00"+s.KeyID+"\x00"+string(s.Box), func() (any, error) { return k.open(id, s, ring) })
	if err != nil {
		return nil, err
	}
	return made.(*verifier.Key), nil
}

func (k *Keys) open(id string, s *Sealed, ring *Ring) (*verifier.Key, error) {
	secret, err := ring.Open(id, s)
	if err != nil {
		return nil, err
	}
	o := &opened{id, *s, verifier.NewKey(secret)}
	if k.cache.Set(s.Version, o, keyCost) {
		k.cache.Wait() // a Get before the buffer is drained would open it again
	}
	return o.key, nil
}

// KeysStats says how the cache does since it was made.
type KeysStats struct {
	Hits, Misses uint64
	Cost         int64 // bytes in use
	Size         int64 // bytes at most
}

// Stats returns how the cache does.
func (k *Keys) Stats() KeysStats {
	m := k.cache.Metrics
	// The two are counted apart and read one after the other.
	cost := max(int64(m.CostAdded())-int64(m.CostEvicted()), 0)
	return KeysStats{m.Hits(), m.Misses(), cost, k.cache.MaxCost()}
}
