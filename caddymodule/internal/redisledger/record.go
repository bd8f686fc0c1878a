package redisledger

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const (
	digestSize = 32
	untilSize  = 8
	placeSize  = 16
	plainSize  = digestSize + untilSize
	sharedSize = plainSize + digestSize + placeSize

	// longest is how long an entry is kept at most, in milliseconds: a thousand
	// years, which Redis can add to the present.
	longest = 1000 * 365 * 24 * 3600 * 1000
)

var (
	errRecord = errors.New("what is held under an entry's key is no entry: something else writes under this prefix")
	noOwner   ledger.Key
)

// record is an entry as Redis has it: holder, until, and of a share its owner
// and the entry's place in it. A place is random and never used again, so that
// giving one back cannot take another's.
type record struct {
	holder ledger.Holder
	until  int64 // Unix time, in seconds, as the holder said
	owner  ledger.Key
	place  [placeSize]byte
}

func (r *record) entry() ledger.Entry {
	return ledger.Entry{Holder: r.holder, Until: time.Unix(r.until, 0).UTC()}
}

func (r *record) value() string {
	v := make([]byte, 0, sharedSize)
	v = append(v, r.holder[:]...)
	v = append(v, instant(r.until)...)
	if r.owner != noOwner {
		v = append(v, r.owner[:]...)
		v = append(v, r.place[:]...)
	}
	return string(v)
}

func parseRecord(v string) (r record, err error) {
	if len(v) != plainSize && len(v) != sharedSize {
		return r, errRecord
	}
	copy(r.holder[:], v)
	r.until = int64(binary.BigEndian.Uint64([]byte(v[digestSize:plainSize])))
	if len(v) == sharedSize {
		copy(r.owner[:], v[plainSize:])
		copy(r.place[:], v[plainSize+digestSize:])
	}
	return r, nil
}

func instant(until int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(until)))
}

// markerKey and the others are what [Ledger.prefix] is followed by. One pattern
// of an access list covers each.
func (l *Ledger) markerKey() string { return l.prefix + "l" }

func (l *Ledger) entryKey(k ledger.Key) string {
	return l.prefix + "l:" + base64.RawURLEncoding.EncodeToString(k[:])
}

func (l *Ledger) shareKey(owner ledger.Key) string {
	return l.prefix + "ls:" + base64.RawURLEncoding.EncodeToString(owner[:])
}

// lasting returns the end, rounded up to seconds so that nothing ends before
// its time, and how many milliseconds that is away.
func (l *Ledger) lasting(until time.Time) (seconds, milliseconds int64, err error) {
	seconds = until.Unix()
	if until.Nanosecond() > 0 {
		seconds++
	}
	now := l.now()
	if seconds <= max(now.Unix(), 0) {
		return 0, 0, errPast
	}
	// In seconds first: the difference of far years in milliseconds overflows.
	if seconds-now.Unix() > longest/1000 {
		return seconds, longest, nil
	}
	return seconds, seconds*1000 - now.UnixMilli(), nil
}
