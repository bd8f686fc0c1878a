package boltledger

import "time"

const (
	sweepInterval = 5 * time.Second
	// sweepLimit is how many entries one transaction removes: as many as one
	// adds, so that sweeping keeps up, and few enough for a short pause.
	sweepLimit = batchLimit
	// settling is for how long the clock must have been past an entry's end before
	// the entry is removed.
	settling = 5 * time.Minute
)

// clock tells the time of day, which an operator or NTP may set, and the time
// since some moment, which nobody can.
type clock struct {
	now    func() time.Time
	steady func() time.Duration
}

// unix returns the Unix time, in seconds. A clock before 1970 is as wrong as one at
// 1970, and seconds are compared by their bytes.
func (c clock) unix() int64 { return max(c.now().Unix(), 0) }

// horizon says what may be forgotten.
//
// An entry is alive while the clock is before its end, by what the clock says at
// that moment. A clock set back by a little thus finds again what had ended
// meanwhile, as long as it is in the file. So it is removed late, when the clock
// has been past its end for settling, measured by the steady clock: a clock that
// is wrong for less, as at a start before NTP has answered, forgets nothing. What
// was removed leaves its end behind in the file. While the clock is before that,
// nobody can tell whether a key is free, and the ledger says so instead: a signature that was used must not be accepted again.
// After the clock was far ahead for longer than settling and set right again,
// that lasts until it has caught up or somebody moves the file away, of which
// the error speaks.
type horizon struct {
	past, noted int64 // Unix time, in seconds
	at          time.Duration
}

// advance returns what the clock said at least settling ago. What
// ended by then may be forgotten.
func (h *horizon) advance(c clock) int64 {
	now, at := c.unix(), c.steady()
	if at-h.at >= settling {
		h.past, h.noted, h.at = h.noted, now, at
	}
	return min(h.past, now)
}
