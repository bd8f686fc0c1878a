package verifier

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func timestamped(t testing.TB, maxAge, skew time.Duration, now time.Time) *Verifier {
	t.Helper()
	return compiled(t, Dialect{Message: "{timestamp}.{user_id}", MaxAge: maxAge, Skew: skew, Time: func() time.Time { return now }})
}

// TestFreshness moves the clock and the timestamp to the exact bounds.
func TestFreshness(t *testing.T) {
	const base = 1_800_000_000
	key := newKey([]byte("0123456789abcdef"))
	for _, test := range []struct {
		name         string
		maxAge, skew time.Duration
		timestamp    string
		now          time.Time
		want         error
	}{
		{"now", time.Minute, 0, fmt.Sprint(base), time.Unix(base, 0), nil},
		{"as old as may be", time.Minute, 0, fmt.Sprint(base), time.Unix(base+60, 0), nil},
		{"a nanosecond too old", time.Minute, 0, fmt.Sprint(base), time.Unix(base+60, 1), ErrExpired},
		{"a year too old", time.Minute, 0, fmt.Sprint(base), time.Unix(base+31_536_000, 0), ErrExpired},
		{"as far ahead as may be", time.Minute, 30 * time.Second, fmt.Sprint(base), time.Unix(base-30, 0), nil},
		{"a nanosecond too far ahead", time.Minute, 30 * time.Second, fmt.Sprint(base), time.Unix(base-30, -1), ErrExpired},
		{"ahead without skew", time.Minute, 0, fmt.Sprint(base), time.Unix(base, -1), ErrExpired},
		{"a long age does not reach ahead", time.Hour, time.Second, fmt.Sprint(base), time.Unix(base-2, 0), ErrExpired},
		{"a long skew does not reach back", time.Second, time.Hour, fmt.Sprint(base), time.Unix(base+2, 0), ErrExpired},
		{"milliseconds, as old as may be", time.Minute, 0, fmt.Sprint(base, "999")[:10] + "999", time.Unix(base+60, 999_000_000), nil},
		{"milliseconds, a nanosecond too old", time.Minute, 0, "1800000000999", time.Unix(base+60, 999_000_001), ErrExpired},
		{"milliseconds, as far ahead as may be", time.Minute, time.Second, "1800000000999", time.Unix(base-1, 999_000_000), nil},
		{"milliseconds, a nanosecond too far ahead", time.Minute, time.Second, "1800000000999", time.Unix(base-1, 998_999_999), ErrExpired},
		{"a clock at the beginning of time", time.Minute, time.Minute, "9999999999", time.Time{}, ErrExpired},
		{"a clock at the end of time", time.Minute, time.Minute, "0000000000", time.Unix(math.MaxInt32*100, 0), ErrExpired},
	} {
		v := timestamped(t, test.maxAge, test.skew, test.now)
		claim := &claim{UserID: []byte("u"), Timestamp: []byte(test.timestamp)}
		sum := key.mac(&v.message, claim)
		claim[Signature] = []byte(inHex.encode(sum[:]))
		if _, err := v.prove(claim, []*Key{key}); !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		// A forger must not learn how old a timestamp may be.
		claim[Signature][0] ^= 1
		if _, err := v.prove(claim, []*Key{key}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, forged: got %v", test.name, err)
		}
	}
}

func TestParseTimestamp(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1800000000":    time.Unix(1800000000, 0),
		"0000000000":    time.Unix(0, 0),
		"9999999999":    time.Unix(9999999999, 0),
		"1800000000123": time.UnixMilli(1800000000123),
		"0000000000000": time.Unix(0, 0),
	} {
		if got, ok := parseTimestamp([]byte(text)); !ok || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "0", "180000000", "18000000000", "180000000000", "18000000001234", "-180000000", "+180000000", " 180000000",
		"18000000.0", "0x18000000", "1_80000000", "１８００", "1800000000\n", strings.Repeat("1", 100),
	} {
		if got, ok := parseTimestamp([]byte(text)); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	const stamped = "{user_id}{timestamp}"
	for _, test := range []struct {
		name, error string
		dialect     Dialect
	}{
		{"no message", "lacks {user_id}", Dialect{}},
		{"no limit", "Limits must have one for user ids", Dialect{Message: "{user_id}", Limits: Limits{Email: 1}}},
		{"another unit", "Unit must be a second or a millisecond", Dialect{Message: "{user_id}", Unit: time.Minute}},
		{"no max_age", "MaxAge must be positive", Dialect{Message: stamped}},
		{"negative max_age", "MaxAge must be positive", Dialect{Message: stamped, MaxAge: -1}},
		{"negative skew", "Skew must not be negative", Dialect{Message: stamped, MaxAge: 1, Skew: -1}},
	} {
		if v, err := test.dialect.Verifier(); v != nil || err == nil || !strings.Contains(err.Error(), test.error) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	// Without a signed timestamp its bounds do not matter.
	if _, err := (Dialect{Message: "{user_id}", Skew: -1}).Reader(); err != nil {
		t.Error(err)
	}
	v := compiled(t, Dialect{Message: stamped, MaxAge: time.Hour})
	if !v.fresh(time.Now().Add(-time.Minute)) {
		t.Error("without another the clock is not the time")
	}
}
