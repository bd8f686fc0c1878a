package verifier

import (
	"strconv"
	"time"
)

// secondsWidth and millisecondsWidth are the digits of a Unix time from
// September 2001 until November 2286: widths that cannot be mistaken for each other.
const (
	secondsWidth      = 10
	millisecondsWidth = 13
)

// takesUnit reports whether a timestamp has the unit's digits, and how many those are.
func takesUnit(unit time.Duration, text []byte) (bool, string) {
	switch unit {
	case time.Second:
		return len(text) == secondsWidth, "of 10 digits (seconds)"
	case time.Millisecond:
		return len(text) == millisecondsWidth, "of 13 digits (milliseconds)"
	}
	return true, "of 10 digits (seconds) or 13 (milliseconds)"
}

// parseTimestamp reads a Unix time of exactly 10 digits (seconds) or 13
// (milliseconds).
func parseTimestamp(text []byte) (time.Time, bool) {
	if len(text) != secondsWidth && len(text) != millisecondsWidth || !digits(text) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	if len(text) == secondsWidth {
		return time.Unix(n, 0), true
	}
	return time.UnixMilli(n), true
}

// fresh reports whether a message signed at t is acceptable now: not older
// than maxAge, not further ahead than skew.
func (v *Verifier) fresh(t time.Time) bool {
	// Sub saturates, and the least Duration has no opposite: negate the bound.
	age := v.dialect.Time().Sub(t)
	return age <= v.dialect.MaxAge && age >= -v.dialect.Skew
}
