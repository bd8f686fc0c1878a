package traffic

import (
	"slices"
	"sync/atomic"
	"time"
)

// maxUses is how many secrets of a widget are told apart: those used last.
const maxUses = 16

// use counts the requests that one secret has verified.
type use struct {
	version string
	count   atomic.Uint64
	last    atomic.Int64 // in seconds
	past    ring[uint64] // by the steps of the window hour; guarded by Traffic.mu
}

// Use is what a secret was used for.
type Use struct {
	Last     time.Time // of the last request
	LastHour uint64    // requests
}

// CountUse counts a verified request by the version of the secret that signed it and
// whether that is in grace.
func (t *Traffic) CountUse(s *Series, version string, grace bool) {
	n := &t.current
	if grace {
		n = &t.grace
	}
	n.Add(1)
	if s == nil {
		return
	}
	u := s.use(version)
	if u == nil {
		u = t.addUse(s, version)
	}
	u.count.Add(1)
	if second := t.clock().Unix(); u.last.Load() < second {
		u.last.Store(second)
	}
}

// UsesEver returns how many requests were verified by current secrets, and by those in
// grace.
func (t *Traffic) UsesEver() (current, grace uint64) { return t.current.Load(), t.grace.Load() }

func (s *Series) use(version string) *use {
	for _, u := range *s.uses.Load() {
		if u.version == version {
			return u
		}
	}
	return nil
}

// addUse begins to count a secret's uses, in place of the one that was used longest ago if
// there are too many.
func (t *Traffic) addUse(s *Series, version string) *use {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u := s.use(version); u != nil {
		return u
	}
	u := &use{version: version, past: newRing[uint64](windows[hour].steps)}
	uses := slices.Clone(*s.uses.Load())
	if len(uses) == maxUses {
		oldest := slices.MinFunc(uses, func(a, b *use) int { return int(a.last.Load() - b.last.Load()) })
		s.usesFrom = time.Unix(oldest.last.Load(), 0)
		uses = slices.DeleteFunc(uses, func(u *use) bool { return u == oldest })
	}
	uses = append(uses, u)
	s.uses.Store(&uses)
	return u
}

// Uses returns what the widget's secrets were used for, by version, and since when those
// that are not in the map were not used; the zero time if that is unknown.
func (t *Traffic) Uses(widget string) (map[string]Use, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(widget)
	switch {
	case s == nil && t.crowded:
		return nil, time.Time{}
	case s == nil:
		return nil, t.since
	}
	from := t.since
	if t.crowded {
		from = s.joined
	}
	if s.usesFrom.After(from) {
		from = s.usesFrom
	}
	uses := make(map[string]Use)
	for _, u := range *s.uses.Load() {
		n := u.count.Load()
		uses[u.version] = Use{time.Unix(u.last.Load(), 0).UTC(), n - *u.past.at(0)}
	}
	return uses, from
}
