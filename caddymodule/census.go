package caddymodule

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// censusPeriod is the minimum time between two censuses.
	censusPeriod = 15 * time.Second
	// missingPeriod is that while an encryption key is missing.
	missingPeriod = time.Second
	censusPage    = 500 // records
	// censusRest is the pause after a page, as a multiple of the time that reading it
	// took, and maxCensusRest the longest: a census keeps one client of the store busy for
	// about a twentieth of the time. On a busy machine reading takes longer, mostly by
	// waiting, and a census of a million widgets must not take hours.
	censusRest    = 19
	maxCensusRest = 250 * time.Millisecond
	// censusRetry is the pause after a census that failed.
	censusRetry = 5 * time.Second
	// maxGraces bounds how many ends of graces are kept in memory.
	maxGraces = 100_000
)

// census is what the store held when all of it was last read.
type census struct {
	at      time.Time
	widgets [widgets.NumModes]int // by their own mode
	oldest  time.Time             // when the oldest current secret was created; zero for none
	graces  []time.Time           // when secrets in grace end
	keys    map[string]bool       // the encryption keys of the secrets
}

// inGrace is how many secrets are still in grace.
func (c *census) inGrace(now time.Time) (n int) {
	for _, until := range c.graces {
		if now.Before(until) {
			n++
		}
	}
	return n
}

// oldestAge is the age of the oldest current secret, 0 where there is none.
func (c *census) oldestAge(now time.Time) time.Duration {
	if c.oldest.IsZero() {
		return 0
	}
	return max(now.Sub(c.oldest), 0)
}

func (c *census) count(r *widgets.Record, now time.Time) {
	if r.ID == widgets.SigningKeysID {
		return
	}
	mode, _ := widgets.ParseMode(r.Mode) // checked when it was stored
	c.widgets[mode]++
	if c.oldest.IsZero() || r.Rotated.Before(c.oldest) {
		c.oldest = r.Rotated
	}
	for i := range r.Secrets {
		s := &r.Secrets[i]
		if !s.Live(now) {
			continue
		}
		c.keys[s.KeyID] = true
		if i > 0 && len(c.graces) < maxGraces {
			c.graces = append(c.graces, s.Until)
		}
	}
}

// countStore takes censuses until the context ends.
func (a *App) countStore(ctx context.Context) {
	for {
		wait := censusPeriod
		if found, err := a.takeCensus(ctx); err == nil {
			a.census.Store(found)
			if len(a.missingKeys()) > 0 { // the last of their secrets may be rotated away at any time
				wait = missingPeriod
			}
		} else {
			wait = censusRetry
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// takeCensus reads the whole store, a page at a time.
func (a *App) takeCensus(ctx context.Context) (*census, error) {
	found := &census{keys: make(map[string]bool)}
	for after := ""; ; {
		began := time.Now()
		page, err := a.store.List(ctx, after, censusPage)
		if err != nil {
			return nil, err
		}
		for _, record := range page {
			found.count(record, began)
		}
		if len(page) < censusPage {
			found.at = time.Now()
			return found, nil
		}
		after = page[len(page)-1].ID
		if !sleep(ctx, min(censusRest*time.Since(began), maxCensusRest)) {
			return nil, ctx.Err()
		}
	}
}

// sleep reports whether it waited that long. It returns early if the context ends.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// counted returns how many widgets the store had at the last census, and when that was.
func (a *App) counted() (stored int, at time.Time) {
	found := a.census.Load()
	if found == nil {
		return 0, at
	}
	for _, n := range found.widgets {
		stored += n
	}
	return stored, found.at
}

// keyIDs is [widgets.Store.KeyIDs] of the widgets alone: the signing keys are not needed
// everywhere, and have a health of their own.
func (a *App) keyIDs() map[string]int {
	stored := a.store.KeyIDs()
	if stored == nil {
		return nil
	}
	if record, _ := a.store.Lookup(context.Background(), signingKeysID); record != nil {
		id := record.Secrets[0].KeyID
		if stored[id]--; stored[id] <= 0 {
			delete(stored, id)
		}
	}
	return stored
}

// neededKeys returns the ids of encryption keys that the secrets of stored widgets need, as
// far as the store or the last census knows.
func (a *App) neededKeys() []string {
	if stored := a.keyIDs(); stored != nil {
		return slices.Sorted(maps.Keys(stored))
	}
	if found := a.census.Load(); found != nil {
		return slices.Sorted(maps.Keys(found.keys))
	}
	return nil
}

// missingKeys returns those that are not configured.
func (a *App) missingKeys() []string {
	missing := []string{}
	for _, id := range a.neededKeys() {
		if !a.ring.Load().Has(id) {
			missing = append(missing, id)
		}
	}
	return missing
}
