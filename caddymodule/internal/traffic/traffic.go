package traffic

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const (
	// MaxShown is how many widgets are listed: the busiest of the last day.
	MaxShown = 1000
	// maxPlaces is how many have counts of their own. Those beyond MaxShown are for new
	// ones, so that a busy widget can replace an idle one.
	maxPlaces = MaxShown + 250
	// maxWatched is how many more may have, because an operator looked at them.
	maxWatched = 50

	// How long a new widget, and one that an operator looked at, keeps its place.
	probation = 5 * time.Minute
	watching  = 24 * time.Hour
)

// Custom stands for the dialect of a handler with a claim of its own.
const Custom = "custom"

// Dialects returns the dialects by which requests are counted, as [Traffic.Count] indexes
// them.
func Dialects() []string {
	var names []string
	for _, d := range verifier.Dialects {
		names = append(names, d.Name)
	}
	return append(names, Custom)
}

// shards is how many maps the widgets are spread over. A new widget's map is copied.
const shards = 64

// Traffic counts requests. Counting takes no lock and allocates nothing: it reads a map that
// is never changed, only replaced, and adds to two numbers.
type Traffic struct {
	clock func() time.Time
	since time.Time
	seed  maphash.Seed

	all     [widgets.NumModes][]counters // by dialect
	unknown *Series                      // requests of no widget, or of one that does not exist
	// unknownIDs are the ids by which such requests name theirs.
	unknownIDs unknownWidgets
	shards     [shards]atomic.Pointer[map[string]*Series]

	full atomic.Bool // whether all places are taken

	current, grace atomic.Uint64 // requests verified by current secrets, and by those in grace

	diagnoses *rate.Limiter // of all widgets together

	sampling sync.WaitGroup
	closed   chan struct{}

	mu                  sync.Mutex
	places              int          // how many widgets have a place
	crowded             bool         // whether all places ever were taken, so that a widget may lack one
	tick                int64        // the last that was sampled, counted from the start
	past                history      // of all requests
	byMinute, byQuarter ring[counts] // of all requests, by the steps of a [History]
}

// New returns a Traffic that counts from now on.
func New(clock func() time.Time) *Traffic {
	t := &Traffic{
		clock: clock, since: clock(), seed: maphash.MakeSeed(), past: newHistory(), closed: make(chan struct{}),
		byMinute: newRing[counts](hourPoints), byQuarter: newRing[counts](dayPoints),
		diagnoses: rate.NewLimiter(rate.Every(diagnoseAll), allBurst),
	}
	t.unknown = newSeries("", t.since)
	t.unknownIDs.look = rate.NewLimiter(nearestPerSecond, nearestPerSecond)
	for mode := range t.all {
		t.all[mode] = make([]counters, len(Dialects()))
	}
	for i := range t.shards {
		t.shards[i].Store(new(map[string]*Series))
	}
	return t
}

// Count counts a request of a known widget, or of none (""), by finding, mode and index of
// the dialect in [Dialects]. It returns the series in which the request was counted, nil if
// that is only the rest.
func (t *Traffic) Count(widget string, f Finding, mode widgets.Mode, dialect uint8) *Series {
	var s *Series
	if widget == "" {
		t.unknown.count(f, t.clock)
	} else if s = t.seriesOf(widget); s != nil {
		s.count(f, t.clock)
	}
	// The total comes last, and readers read it first: what it counts is in its widget's
	// count, too, or the difference would show as the rest.
	t.all[mode][dialect][f].Add(1)
	return s
}

// seriesOf returns a widget's series, nil if it has none and all places are taken.
func (t *Traffic) seriesOf(widget string) *Series {
	if s := t.find(widget); s != nil || t.full.Load() {
		return s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.place(widget, maxPlaces, probation)
}

// Cell returns the number of requests with that finding, mode and dialect.
func (t *Traffic) Cell(f Finding, mode widgets.Mode, dialect int) uint64 {
	return t.all[mode][dialect][f].Load()
}

// Findings is the number of findings, which are the numbers below it.
const Findings = numFindings

// Now is the time by the clock that everything is counted by.
func (t *Traffic) Now() time.Time { return t.clock() }

// Since is when counting began.
func (t *Traffic) Since() time.Time { return t.since }

// Known returns the id if that widget has counts of its own, else "". Clients can name any
// id, so naming one must not give it a place.
func (t *Traffic) Known(id []byte) string {
	if s := t.find(string(id)); s != nil {
		return s.id
	}
	return ""
}

func (t *Traffic) shard(widget string) *atomic.Pointer[map[string]*Series] {
	return &t.shards[maphash.String(t.seed, widget)%shards]
}

func (t *Traffic) find(widget string) *Series { return (*t.shard(widget).Load())[widget] }

// place gives a widget a place for at least that time, if fewer than limit are taken. The
// caller holds the mutex.
func (t *Traffic) place(widget string, limit int, atLeast time.Duration) *Series {
	s, now := t.find(widget), t.clock()
	if s == nil {
		if t.places >= limit {
			return nil
		}
		s = newSeries(widget, now)
		t.replace(widget, s)
	}
	if until := now.Add(atLeast); until.After(s.kept) {
		s.kept = until
	}
	return s
}

// replace puts a series into its map, or removes the widget's if it is nil.
func (t *Traffic) replace(widget string, s *Series) {
	at := t.shard(widget)
	next := maps.Clone(*at.Load())
	if s != nil {
		if next == nil {
			next = make(map[string]*Series)
		}
		next[widget] = s
		t.places++
	} else {
		delete(next, widget)
		t.places--
	}
	at.Store(&next)
	full := t.places >= maxPlaces
	t.full.Store(full)
	t.crowded = t.crowded || full
}

// series returns all widgets' series, in no order.
func (t *Traffic) series() []*Series {
	all := make([]*Series, 0, maxPlaces)
	for i := range t.shards {
		for _, s := range *t.shards[i].Load() {
			all = append(all, s)
		}
	}
	return all
}

// ever returns the counts of all requests.
func (t *Traffic) ever() (n counts) {
	for mode := range t.all {
		for dialect := range t.all[mode] {
			for f := range n {
				n[f] += t.all[mode][dialect][f].Load()
			}
		}
	}
	return n
}
