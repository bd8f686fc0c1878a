package verifier

import (
	"errors"
	"strconv"
	"time"
)

// Defaults for signed timestamps.
const (
	DefaultMaxAge = 5 * time.Minute
	DefaultSkew   = 30 * time.Second
)

// secondsWidth and millisecondsWidth are the digits of a Unix time from
// September 2001 until November 2286: widths that cannot be mistaken for each other.
const (
	secondsWidth      = 10
	millisecondsWidth = 13
)

// TimestampUnit is what signed timestamps count.
type TimestampUnit uint8

// The units. A policy that takes either leaves a message without separators open
// to a second reading, in the other unit, that becomes fresh months later.
const (
	AnyUnit      TimestampUnit = iota // seconds or milliseconds, told apart by their digits
	Seconds                           // 10 digits
	Milliseconds                      // 13 digits
)

// ParseTimestampUnit returns the unit of that name: seconds or milliseconds.
func ParseTimestampUnit(name string) (TimestampUnit, error) {
	switch name {
	case "seconds":
		return Seconds, nil
	case "milliseconds":
		return Milliseconds, nil
	}
	return AnyUnit, errors.New("unknown unit '" + name + "': seconds or milliseconds")
}

// takes reports whether a timestamp has the unit's digits, and how many those are.
func (u TimestampUnit) takes(text []byte) (bool, string) {
	switch u {
	case Seconds:
		return len(text) == secondsWidth, "of 10 digits (seconds)"
	case Milliseconds:
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
	age := v.now().Sub(t)
	return age <= v.policy.MaxAge && age >= -v.policy.Skew
}
