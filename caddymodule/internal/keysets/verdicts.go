package keysets

import (
	"crypto/sha256"
	"runtime"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// Verdicts remembers tokens that a public key has verified, which costs some twenty times
// an HMAC. It implements [verifier.Verdicts].
type Verdicts struct {
	cache *ristretto.Cache[[]byte, [sha256.Size]byte]
}

// Bounds of what is remembered: some 20 MB. One that was forgotten is verified again.
const (
	maxVerdicts = 100_000
	maxAge      = time.Hour
)

// NewVerdicts returns an empty memory.
func NewVerdicts() (*Verdicts, error) {
	cache, err := ristretto.NewCache(&ristretto.Config[[]byte, [sha256.Size]byte]{
		NumCounters: 10 * maxVerdicts, MaxCost: maxVerdicts, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	v := &Verdicts{cache}
	// See widgets.NewKeys: requests outlive their configuration.
	runtime.AddCleanup(v, func(c *ristretto.Cache[[]byte, [sha256.Size]byte]) { go c.Close() }, cache)
	return v, nil
}

// Verified implements [verifier.Verdicts]. The cache compares two hashes of 64 bits, which
// may collide; the digest that it holds decides.
func (v *Verdicts) Verified(digest [sha256.Size]byte) bool {
	held, ok := v.cache.Get(digest[:])
	return ok && held == digest
}

// Remember implements [verifier.Verdicts].
func (v *Verdicts) Remember(digest [sha256.Size]byte, until time.Time) {
	if left := min(time.Until(until), maxAge); left > 0 {
		v.cache.SetWithTTL(digest[:], digest, 1, left)
	}
}
