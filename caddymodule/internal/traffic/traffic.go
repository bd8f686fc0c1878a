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
	// maxPlaces is how many have counts of their own. The places beyond MaxShown are
	// for newcomers, so that a busy one can replace an idle widget.
	maxPlaces = MaxShown + 250
	// maxWatched is how many more may have, because an operator looked at them.
	maxWatched = 50

	// How long a newcomer keeps its place in any case, and one that an operator
	// looked at.
	probation = 5 * time.Minute
	watching  = 24 * time.Hour
)

// Custom is the dialect of a handler whose claim is none of the dialects'.
const Custom = "custom"

// maxDialects has room for all dialects and [Custom].
const maxDialects = 8

// Dialects returns the dialects that requests are counted by. [Traffic.Count] takes
// an index into them.
func Dialects() []string {
	var names []string
	for _, d := range verifier.Dialects {
		names = append(names, d.Name)
	}
	return append(names, Custom)
}

// shards is how many maps the widgets are spread over. A newcomer's map is copied.
const shards = 64

// Traffic counts requests. Counting takes no lock and no memory: it reads one
// map that is only ever replaced, and adds to two numbers.
type Traffic struct {
	clock func() time.Time
	since time.Time
	seed  maphash.Seed

	all     [widgets.NumModes][maxDialects]counters
	unknown *Series // requests of no widget, or of one that does not exist
	shards  [shards]atomic.Pointer[map[string]*Series]

	full atomic.Bool // whether all places are taken

	diagnoses *rate.Limiter // of all widgets together

	sampling sync.WaitGroup
	closed   chan struct{}

	mu      sync.Mutex
	places  int     // how many widgets have a place
	crowded bool    // whether all places were ever taken, so that not all widgets have one
	tick    int64   // the last that was sampled, since the beginning
	past    history // of all requests
}

// New returns a Traffic that begins to count now.
func New(clock func() time.Time) *Traffic {
	t := &Traffic{
		clock: clock, since: clock(), seed: maphash.MakeSeed(), past: newHistory(), closed: make(chan struct{}),
		diagnoses: rate.NewLimiter(rate.Every(diagnoseAll), allBurst),
	}
	t.unknown = newSeries("", t.since)
	for i := range t.shards {
		t.shards[i].Store(new(map[string]*Series))
	}
	return t
}

// Count counts a request of a known widget, or of none (""), by its finding, its mode
// and the index of its dialect in [Dialects]. It returns the series that the request
// was counted in, nil if that is only the rest.
func (t *Traffic) Count(widget string, f Finding, mode widgets.Mode, dialect uint8) *Series {
	var s *Series
	if widget == "" {
		t.unknown.count(f, mode)
	} else if s = t.seriesOf(widget); s != nil {
		s.count(f, mode)
	}
	// All last: readers go in the other order, so that what is in the count of all is
	// in its widget's, too, and no rest appears where all widgets are counted.
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

// Cell returns how many requests with that finding, mode and dialect were counted.
func (t *Traffic) Cell(f Finding, mode widgets.Mode, dialect int) uint64 {
	return t.all[mode][dialect][f].Load()
}

// Findings is how many findings there are: they are the numbers below it.
const Findings = numFindings

// Since is when counting began.
func (t *Traffic) Since() time.Time { return t.since }

// Known returns the id if that widget has counts of its own, else "". Clients can
// name any id, so the name alone must not give one a place.
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

// place gives a widget a place for some time at least, if fewer than so many are
// taken. The caller holds the mutex.
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

// ever is the counts of all requests since the beginning.
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
