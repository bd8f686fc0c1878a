package redisledger

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var errMoving = errors.New("the entry changes all the time: ask again")

// operation is a call on a key.
type operation struct {
	l   *Ledger
	ctx context.Context
	on  *standing
	key string
}

// begin begins a call. Its end is the caller's to tell.
func (l *Ledger) begin(ctx context.Context, key ledger.Key) (*operation, error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	on, err := l.current(ctx)
	if err != nil {
		l.calls.Done()
		return nil, err
	}
	return &operation{l, ctx, on, l.entryKey(key)}, nil
}

func (o *operation) done() { o.l.calls.Done() }

// Reserve implements [ledger.Ledger]. Without a cluster it is one round trip.
// In a cluster a share takes two more, for a key that nobody holds.
func (l *Ledger) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	if holder == (ledger.Holder{}) {
		return ledger.Entry{}, unavailable(errNobody)
	}
	seconds, ttl, err := l.lasting(until)
	if err != nil {
		return ledger.Entry{}, unavailable(err)
	}
	o, err := l.begin(ctx, key)
	if err != nil {
		return ledger.Entry{}, err
	}
	defer o.done()
	r := &record{holder: holder, until: seconds, owner: share.Owner}
	if share.Owner == noOwner {
		return o.reserve(r, ttl, "", 0)
	}
	_, _ = rand.Read(r.place[:])
	if !l.cluster {
		return o.reserve(r, ttl, l.shareKey(share.Owner), share.Most)
	}
	return o.reserveSpread(r, ttl, share)
}

func (o *operation) reserve(r *record, ttl int64, share string, most int) (ledger.Entry, error) {
	a, err := o.run(lua().reserve, share, r.value(), strconv.FormatInt(ttl, 10), string(r.place[:]), strconv.Itoa(most))
	if err != nil {
		return ledger.Entry{}, err
	}
	if a.status == "share" {
		return ledger.Entry{}, ledger.ErrShare
	}
	return a.record.entry(), nil
}

// reserveSpread reserves a key whose share is on another node. The place is
// taken first: if this process ends in between, the owner has less than his
// share for a while, and never more.
func (o *operation) reserveSpread(r *record, ttl int64, share ledger.Share) (ledger.Entry, error) {
	a, err := o.run(lua().held, "")
	if err != nil || a.status == "held" {
		return a.record.entry(), err
	}
	name, place := o.l.shareKey(share.Owner), string(r.place[:])
	taken, err := o.l.ask(o.ctx, lua().take, []string{name}, place, strconv.FormatInt(ttl, 10), strconv.Itoa(share.Most))
	if err != nil {
		return ledger.Entry{}, err
	}
	if n, err := taken.AsInt64(); err != nil {
		return ledger.Entry{}, unavailable(err)
	} else if n == 0 {
		return ledger.Entry{}, ledger.ErrShare
	}
	a, err = o.run(lua().reserve, "", r.value(), strconv.FormatInt(ttl, 10))
	if err != nil {
		return ledger.Entry{}, err // it may have been written, so the place stays
	}
	if a.record != *r {
		o.l.giveBack(o.ctx, name, place)
	}
	return a.record.entry(), nil
}

// Keep implements [ledger.Ledger]. In a cluster, an entry that is made shorter
// keeps its place in its share for as long as it had it.
func (l *Ledger) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	if holder == (ledger.Holder{}) {
		return ledger.Entry{}, unavailable(errNobody)
	}
	seconds, ttl, err := l.lasting(until)
	if err != nil {
		return ledger.Entry{}, unavailable(err)
	}
	o, err := l.begin(ctx, key)
	if err != nil {
		return ledger.Entry{}, err
	}
	defer o.done()
	length := strconv.FormatInt(ttl, 10)
	return o.counted(func(name, membership, place string) (answer, error) {
		if l.cluster && name != "" {
			if _, err := l.ask(ctx, lua().extend, []string{name}, place, length); err != nil {
				return answer{}, err
			}
			name = ""
		}
		return o.run(lua().keep, name, string(holder[:]), instant(seconds), length, membership)
	})
}

// Release implements [ledger.Ledger].
func (l *Ledger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	if holder == (ledger.Holder{}) {
		return unavailable(errNobody)
	}
	o, err := l.begin(ctx, key)
	if err != nil {
		return err
	}
	defer o.done()
	seconds := until.Unix()
	if until.Nanosecond() > 0 {
		seconds++
	}
	_, err = o.counted(func(name, membership, _ string) (answer, error) {
		if l.cluster {
			name = ""
		}
		return o.run(lua().release, name, string(holder[:]), instant(seconds), "", membership)
	})
	return err
}

// Held implements [ledger.Ledger].
func (l *Ledger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	o, err := l.begin(ctx, key)
	if err != nil {
		return ledger.Entry{}, err
	}
	defer o.done()
	a, err := o.run(lua().held, "")
	if err != nil || a.status == "free" {
		return ledger.Entry{}, err
	}
	return a.record.entry(), nil
}

// counted makes a call that may find the entry to be part of a share, and makes
// it again with the share's name then.
func (o *operation) counted(call func(name, membership, place string) (answer, error)) (ledger.Entry, error) {
	var name, membership, place string
	for range 4 {
		a, err := call(name, membership, place)
		if err != nil {
			return ledger.Entry{}, err
		}
		if a.status != "counted" {
			// Without a cluster the script has done it.
			if o.l.cluster && name != "" && string(a.record.place[:]) != place {
				o.l.giveBack(o.ctx, name, place)
			}
			if a.status == "free" {
				return ledger.Entry{}, nil
			}
			return a.record.entry(), nil
		}
		name, membership, place = o.l.shareKey(a.record.owner), a.record.value()[plainSize:], string(a.record.place[:])
	}
	return ledger.Entry{}, unavailable(errMoving)
}
