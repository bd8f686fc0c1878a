//go:build race

package body

// raceEnabled: under the race detector sync.Pool drops a part of what is put
// into it, so that nothing can be said about allocations.
const raceEnabled = true
