package redisstore

import (
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Sizes of what is remembered, in bytes.
const (
	minCache   = 64 << 10
	recordCost = 256 // what a record and its place in the cache take beside its secrets
	absents    = 1 << 12
)

// costOf returns about what a record takes, in bytes, whose value is of that
// size. The texts are no longer than in the value; the half is for the list of
// secrets, which may have grown to twice what it needs.
func costOf(size int) int { return recordCost + size + size/2 }

// entry is what was read of an id. Its record is nil where there is none.
type entry struct {
	id     string
	hash   uint64
	stamp  stamp
	record *widgets.Record
}

// near remembers entries. It may forget any, and may come up with one that was
// replaced: only the stamp says whether an entry can be used.
type near struct {
	records *ristretto.Cache[uint64, *entry]
	// absent remembers ids that there is no record of, one for each hash: whoever
	// asks for many made-up ids must not drive out records.
	absent [absents]atomic.Pointer[entry]

	mu     sync.RWMutex // held for reading while filling: ristretto panics if closed then
	closed bool
}

func newNear(size int64) *near {
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
	return &near{records: cache}
}

func (n *near) get(hash uint64) *entry {
	if e, ok := n.records.Get(hash); ok {
		return e
	}
	return n.absent[hash%absents].Load()
}

// put remembers an entry, and what it takes beside its record is size.
func (n *near) put(e *entry, size int) {
	if e.record == nil {
		n.absent[e.hash%absents].Store(e)
		// A record from before it was deleted would hide this one.
		n.mu.RLock()
		defer n.mu.RUnlock()
		if !n.closed {
			n.records.Del(e.hash)
		}
		return
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	if !n.closed && n.records.Set(e.hash, e, int64(costOf(size))) {
		n.records.Wait() // else the next to ask would read it again
	}
}

func (n *near) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.closed = true
		n.records.Close()
	}
}
