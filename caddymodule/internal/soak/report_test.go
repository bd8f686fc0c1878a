//go:build soak

package soak_test

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// tally is what was counted.
type tally struct {
	mu      sync.Mutex
	times   map[string][]time.Duration // of answered honest requests, by kind
	counts  map[string]int
	samples map[string][]error
	retired []retirement
	began   time.Time
	notes   []string // what happened when
}

// note notes that something happens.
func (c *tally) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notes = append(c.notes, fmt.Sprintf("%.1fs: %s", time.Since(c.began).Seconds(), what))
}

// took counts an honest request that was answered.
func (c *tally) took(kind string, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[string][]time.Duration{}
	}
	c.times[kind] = append(c.times[kind], took)
}

// count counts what else happens, and keeps the first errors.
func (c *tally) count(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts, c.samples = map[string]int{}, map[string][]error{}
	}
	if c.counts[what]++; err != nil && len(c.samples[what]) < 5 {
		c.samples[what] = append(c.samples[what], fmt.Errorf("%.1fs: %w", time.Since(c.began).Seconds(), err))
	}
}

// kinds are those of honest requests, in the table's order.
var kinds = []struct{ key, name string }{
	{"bare", "bare proxy, 300 B"},
	{"verified", "signed, 300 B"},
	{"rotated", "signed, of widgets that are rotated all the time"},
	{"session", "session"},
	{"token", "token, HS256"},
	{"public key", "token, ES256"},
	{"anonymous", "anonymous, optional mode"},
	{"upload", "upload, 2 MiB"},
	{"conversation", "message of a conversation"},
	{"one-time", "one-time signature"},
}

// report prints the tables, and fails the test where something was counted that must not
// happen.
func (f *fleet) report(t *testing.T, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := io.Writer(os.Stdout)
	total := f.counts["forged"] + f.counts["late"]
	fmt.Fprintf(w, "\n%v, %d widgets, two gateways, one Redis, %d CPUs, %d clients and %d streams\n\n", took.Round(time.Second), numWidgets, runtime.NumCPU(), clients, streams)
	fmt.Fprintf(w, "| %-50s | %9s | %8s | %8s |\n|---|---|---|---|\n", "honest requests", "answered", "p50 ms", "p99 ms")
	for _, kind := range kinds {
		all := f.times[kind.key]
		total += len(all)
		if len(all) == 0 {
			t.Errorf("%s: there was none", kind.name)
			continue
		}
		slices.Sort(all)
		at := func(share float64) float64 { return all[int(float64(len(all)-1)*share)].Seconds() * 1000 }
		fmt.Fprintf(w, "| %-50s | %9d | %8.1f | %8.1f |\n", kind.name, len(all), at(.5), at(.99))
	}
	fmt.Fprintf(w, "\n| %-76s | %9s |\n|---|---|\n", "counted", "")
	row := func(name string, value any) { fmt.Fprintf(w, "| %-76s | %9v |\n", name, value) }
	row("requests", total)
	row("requests per second", int(float64(total)/took.Seconds()))
	for _, zero := range []struct{ key, name string }{
		{"refused", "refused honest requests"},
		{"forged accepted", "accepted forged requests"},
		{"late accepted", "accepted claims and sessions of a retired secret"},
		{"streams outlived", "streams that outlived their secret"},
		{"failed", "other failures"},
	} {
		row("**"+zero.name+"**", fmt.Sprintf("**%d**", f.counts[zero.key]))
		if n := f.counts[zero.key]; n != 0 {
			t.Errorf("%s: %d, such as %q; events: %q", zero.name, n, f.samples[zero.key], f.notes)
		}
	}
	for _, event := range []struct{ key, name string }{
		{"forged", "forged requests"},
		{"late", "claims and sessions of a retired secret that were sent"},
		{"retirements", "secrets retired, by rotation, by the end of a grace, by deletion"},
		{"streams kept", "streams that were kept as long as the client wanted"},
		{"streams ended", "streams that ended with their secret"},
		{"streams cut", "streams cut by the kill -9"},
		{"cut", "requests cut by the kill -9, and sent again"},
		{"reloaded", "connections broken by a reload before an answer, and opened again"},
		{"again", "requests told to come again (503) while Redis was away, and sent again"},
		{"overtaken", "requests refused because a retirement overtook them"},
	} {
		row(event.name, f.counts[event.key])
	}
	row("reloads", f.reloads.Load())
	m := f.memories
	row("memory of the first gateway at the start, after two thirds and at the end, MB", fmt.Sprintf("%.0f, %.0f, %.0f", m[0][0], m[1][0], m[2][0]))
	row("memory of the second, which was killed, after two thirds and at the end, MB", fmt.Sprintf("%.0f, %.0f", m[1][1], m[2][1]))
	row("Redis: bytes per widget", (f.redisBytes-f.noWidgets)/numWidgets)
	row("Redis: until it has its widgets again after a restart", f.redisStart.Round(10*time.Millisecond))
	row("import of all widgets", f.imported.Round(time.Second/10))
	fmt.Fprintln(w)
	for _, answer := range f.answers {
		fmt.Fprintln(w, answer)
	}
	for _, some := range []string{"forged", "late", "retirements", "streams kept", "streams ended"} {
		if f.counts[some] == 0 {
			t.Errorf("%s: there was none", some)
		}
	}
}
