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
	plainSize  = digestSize + 8
	sharedSize = plainSize + digestSize

	// longest bounds how long an entry is kept, in milliseconds: a thousand years, which
	// Redis can add to its time.
	longest = 1000 * 365 * 24 * 3600 * 1000
)

var (
	errRecord = errors.New("the value of an entry's key is not an entry: something else writes under this prefix")
	noOwner   ledger.Key
)

// record is an entry in Redis: holder, until, and the share's owner if any.
type record struct {
	holder ledger.Holder
	until  int64 // Unix time, in seconds, by the writer's clock
	owner  ledger.Key
}

func (r *record) entry() ledger.Entry {
	return ledger.Entry{Holder: r.holder, Until: time.Unix(r.until, 0).UTC()}
}

func (r *record) value() string { return string(r.holder[:]) + instant(r.until) + r.share() }

// share returns the end of the value: the share's owner, or nothing.
func (r *record) share() string {
	if r.owner == noOwner {
		return ""
	}
	return string(r.owner[:])
}

func parseRecord(v string) (r record, err error) {
	if len(v) != plainSize && len(v) != sharedSize {
		return r, errRecord
	}
	copy(r.holder[:], v)
	r.until = int64(binary.BigEndian.Uint64([]byte(v[digestSize:plainSize])))
	copy(r.owner[:], v[plainSize:])
	return r, nil
}

func instant(until int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(until)))
}

// markerKey and the other keys share a hash tag, by which a cluster chooses the slot.
func (l *Ledger) markerKey() string { return l.prefix }

func (l *Ledger) entryKey(k ledger.Key) string {
	return l.prefix + ":" + base64.RawURLEncoding.EncodeToString(k[:])
}

// shareKey returns the key of the owner's share, "" without an owner.
func (l *Ledger) shareKey(owner ledger.Key) string {
	if owner == noOwner {
		return ""
	}
	return l.prefix + "s:" + base64.RawURLEncoding.EncodeToString(owner[:])
}

// wholeSeconds returns the Unix time rounded up, so that nothing ends early.
func wholeSeconds(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// lasting returns the end in whole seconds, and how many milliseconds are left until then.
func (l *Ledger) lasting(until time.Time) (seconds, milliseconds int64, err error) {
	seconds = wholeSeconds(until)
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
