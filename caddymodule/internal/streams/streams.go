// Package streams knows the streams that are open, and ends those whose user is no longer
// proved to be one.
package streams

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Reason is why a stream was ended. The zero Reason means that it was not.
type Reason uint8

// The reasons.
const (
	Rotated  Reason = iota + 1 // what proved it was retired: by a rotation, a deletion or a reload
	Expired                    // the token or session that proved it
	Lifetime                   // it was open for as long as a stream may be
)

// Reasons are all of them.
var Reasons = [...]Reason{Rotated, Expired, Lifetime}

// String returns the reason as logs and metrics name it.
func (r Reason) String() string { return [...]string{"", "rotated", "expired", "lifetime"}[r] }

const (
	// period is the time between two looks at the streams. A stream must end within a second
	// of the moment at which a gateway can know of a change, and stores take up to half of that.
	period = 200 * time.Millisecond
	// asking is how many proofs are asked about at once: a store may have to be asked over the
	// network for each.
	asking = 64
	// cutting is how many streams are cut at once: few, so that what ends with them does not
	// delay the others, and more than one, should one of them block.
	cutting = 16
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

// Registry has the open streams, by what proved whose they are. Without any, it does nothing.
type Registry[Proof comparable] struct {
	retired func(Proof) bool
	clock   func() time.Time
	asks    atomic.Bool // about what is retired
	ended   [len(Reasons) + 1]atomic.Uint64

	mu       sync.Mutex
	open     map[Proof]*group[Proof] // none of which is empty
	watching bool
}

// New returns a registry. retired reports whether something is known to prove nothing any
// longer. It may take its time, and is called concurrently.
func New[Proof comparable](retired func(Proof) bool, clock func() time.Time) *Registry[Proof] {
	return &Registry[Proof]{retired: retired, clock: clock, open: make(map[Proof]*group[Proof])}
}

// group is the streams that one proof has opened.
type group[Proof comparable] struct {
	registry *Registry[Proof]
	proof    Proof
	streams  map[*Stream[Proof]]struct{}
}

// Cutter ends a stream.
type Cutter interface{ Cut() }

// Stream is one that is open. There may be very many.
type Stream[Proof comparable] struct {
	group  *group[Proof]
	limit  Limit
	reason Reason // why it is being ended, if it is; guarded by the registry's mu

	mu     sync.Mutex // held while it is cut
	cutter Cutter     // nil once it is closed
}

// Open adds a stream. To end it, Cut is called, again and again until the stream is
// closed: what it does to a connection may be undone by who is using that.
func (r *Registry[Proof]) Open(proof Proof, limit Limit, cutter Cutter) *Stream[Proof] {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.open[proof]
	if g == nil {
		g = &group[Proof]{r, proof, make(map[*Stream[Proof]]struct{}, 1)}
		r.open[proof] = g
	}
	s := &Stream[Proof]{group: g, limit: limit, cutter: cutter}
	g.streams[s] = struct{}{}
	if !r.watching {
		r.watching = true
		go r.watch()
	}
	return s
}

// Close removes a stream that has ended. No Cut is under way when it returns, and none
// follows. It returns why the registry ended it, if it did.
func (s *Stream[Proof]) Close() Reason {
	g := s.group
	r := g.registry
	r.mu.Lock()
	if delete(g.streams, s); len(g.streams) == 0 {
		delete(r.open, g.proof)
	}
	reason := s.reason
	r.mu.Unlock()
	r.ended[reason].Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutter = nil
	return reason
}

// Count returns how many streams are open.
func (r *Registry[Proof]) Count() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.open {
		n += len(g.streams)
	}
	return n
}

// Ended returns how many streams the registry has ended for a reason.
func (r *Registry[Proof]) Ended(reason Reason) uint64 { return r.ended[reason].Load() }

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
	if len(r.open) > 0 {
		return false
	}
	// A map keeps the memory of the most streams that there ever were.
	r.open, r.watching = make(map[Proof]*group[Proof]), false
	return true
}

// expire ends the streams whose limit has come, and once more those that are being ended.
func (r *Registry[Proof]) expire() {
	now := r.clock()
	r.mu.Lock()
	var ending []*Stream[Proof]
	for _, g := range r.open {
		for s := range g.streams {
			if s.reason == 0 && !s.limit.At.IsZero() && !now.Before(s.limit.At) {
				s.reason = s.limit.Reason
			}
			if s.reason != 0 {
				ending = append(ending, s)
			}
		}
	}
	r.mu.Unlock()
	go each(ending, cutting, (*Stream[Proof]).cut)
}

// retire ends the streams whose proof is retired.
func (r *Registry[Proof]) retire() {
	r.mu.Lock()
	proofs := slices.Collect(maps.Keys(r.open))
	r.mu.Unlock()
	each(proofs, asking, func(p Proof) {
		if r.retired(p) {
			r.end(p)
		}
	})
}

// end ends the streams of a proof.
func (r *Registry[Proof]) end(p Proof) {
	r.mu.Lock()
	var ending []*Stream[Proof]
	if g := r.open[p]; g != nil {
		for s := range g.streams {
			s.reason = cmp.Or(s.reason, Rotated)
			ending = append(ending, s)
		}
	}
	r.mu.Unlock()
	go each(ending, cutting, (*Stream[Proof]).cut)
}

// cut cuts the stream, unless that is under way.
func (s *Stream[Proof]) cut() {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if s.cutter != nil {
		s.cutter.Cut()
	}
}

// each calls a function for all, for some at once, and returns when all calls have.
func each[T any](all []T, atOnce int, do func(T)) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range min(atOnce, len(all)) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				do(all[i])
			}
		})
	}
	group.Wait()
}
