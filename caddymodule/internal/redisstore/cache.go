package redisstore

import (
	"sync"
	"time"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Sizes in bytes.
const (
	minCache   = 64 << 10
	recordCost = 256 // of a record and its cache entry, without the texts
)

// costOf returns the approximate size of a cached record, in bytes, given that of its value.
// The texts are no longer than the value; half as much again is for the list of secrets,
// which may have grown to twice its size.
func costOf(size int) int { return recordCost + size + size/2 }

// entry is a cached record.
type entry struct {
	id     string
	epoch  uint64        // of the store, before it was read
	until  time.Duration // when it is to be read again
	read   time.Duration // when it was answered
	record *widgets.Record
}

// sent is when it was asked for.
func (e *entry) sent() time.Duration { return e.until - reread }

// recordCache caches entries. It may drop any, and may return one that was replaced: the
// entry's own fields say whether it can be used. That an id has no record is not cached, so
// that a new widget is known at once, and requests for made-up ids evict nothing.
type recordCache struct {
	records *ristretto.Cache[uint64, *entry]

	mu     sync.RWMutex // read-locked while filling, since ristretto panics if closed then
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
		panic(err) // only for sizes of zero
	}
	return &recordCache{records: cache}
}

// get returns nil for a miss.
func (c *recordCache) get(hash uint64) *entry {
	e, _ := c.records.Get(hash)
	return e
}

// put caches an entry whose value has that size.
func (c *recordCache) put(hash uint64, e *entry, size int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.closed && c.records.Set(hash, e, int64(costOf(size))) {
		c.records.Wait() // otherwise the next lookup would miss
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
