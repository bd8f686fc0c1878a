package traffic

// ring has the last samples of what is counted, one for the beginning of each step.
// Samples that were not taken yet are zero.
type ring[T any] struct {
	samples []T
	next    int // the index of the oldest
}

func newRing[T any](steps int64) ring[T] { return ring[T]{samples: make([]T, steps)} }

// advance takes the samples that are due from one tick to a later one, if a step has that
// many ticks.
func (r *ring[T]) advance(now T, step, from, to int64) {
	for range min(to/step-from/step, int64(len(r.samples))) {
		r.samples[r.next] = now
		r.next = (r.next + 1) % len(r.samples)
	}
}

// at returns the sample that many steps after the oldest.
func (r *ring[T]) at(i int) *T { return &r.samples[(r.next+i)%len(r.samples)] }
