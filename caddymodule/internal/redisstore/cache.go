package redisstore

import (
	"sync"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Sizes of what is remembered, in bytes.
const (
	minCache   = 64 << 10
	recordCost = 256 // what a record and its place in the cache take beside its secrets
)

// costOf returns about what a record takes, in bytes, whose value is of that
// size. The texts are no longer than in the value; the half is for the list of
// secrets, which may have grown to twice what it needs.
func costOf(size int) int { return recordCost + size + size/2 }

// entry is what was read of an id.
type entry struct {
	id     string
	epoch  uint64        // of the store, before it was read
	until  time.Duration // when it is to be read again
	record *widgets.Record
}

// sent is when it was asked for.
func (e *entry) sent() time.Duration { return e.until - reread }

// recordCache remembers entries. It may forget any, and may come up with one that
// was replaced: whether an entry can be used, the entry itself says. That there is
// no record of an id is not remembered: then a new widget is known at once, and who
// asks for many made-up ids drives no record out.
type recordCache struct {
	records *ristretto.Cache[uint64, *entry]

	mu     sync.RWMutex // held for reading while filling: ristretto panics if closed then
	closed bool
}

func newRecordCache(size int64) *recordCache {
	size = max(size, minCache)
	cache, err := ristretto.NewCache(&ristretto.Config[uint64, *entry]{
		NumCounters:        max(10*size/(2*recordCost), 1000),
		MaxCost:            size,
		BufferItems:        64,
		IgnoreInternalCost: true, // it is in recordCost
	})
	if err != nil {
		panic(err) // it refuses sizes of zero
	}
	return &recordCache{records: cache}
}

// get returns nil where nothing is remembered.
func (c *recordCache) get(hash uint64) *entry {
	e, _ := c.records.Get(hash)
	return e
}

// put remembers an entry whose value is of that size.
func (c *recordCache) put(hash uint64, e *entry, size int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed && c.records.Set(hash, e, int64(costOf(size))) {
		c.records.Wait() // else the next to ask would read it again
	}
}

func (c *recordCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		c.records.Close()
	}
}
