package traffic

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// clock is a clock that goes when it is told to.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_800_000_000, c.nanos.Load()) }

// pass lets time pass, and has what is due be sampled.
func (c *clock) pass(t *Traffic, d time.Duration) {
	for ; d > 0; d -= tick {
		c.nanos.Add(int64(min(d, tick)))
		t.Sample()
	}
}

func start() (*Traffic, *clock) {
	c := new(clock)
	return New(c.now), c
}

var invalid = FindingOf(judgment.OutcomeInvalid, judgment.Invalid)

const (
	optional = widgets.ModeOptional
	bookbag  = 0
)

func TestFindings(t *testing.T) {
	if len(Reasons) != numReasons || len(table) != int(numFindings) {
		t.Fatal("the verifier has other reasons than are counted")
	}
	seen := map[Finding]bool{}
	check := func(outcome judgment.Outcome, reason judgment.Reason) {
		f := FindingOf(outcome, reason)
		if f.Outcome() != outcome || f.Reason() != reason || seen[f] || f >= numFindings {
			t.Errorf("%s %s is finding %d: %s %s", outcome, reason, f, f.Outcome(), f.Reason())
		}
		seen[f] = true
	}
	check(judgment.OutcomeVerified, "")
	check(judgment.OutcomeDisabled, "")
	for _, reason := range judgment.Reasons {
		check(reason.Outcome(), reason)
	}
	for _, outcome := range judgment.Outcomes {
		if outcome != judgment.OutcomeVerified && outcome != judgment.OutcomeDisabled {
			check(outcome, judgment.ConversationClaimed)
		}
	}
	for f := range numFindings {
		of := f.OfSession()
		told := f.Reason() == judgment.Invalid || f.Reason() == judgment.Expired ||
			f.Reason() == judgment.ConversationClaimed && (f.Outcome() == judgment.OutcomeInvalid || f.Outcome() == judgment.OutcomeExpired)
		if of.Outcome() != f.Outcome() || of.Reason() != f.Reason() || (of.Shown() == Session) != told || (of.Proof() == "session") != (told || f == VerifiedBySession) {
			t.Errorf("%d of a session is %d: %s %s %s", f, of, of.Outcome(), of.Shown(), of.Proof())
		}
		if of != f {
			seen[of] = true
		}
	}
	if len(seen) != int(numFindings)-2 || seen[VerifiedByToken] || seen[VerifiedBySession] { // which the caller tells apart
		t.Errorf("%d findings of %d can be found", len(seen), numFindings)
	}
}

// TestWindows: what is older than a window, and one of its steps, is not in it.
func TestWindows(t *testing.T) {
	tr, c := start()
	c.pass(tr, 3*time.Hour+7*time.Second)
	for range 10 {
		tr.Count("shop", Verified, optional, bookbag)
	}
	for _, step := range []struct {
		pass              time.Duration
		minute, hour, day uint64
	}{
		{0, 10, 10, 10},
		{50 * time.Second, 10, 10, 10},
		{15 * time.Second, 0, 10, 10},
		{53 * time.Minute, 0, 10, 10},
		{8 * time.Minute, 0, 0, 10},
		{21 * time.Hour, 0, 0, 10},
		{3 * time.Hour, 0, 0, 0},
	} {
		c.pass(tr, step.pass)
		w := tr.Of("shop")
		total, _ := tr.Overview()
		for _, got := range []Windows{w, total} {
			if got.Minute.Requests != step.minute || got.Hour.Requests != step.hour || got.Day.Verified != step.day {
				t.Errorf("after %v: %+v, want %+v", step.pass, got, step)
			}
		}
	}
	if stats := tr.Stats(0); stats.Widgets[0].Requests != 10 || stats.Total.Requests != 10 || stats.Total.Day.Requests != 0 {
		t.Errorf("%+v", stats)
	}
	// A machine that slept has nothing from before in its last minute.
	tr.Count("shop", invalid, optional, bookbag)
	c.nanos.Add(int64(48 * time.Hour))
	tr.Sample()
	if w := tr.Of("shop"); w.Day.Requests != 0 {
		t.Errorf("after a long sleep: %+v", w.Day)
	}
}

func TestReasonsInWindows(t *testing.T) {
	tr, _ := start()
	tr.Count("shop", Verified, optional, bookbag)
	tr.Count("shop", Disabled, widgets.ModeOff, bookbag)
	tr.Count("shop", invalid, optional, bookbag)
	tr.Count("shop", FindingOf(judgment.OutcomeVerified, judgment.ConversationClaimed), optional, bookbag)
	tr.Count("shop", FindingOf(judgment.OutcomeAnonymous, judgment.ConversationClaimed), optional, bookbag)
	tr.Count("shop", invalid.OfSession(), optional, bookbag)
	tr.Count("", FindingOf(judgment.OutcomeInvalid, judgment.WidgetUnknown), optional, bookbag)
	text, err := json.Marshal(tr.Of("shop").Minute)
	if want := `{"requests":6,"verified":1,"verified_rate":0.16666666666666666,"proofs":{"signature":1,"token":0,"session":0},"reasons":{"conversation_claimed":2,"disabled":1,"invalid":1,"session":1}}`; string(text) != want {
		t.Errorf("%s, want %s, %v", text, want, err)
	}
	stats := tr.Stats(0)
	if got := stats.Widgets[0]; got.Requests != 6 || got.Outcomes["verified"] != 2 || got.Outcomes["invalid"] != 2 || math.Abs(got.Rate-1.0/3) > 1e-9 || got.Outcomes["anonymous"] != 1 || got.Outcomes["disabled"] != 1 {
		t.Errorf("%+v", got)
	}
	if stats.Unknown == nil || stats.Unknown.Reasons["widget_unknown"] != 1 || stats.Rest != nil || stats.Total.Requests != 7 {
		t.Errorf("%+v", stats)
	}
}

// TestBounded: there are places for so many widgets, a busy newcomer displaces
// an idle one, and no request is lost from the total.
func TestBounded(t *testing.T) {
	tr, c := start()
	requests := 0
	count := func(id string, n int) {
		for range n {
			tr.Count(id, Verified, optional, bookbag)
		}
		requests += n
	}
	for i := range 3 * maxPlaces {
		count(fmt.Sprintf("idle-%d", i), 1)
	}
	check := func(when string) *Stats {
		t.Helper()
		stats := tr.Stats(0)
		sum := uint64(0)
		for _, w := range stats.Widgets {
			sum += w.Requests
		}
		if len(stats.Widgets) > MaxShown || tr.places > maxPlaces || stats.Rest == nil || stats.Total.Requests != uint64(requests) || sum+stats.Rest.Requests != uint64(requests) {
			t.Errorf("%s: %d widgets in %d places, %d requests of %d", when, len(stats.Widgets), tr.places, stats.Total.Requests, requests)
		}
		return stats
	}
	check("full")
	if tr.find("busy") != nil {
		t.Fatal("there is a place beyond the last")
	}
	for range 200 {
		count("busy", 1)
		c.pass(tr, 5*time.Second)
	}
	stats := check("with a newcomer")
	if at := slices.IndexFunc(stats.Widgets, func(w Counts) bool { return w.ID == "busy" }); at < 0 || stats.Widgets[at].Requests < 100 {
		t.Errorf("the newcomer has no place: %d", at)
	}
	if top := tr.Stats(3); len(top.Widgets) != 3 || top.Widgets[0].ID != "busy" || top.Total.Requests != uint64(requests) {
		t.Errorf("%+v", top.Widgets)
	}
	// An operator who looks at one of the rest has it watched.
	if r := tr.Readiness("idle-3000", true); !r.From.Equal(r.Now) {
		t.Errorf("nothing was known of it before %v", r.From)
	}
	c.pass(tr, time.Minute)
	count("idle-3000", 1)
	if r := tr.Readiness("idle-3000", true); r.Requests != 1 || r.Now.Sub(r.From) != time.Minute {
		t.Errorf("%+v", r)
	}
	for i := range 10 * maxWatched {
		tr.Readiness(fmt.Sprintf("asked-%d", i), true)
	}
	if tr.places > maxPlaces+maxWatched {
		t.Errorf("%d places", tr.places)
	}
}

// TestConcurrentTotals: no request is lost while places are taken and given up.
func TestConcurrentTotals(t *testing.T) {
	tr, c := start()
	const workers, each = 4, 5_000
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range each {
				tr.Count(fmt.Sprintf("w-%d", (worker*each+i*7)%(2*maxPlaces)), invalid, optional, bookbag)
				if i%1000 == 0 {
					tr.Stats(10)
				}
			}
		})
	}
	group.Go(func() {
		for range 100 {
			c.pass(tr, 10*time.Second)
		}
	})
	group.Wait()
	if got := tr.Stats(0); got.Total.Requests != workers*each || got.Total.Reasons["invalid"] != workers*each {
		t.Errorf("%d requests of %d", got.Total.Requests, workers*each)
	}
	if n := tr.Cell(invalid, optional, bookbag); n != workers*each {
		t.Errorf("%d in the cell", n)
	}
}

func TestCountAllocates(t *testing.T) {
	tr, _ := start()
	for i := range 2 * maxPlaces {
		tr.Count(fmt.Sprintf("w-%d", i), Verified, optional, bookbag)
	}
	for _, id := range []string{"w-1", "of-the-rest", ""} {
		if n := testing.AllocsPerRun(200, func() { tr.Count(id, Verified, optional, bookbag) }); n != 0 {
			t.Errorf("%q: %v allocations", id, n)
		}
	}
}

// TestRefusals: a flood costs a few examples, the newest are kept, and those
// older than a day are not shown.
func TestRefusals(t *testing.T) {
	tr, c := start()
	s := tr.Count("shop", invalid, optional, bookbag)
	taken, diagnosed := 0, 0
	for i := range 10_000 {
		s = tr.Count("shop", invalid, optional, bookbag)
		c.nanos.Add(int64(time.Millisecond))
		if tr.TakesExample(s, judgment.Invalid) {
			taken++
			var hint Hint
			if tr.MayDiagnose(s) {
				diagnosed++
				hint = Hint{"email_signed", "The e-mail was signed."}
			}
			tr.AddExample(s, Refusal{Reason: judgment.Invalid, RequestID: fmt.Sprint(i), Hint: hint})
		}
	}
	if taken < 10 || taken > 16 || diagnosed < 5 || diagnosed > 6 {
		t.Errorf("in ten seconds %d were kept and %d diagnosed", taken, diagnosed)
	}
	r := tr.Readiness("shop", true)
	if r.Refused != 10_001 || r.Requests != r.Refused || len(r.Refusals) != 1 {
		t.Fatalf("%+v", r)
	}
	one := r.Refusals[0]
	if one.Reason != judgment.Invalid || len(one.Examples) != maxExamples || !one.Examples[0].At.After(one.Examples[1].At) ||
		len(one.Hints) != 1 || one.Hints[0].Count != uint64(diagnosed) {
		t.Errorf("%+v", one)
	}
	c.pass(tr, 12*time.Hour)
	for i := range 3 * maxHints {
		tr.Count("shop", invalid, optional, bookbag)
		tr.AddExample(s, Refusal{Reason: judgment.Invalid, RequestID: fmt.Sprint("late-", i), Hint: Hint{fmt.Sprint("hint-", i), "…"}, Always: true})
	}
	if one = tr.Readiness("shop", true).Refusals[0]; len(one.Hints) != maxHints || !one.Always || one.Examples[0].RequestID != "late-23" {
		t.Errorf("%+v", one)
	}
	c.pass(tr, 13*time.Hour)
	if one = tr.Readiness("shop", true).Refusals[0]; one.Count != 3*maxHints {
		t.Errorf("after half a day: %+v", one)
	}
	c.pass(tr, 13*time.Hour)
	tr.Count("shop", invalid, optional, bookbag)
	r = tr.Readiness("shop", true)
	if one = r.Refusals[0]; one.Count != 1 || len(one.Hints) != 0 || len(one.Examples) != 0 {
		t.Errorf("after a day: %+v", one)
	}
	if day := r.Now.Sub(r.From); day < 23*time.Hour || day > 24*time.Hour {
		t.Errorf("looked at for %v", day)
	}
}

// TestVerifying: requests count as evidence from the first that is verified or refused
// after the last in mode off, and only those of the last day.
func TestVerifying(t *testing.T) {
	tr, c := start()
	for _, step := range []struct {
		finding Finding
		pass    time.Duration
		want    time.Duration // since when, at the end; 0 for not at all
	}{
		{Disabled, time.Hour, 0},
		{invalid, time.Hour, time.Hour},
		{Verified, time.Minute, time.Hour + time.Minute},
		{Disabled, time.Minute, 0},
		{Verified, time.Hour, time.Hour},
		{Verified, 23 * time.Hour, 23 * time.Hour},
	} {
		tr.Count("shop", step.finding, optional, bookbag)
		c.pass(tr, step.pass)
		r := tr.Readiness("shop", true)
		got := time.Duration(0)
		if !r.Verifying.IsZero() {
			got = r.Now.Sub(r.Verifying)
		}
		if step.want != got && (step.want < 23*time.Hour || !r.Verifying.Equal(r.From)) {
			t.Errorf("%+v: %v", step, got)
		}
	}
}

// TestForget: a widget that is made anew has nothing of the one before, and no
// request is lost from the total.
func TestForget(t *testing.T) {
	tr, c := start()
	for _, id := range []string{"shop", "other"} {
		tr.AddExample(tr.Count(id, invalid, optional, bookbag), Refusal{Reason: judgment.Invalid, RequestID: "1"})
	}
	if got := tr.Known([]byte("shop")); got != "shop" {
		t.Errorf("known as %q", got)
	}
	c.pass(tr, time.Minute)
	tr.Forget("shop")
	tr.Forget("shop")
	if got := tr.Known([]byte("shop")); got != "" || tr.places != 1 {
		t.Errorf("known as %q, %d places", got, tr.places)
	}
	if r := tr.Readiness("shop", true); r.Requests != 0 || len(r.Refusals) != 0 {
		t.Errorf("before its first request %+v", r)
	}
	tr.Count("shop", Verified, optional, bookbag)
	if r := tr.Readiness("shop", true); r.Requests != 1 || r.Refused != 0 || len(r.Refusals) != 0 {
		t.Errorf("after its first request %+v", r)
	}
	if r := tr.Readiness("other", true); r.Requests != 1 || r.Now.Sub(r.From) != time.Minute {
		t.Errorf("the other, which was there all the time: %+v", r)
	}
	stats := tr.Stats(0)
	if stats.Total.Requests != 3 || stats.Rest == nil || stats.Rest.Reasons["invalid"] != 1 || stats.Rest.Day.Requests != 1 {
		t.Errorf("total %+v, rest %+v", stats.Total, stats.Rest)
	}
}

// TestDiagnosesAreFew: many widgets together cost no more than a few diagnoses
// a second.
func TestDiagnosesAreFew(t *testing.T) {
	tr, c := start()
	diagnosed := 0
	for range 10 {
		for i := range MaxShown {
			if tr.MayDiagnose(tr.Count(fmt.Sprintf("w-%d", i), invalid, optional, bookbag)) {
				diagnosed++
			}
			c.nanos.Add(int64(time.Millisecond))
		}
	}
	if most := 10*int(time.Second/diagnoseAll) + allBurst; diagnosed > most {
		t.Errorf("%d in ten seconds, want %d at most", diagnosed, most)
	}
}

// TestMemory prints what all places take when everything is kept that can be.
func TestMemory(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tr, _ := start()
	flood := func(widgets int) {
		for i := range widgets {
			for f := firstReason; f < numFindings; f++ {
				s := tr.Count(fmt.Sprintf("widget-%d", i), f, optional, bookbag)
				for h := range maxHints + 1 {
					tr.AddExample(s, Refusal{Reason: f.Shown(), RequestID: fmt.Sprintf("%036d", f), Hint: Hint{"id", hints[h]}})
				}
			}
		}
	}
	flood(maxPlaces)
	full := heap()
	flood(2 * maxPlaces)
	if after := heap(); after > full+1<<20 {
		t.Errorf("%d bytes became %d", full-before, after-before)
	}
	t.Logf("%d widgets, all reasons, all examples and hints: %.1f MB", maxPlaces, float64(full-before)/(1<<20))
	runtime.KeepAlive(tr)
}

var hints = func() (texts [2 * maxHints]string) {
	for i := range texts {
		texts[i] = fmt.Sprintf("hint %d", i)
	}
	return texts
}()

func BenchmarkCount(b *testing.B) {
	tr, _ := start()
	for i := range 500 {
		tr.Count(fmt.Sprintf("w-%d", i), Verified, optional, bookbag)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tr.Count("w-7", Verified, optional, bookbag)
		}
	})
}
