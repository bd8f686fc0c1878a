package redisstore

import (
	"runtime"
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
// The texts are no longer than the value; two thirds as much again is for the list of secrets,
// which may have grown to twice its size.
func costOf(size int) int { return recordCost + size + size*2/3 }

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
	*ristretto.Cache[uint64, *entry]
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
	c := &recordCache{cache}
	// It panics if it is closed while in use, so it is closed when it is unreachable.
	runtime.AddCleanup(c, func(c *ristretto.Cache[uint64, *entry]) { go c.Close() }, cache)
	return c
}

// get returns nil for a miss.
func (c *recordCache) get(hash uint64) *entry {
	e, _ := c.Get(hash)
	return e
}

// put caches an entry whose value has that size.
func (c *recordCache) put(hash uint64, e *entry, size int) {
	if c.Set(hash, e, int64(costOf(size))) {
		c.Wait() // otherwise the next lookup would miss
	}
	runtime.KeepAlive(c) // it must not be closed meanwhile
}
