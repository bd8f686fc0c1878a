package traffic

import (
	"cmp"
	"slices"
	"time"
)

// Start takes samples in the background until [Traffic.Close].
func (t *Traffic) Start() {
	t.sampling.Go(func() {
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-t.closed:
				return
			case <-ticker.C:
				t.Sample()
			}
		}
	})
}

// Close ends the sampling.
func (t *Traffic) Close() error {
	close(t.closed)
	t.sampling.Wait()
	return nil
}

// Sample takes the samples that are due: [Traffic.Start] calls it.
func (t *Traffic) Sample() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := int64(t.clock().Sub(t.since) / tick)
	if now <= t.tick {
		return
	}
	series := append(t.series(), t.unknown)
	for _, s := range series {
		counts := s.counts.load()
		s.past.advance(&counts, t.tick, now)
		for _, u := range *s.uses.Load() {
			u.past.advance(u.count.Load(), windows[hour].step, t.tick, now)
		}
	}
	counts := t.ever()
	t.past.advance(&counts, t.tick, now)
	t.byMinute.advance(counts, int64(hourStep/tick), t.tick, now)
	t.byQuarter.advance(counts, int64(dayStep/tick), t.tick, now)
	t.tick = now
	if t.full.Load() {
		t.makeRoom(series[:len(series)-1])
	}
}

// makeRoom frees the places of widgets that are not among the busiest and need not be kept.
// Their counts become part of the rest.
func (t *Traffic) makeRoom(series []*Series) {
	rank(series)
	now := t.clock()
	for _, s := range series[min(MaxShown, len(series)):] {
		if !now.Before(s.kept) {
			t.replace(s.id, nil)
		}
	}
}

// rank sorts by the requests of the last day, busiest first.
func rank(series []*Series) {
	busy := make(map[*Series]uint64, len(series))
	for _, s := range series {
		busy[s] = s.busy()
	}
	slices.SortFunc(series, func(a, b *Series) int {
		return cmp.Or(cmp.Compare(busy[b], busy[a]), cmp.Compare(a.id, b.id))
	})
}

// dayStart returns when the window of a day begins.
func (t *Traffic) dayStart() time.Time {
	w := windows[day]
	return t.since.Add(time.Duration(max(t.tick/w.step-w.steps+1, 0)*w.step) * tick)
}
