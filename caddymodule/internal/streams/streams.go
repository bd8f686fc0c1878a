// Package streams knows the streams that are open, and ends those whose user is no longer
// proved to be one.
package streams

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Reason is why a stream was ended.
type Reason string

// The reasons, as logs and metrics name them.
const (
	Rotated  Reason = "rotated" // what proved it was retired: by a rotation, a deletion or a reload
	Expired  Reason = "expired"
	Lifetime Reason = "lifetime"
)

// Reasons are all of them.
var Reasons = [...]Reason{Rotated, Expired, Lifetime}

const (
	// period is the time between two looks at the streams. A stream must end within a second
	// of the moment at which a gateway can know of a change, and stores take up to half of that.
	period = 200 * time.Millisecond
	// asking is how many proofs are asked about at once: a store may have to be asked over the
	// network for each.
	asking = 64
)

// Limit is when a stream ends at the latest, and why. The zero Limit never comes.
type Limit struct {
	At     time.Time
	Reason Reason
}

// Earlier returns the earlier of two limits.
func (l Limit) Earlier(other Limit) Limit {
	if l.At.IsZero() || !other.At.IsZero() && other.At.Before(l.At) {
		return other
	}
	return l
}

// Registry has the open streams, by what proved whose they are. While there are none, it does
// nothing.
type Registry[Proof comparable] struct {
	retired func(Proof) bool
	clock   func() time.Time
	asks    atomic.Bool // about what is retired
	ended   [len(Reasons)]atomic.Uint64

	mu       sync.Mutex
	open     map[Proof]map[*Stream[Proof]]struct{}
	count    int
	watching bool
}

// New returns a registry. retired reports whether something is known to prove nothing any
// longer. It may take its time, and is called concurrently.
func New[Proof comparable](retired func(Proof) bool, clock func() time.Time) *Registry[Proof] {
	return &Registry[Proof]{retired: retired, clock: clock, open: make(map[Proof]map[*Stream[Proof]]struct{})}
}

// Stream is one that is open.
type Stream[Proof comparable] struct {
	registry *Registry[Proof]
	proof    Proof
	limit    Limit
	reason   Reason // why it is being ended, "" if it is not; guarded by the registry's mu

	mu  sync.Mutex // held while it is cut
	cut func()     // nil once it is closed
}

// Open adds a stream. To end it, cut is called, in a goroutine of its own and again until
// the stream is closed: what it does to a connection may be undone by who is using that.
func (r *Registry[Proof]) Open(proof Proof, limit Limit, cut func()) *Stream[Proof] {
	s := &Stream[Proof]{registry: r, proof: proof, limit: limit, cut: cut}
	r.mu.Lock()
	defer r.mu.Unlock()
	group := r.open[proof]
	if group == nil {
		group = make(map[*Stream[Proof]]struct{}, 1)
		r.open[proof] = group
	}
	group[s] = struct{}{}
	if r.count++; !r.watching {
		r.watching = true
		go r.watch()
	}
	return s
}

// Close removes a stream that has ended. No cut is under way when it returns, and none
// follows. It returns why the registry ended it, "" if something else did.
func (s *Stream[Proof]) Close() Reason {
	r := s.registry
	r.mu.Lock()
	group := r.open[s.proof]
	delete(group, s)
	if len(group) == 0 {
		delete(r.open, s.proof)
	}
	r.count--
	reason := s.reason
	r.mu.Unlock()
	if i := slices.Index(Reasons[:], reason); i >= 0 {
		r.ended[i].Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = nil
	return reason
}

// Count returns how many streams are open.
func (r *Registry[Proof]) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// Ended returns how many streams the registry has ended for a reason, by its place in
// [Reasons].
func (r *Registry[Proof]) Ended(reason int) uint64 { return r.ended[reason].Load() }

// watch looks at the streams until there are none.
func (r *Registry[Proof]) watch() {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for range ticker.C {
		r.expire()
		// A store that takes its time to answer does not delay limits.
		if r.asks.CompareAndSwap(false, true) {
			go func() {
				defer r.asks.Store(false)
				r.retire()
			}()
		}
		if r.idle() {
			return
		}
	}
}

// idle reports whether there are no streams, and nobody watches them from now on.
func (r *Registry[Proof]) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count > 0 {
		return false
	}
	// A map keeps the memory of the most streams that there ever were.
	r.open, r.watching = make(map[Proof]map[*Stream[Proof]]struct{}), false
	return true
}

// expire ends the streams whose limit has come, and once more those that are being ended.
func (r *Registry[Proof]) expire() {
	now := r.clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, group := range r.open {
		for s := range group {
			if s.reason != "" || !s.limit.At.IsZero() && !now.Before(s.limit.At) {
				s.end(s.limit.Reason)
			}
		}
	}
}

// retire ends the streams whose proof is retired.
func (r *Registry[Proof]) retire() {
	r.mu.Lock()
	proofs := make([]Proof, 0, len(r.open))
	for p := range r.open {
		proofs = append(proofs, p)
	}
	r.mu.Unlock()
	var askers sync.WaitGroup
	var next atomic.Int64
	for range min(asking, len(proofs)) {
		askers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(proofs)); i = next.Add(1) - 1 {
				if r.retired(proofs[i]) {
					r.end(proofs[i])
				}
			}
		})
	}
	askers.Wait()
}

// end ends the streams of a proof.
func (r *Registry[Proof]) end(p Proof) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.open[p] {
		s.end(Rotated)
	}
}

// end cuts the stream, unless that is under way. The first reason counts. The caller holds the
// registry's mu.
func (s *Stream[Proof]) end(reason Reason) {
	s.reason = cmp.Or(s.reason, reason)
	go func() {
		if !s.mu.TryLock() {
			return
		}
		defer s.mu.Unlock()
		if s.cut != nil {
			s.cut()
		}
	}()
}
