package boltledger

import "time"

const (
	sweepInterval = 5 * time.Second
	// sweepLimit is how many entries one transaction removes: as many as it can add, so
	// that sweeping keeps up, and few enough for a short pause.
	sweepLimit = batchLimit
	// settling is how long the clock must have been past an entry's end before the entry
	// is removed.
	settling = 5 * time.Minute
)

// clock has the time of day, which an operator or NTP may set, and a monotonic one.
type clock struct {
	now    func() time.Time
	steady func() time.Duration
}

// unix returns the Unix time, in seconds. It is never negative, since the file compares
// times by their bytes.
func (c clock) unix() int64 { return max(c.now().Unix(), 0) }

// horizon determines which entries may be removed.
//
// An entry is live while the clock is before its end. If the clock is set back a little,
// entries that had ended are live again as long as they are in the file. So an entry is
// removed only when the clock has been past its end for settling, by the monotonic clock: a
// clock that is wrong for a shorter time, as at boot before NTP has answered, loses
// nothing. The file records the latest end of a removed entry. While the clock is before
// that, it is unknown which keys are free, and the ledger returns an error, since a used
// signature must not be accepted again. If the clock was far ahead for longer than settling
// and was then corrected, that lasts until it has caught up or the file is moved away, as
// the error says.
type horizon struct {
	past, noted int64 // Unix time, in seconds
	at          time.Duration
}

// advance returns what the clock said at least settling ago. Entries that ended by then may
// be removed.
func (h *horizon) advance(c clock) int64 {
	now, at := c.unix(), c.steady()
	if at-h.at >= settling {
		h.past, h.noted, h.at = h.noted, now, at
	}
	return min(h.past, now)
}
