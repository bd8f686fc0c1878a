package redisstore

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// lease is how long what is remembered may be used after the last moment of
	// which it is known that every change before it was told.
	lease = time.Second
	// settle is how long a writer waits for the leases of others to end. It is
	// more than a lease by what clocks may differ in speed.
	settle = lease + 100*time.Millisecond
	// shards is how many counters of changes there are. Ids share them, and then
	// one is read again because another was changed.
	shards = 1 << 16
	never  = math.MinInt64 / 2
)

// freshness says what of the remembered can be used. Times are those of the
// store's clock.
type freshness struct {
	// epoch counts how often changes may have been missed.
	epoch atomic.Uint64
	// generations count changes, by hash of the id. An invalidation only ever
	// adds to one: nothing depends on the order in which the cache stores or
	// forgets.
	generations [shards]atomic.Uint64
	// leased is the base of the lease that holds now, and known the last there was.
	leased, known atomic.Int64
}

func (f *freshness) init() {
	f.leased.Store(never)
	f.known.Store(never)
}

// stamp is the state of the counters for an id. What was read from Redis has the
// stamp from before it was asked for.
type stamp struct{ epoch, generation uint64 }

func (f *freshness) stamp(hash uint64) stamp {
	return stamp{f.epoch.Load(), f.generations[hash%shards].Load()}
}

func (f *freshness) current(e *entry) bool { return f.stamp(e.hash) == e.stamp }

// changed says that the record of that hash is not what it was.
func (f *freshness) changed(hash uint64) { f.generations[hash%shards].Add(1) }

// missed says that from here on no change before is known to have been told.
func (f *freshness) missed() { f.epoch.Add(1) }

// renew gives a lease: all changes before base have been told.
func (f *freshness) renew(base time.Duration) {
	f.known.Store(int64(base))
	f.leased.Store(int64(base))
}

// drop ends the lease.
func (f *freshness) drop() { f.leased.Store(never) }

// until returns when the lease ends.
func (f *freshness) until() time.Duration { return time.Duration(f.leased.Load()) + lease }

// since returns the base of the last lease there was.
func (f *freshness) since() time.Duration { return time.Duration(f.known.Load()) }
