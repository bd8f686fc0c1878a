package traffic

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// How much is kept about a widget's refusals, per reason.
const (
	maxExamples = 5
	maxHints    = 8
)

// How often examples are taken, per widget and reason, and requests diagnosed, per widget
// and in total: a diagnosis takes a millisecond or two, which a flood of forgeries must
// not cost each time.
const (
	exampleEvery  = time.Second
	exampleBurst  = maxExamples
	diagnoseEvery = 10 * time.Second
	diagnoseBurst = 5
	diagnoseAll   = time.Second / 5
	allBurst      = 10
)

// How often a widget's requests are checked against other widgets' secrets, and how often
// the store is asked for ids like those that requests name.
const (
	searchEvery      = time.Minute
	nearestPerSecond = 2
)

// Hint is what is wrong with a claim. Neither field quotes the request.
type Hint struct {
	ID   string // a keyword
	Text string // a sentence
}

// Refusal is a request that is not verified.
type Refusal struct {
	Reason    judgment.Reason // one of [Reasons]
	RequestID string
	Hint      Hint   // zero if it was not diagnosed
	Detail    string // what is wrong with this request, if that is more than the hint
	Always    bool   // optional mode refuses it, too
}

// refusals are those of a widget.
type refusals struct {
	examples [numReasons]*rate.Limiter
	diagnose *rate.Limiter
	search   *rate.Limiter

	mu sync.Mutex
	by [numReasons]*refused
	// leftOut counts requests in which a field was left out, by field.
	leftOut [verifier.Visitor + 1]hourly
}

// refused are those for one reason.
type refused struct {
	always    bool
	examples  []Example // newest first
	diagnosed hourly
	hints     []hinted
}

// Example is one request that was not verified.
type Example struct {
	At        time.Time `json:"at"`
	RequestID string    `json:"request_id"`
	Hint      string    `json:"hint,omitempty"`
}

// hinted counts a hint.
type hinted struct {
	Hint
	hourly
}

// hourly counts by hour, for a day.
type hourly struct {
	last  int64 // the last hour with one
	hours [dayHours]uint32
}

// count counts one in an hour, numbered from the start.
func (h *hourly) count(hour int64) {
	h.forget(hour)
	h.hours[hour%dayHours]++
}

// forget clears the hours that have passed since the last.
func (h *hourly) forget(hour int64) {
	for ; h.last < hour; h.last++ {
		if hour-h.last > dayHours {
			h.last = hour - dayHours
		}
		h.hours[(h.last+1)%dayHours] = 0
	}
}

// sum is the count of the day that ends with an hour.
func (h *hourly) sum(hour int64) (n uint64) {
	h.forget(hour)
	for _, c := range h.hours {
		n += uint64(c)
	}
	return n
}

// TakesExample reports whether a request of this series that is refused now should be
// passed to [Traffic.AddExample].
func (t *Traffic) TakesExample(s *Series, reason judgment.Reason) bool {
	return s != nil && s.refusals.examples[reasonIndex(reason)].AllowN(t.clock(), 1)
}

// MayDiagnose reports whether a request of this series may be diagnosed now.
func (t *Traffic) MayDiagnose(s *Series) bool {
	now := t.clock()
	return s != nil && s.refusals.diagnose.AllowN(now, 1) && t.diagnoses.AllowN(now, 1)
}

// AddExample keeps a refusal as an example.
func (t *Traffic) AddExample(s *Series, r Refusal) {
	if s == nil {
		return
	}
	now := t.clock()
	s.refusals.mu.Lock()
	defer s.refusals.mu.Unlock()
	kept := &s.refusals.by[reasonIndex(r.Reason)]
	if *kept == nil {
		*kept = new(refused)
	}
	(*kept).add(&r, now, int64(now.Sub(t.since)/time.Hour))
}

func (k *refused) add(r *Refusal, now time.Time, hour int64) {
	k.always = r.Always
	example := Example{now.UTC(), r.RequestID, r.Detail}
	if example.Hint == "" {
		example.Hint = r.Hint.Text
	}
	if len(k.examples) == maxExamples {
		k.examples = k.examples[:maxExamples-1]
	}
	k.examples = slices.Insert(k.examples, 0, example)
	if r.Hint == (Hint{}) {
		return
	}
	k.diagnosed.count(hour)
	i := slices.IndexFunc(k.hints, func(h hinted) bool { return h.Hint == r.Hint })
	if i < 0 {
		if len(k.hints) == maxHints {
			slices.SortFunc(k.hints, func(a, b hinted) int { return cmp.Compare(b.sum(hour), a.sum(hour)) })
			k.hints = k.hints[:maxHints-1] // without the rarest
		}
		k.hints = append(k.hints, hinted{Hint: r.Hint})
		i = len(k.hints) - 1
	}
	k.hints[i].count(hour)
}

// LeftOut counts a request of this series in which these fields were left out.
func (t *Traffic) LeftOut(s *Series, fields []verifier.Field) {
	if s == nil {
		return
	}
	hour := int64(t.clock().Sub(t.since) / time.Hour)
	s.refusals.mu.Lock()
	defer s.refusals.mu.Unlock()
	for _, f := range fields {
		s.refusals.leftOut[f].count(hour)
	}
}

// leftOutView returns what LeftOut counted in the last day.
func (r *refusals) leftOutView(hour int64) []FieldCount {
	fields := []FieldCount{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for f := range r.leftOut {
		if n := r.leftOut[f].sum(hour); n > 0 {
			fields = append(fields, FieldCount{verifier.Field(f).String(), n})
		}
	}
	return fields
}
