package keysets

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// Verdicts remembers tokens that a public key has verified, which costs some twenty times
// an HMAC. It implements [verifier.Verdicts], takes no memory before the first, and is
// never closed: a process needs one.
type Verdicts struct {
	cache        func() *ristretto.Cache[[]byte, [sha256.Size]byte]
	hits, misses atomic.Uint64
}

// Bounds of what is remembered: some 20 MB. One that was forgotten is verified again.
const (
	maxVerdicts = 100_000
	maxAge      = time.Hour
)

// NewVerdicts returns an empty memory.
func NewVerdicts() *Verdicts {
	return &Verdicts{cache: sync.OnceValue(func() *ristretto.Cache[[]byte, [sha256.Size]byte] {
		cache, err := ristretto.NewCache(&ristretto.Config[[]byte, [sha256.Size]byte]{
			NumCounters: 10 * maxVerdicts, MaxCost: maxVerdicts, BufferItems: 64, IgnoreInternalCost: true,
		})
		if err != nil {
			panic(err) // the configuration is the one above
		}
		return cache
	})}
}

// Verified implements [verifier.Verdicts]. The cache compares two hashes of 64 bits, which
// may collide; the digest that it holds decides.
func (v *Verdicts) Verified(digest [sha256.Size]byte) bool {
	held, ok := v.cache().Get(digest[:])
	if ok = ok && held == digest; ok {
		v.hits.Add(1)
	} else {
		v.misses.Add(1)
	}
	return ok
}

// Remember implements [verifier.Verdicts].
func (v *Verdicts) Remember(digest [sha256.Size]byte, until time.Time) {
	if left := min(time.Until(until), maxAge); left > 0 {
		v.cache().SetWithTTL(digest[:], digest, 1, left)
	}
}

// Stats returns how many tokens were found, and how many were not and had to be verified.
func (v *Verdicts) Stats() (hits, misses uint64) { return v.hits.Load(), v.misses.Load() }
