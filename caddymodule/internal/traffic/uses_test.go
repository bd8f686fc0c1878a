package traffic

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestUses(t *testing.T) {
	tr, c := start()
	count := func(version string, grace bool) {
		tr.CountUse(tr.Count("shop", Verified, optional, bookbag), version, grace)
	}
	if uses, since := tr.Uses("shop"); len(uses) != 0 || !since.Equal(tr.Since()) {
		t.Errorf("before the first request: %v since %v", uses, since)
	}
	check := func(when, version string, ago time.Duration, lastHour uint64) {
		t.Helper()
		uses, since := tr.Uses("shop")
		if u := uses[version]; c.now().Sub(u.Last) != ago || u.LastHour != lastHour || !since.Equal(tr.Since()) {
			t.Errorf("%s: %+v since %v, want %v ago and %d", when, u, since, ago, lastHour)
		}
	}
	for range 3 {
		count("old", false)
	}
	c.pass(tr, time.Minute)
	count("new", false)
	count("old", true)
	check("at once", "old", 0, 4)
	check("at once", "new", 0, 1)
	c.pass(tr, 30*time.Minute)
	check("half an hour later", "old", 30*time.Minute, 4)
	count("new", false)
	c.pass(tr, 40*time.Minute)
	check("an hour later", "old", 70*time.Minute, 0)
	check("an hour later", "new", 40*time.Minute, 1)
	if current, grace := tr.UsesEver(); current != 5 || grace != 1 {
		t.Errorf("%d by current secrets, %d in grace", current, grace)
	}
	if uses, _ := tr.Uses("other"); len(uses) != 0 {
		t.Errorf("another widget's: %v", uses)
	}
	tr.Forget("shop")
	if uses, _ := tr.Uses("shop"); len(uses) != 0 {
		t.Errorf("a deleted widget's: %v", uses)
	}
}

// TestUsesBounded: of too many secrets those used last are told apart, and how long the
// others have not been used is not overstated.
func TestUsesBounded(t *testing.T) {
	tr, c := start()
	s := tr.Count("shop", Verified, optional, bookbag)
	for i := range maxUses + 3 {
		c.pass(tr, time.Minute)
		tr.CountUse(s, fmt.Sprint(i), i > 0)
	}
	uses, since := tr.Uses("shop")
	if len(uses) != maxUses || uses["2"] != (Use{}) || uses["3"].LastHour != 1 || c.now().Sub(since) != maxUses*time.Minute {
		t.Errorf("%d uses since %v ago: %v", len(uses), c.now().Sub(since), uses)
	}
	for i := range 2 * maxPlaces {
		tr.CountUse(tr.Count(fmt.Sprint("w-", i), Verified, optional, bookbag), "v", false)
	}
	if uses, since := tr.Uses("w-0"); len(uses) != 1 || !since.Equal(c.now()) {
		t.Errorf("a widget that joined now: %v since %v", uses, since)
	}
	if uses, since := tr.Uses(fmt.Sprint("w-", 2*maxPlaces-1)); len(uses) != 0 || !since.IsZero() {
		t.Errorf("a widget without counts of its own: %v since %v", uses, since)
	}
}

// TestConcurrentUses: no use is lost while others begin, samples are taken and uses are
// looked at.
func TestConcurrentUses(t *testing.T) {
	tr, c := start()
	const workers, each = 4, 10_000
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range each {
				tr.CountUse(tr.Count("shop", Verified, optional, bookbag), fmt.Sprint(i%maxUses), worker == 0)
				if i%100 == 0 {
					tr.Uses("shop")
					tr.History()
				}
			}
		})
	}
	for range 100 {
		c.pass(tr, 5*time.Second)
	}
	group.Wait()
	uses, _ := tr.Uses("shop")
	sum := uint64(0)
	for _, u := range uses {
		sum += u.LastHour
	}
	current, grace := tr.UsesEver()
	if sum != workers*each || current != (workers-1)*each || grace != each {
		t.Errorf("%d uses of %d, %d current, %d in grace", sum, workers*each, current, grace)
	}
}

func TestCountUseAllocates(t *testing.T) {
	tr, _ := start()
	s := tr.Count("shop", Verified, optional, bookbag)
	for i := range maxUses {
		tr.CountUse(s, fmt.Sprint(i), false)
	}
	for _, s := range []*Series{s, nil} {
		if n := testing.AllocsPerRun(200, func() { tr.CountUse(s, "9", true) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
