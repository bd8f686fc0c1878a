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

// call makes a call on a key. A script that finds another marker than at the last
// look has changed nothing, and the call is made again after the next one.
func (l *Ledger) call(ctx context.Context, key ledger.Key, do func(o *operation) (ledger.Entry, error)) (ledger.Entry, error) {
	if err := l.enter(); err != nil {
		return ledger.Entry{}, err
	}
	defer l.calls.Done()
	o := &operation{l: l, ctx: ctx, key: l.entryKey(key)}
	var err error
	o.on, err = l.current(ctx)
	for tries := 0; err == nil; tries++ {
		var e ledger.Entry
		if e, err = do(o); tries == 2 || !errors.Is(err, errForgot) {
			return e, err
		}
		before := o.on
		o.on, err = l.await(ctx, func(on *standing) bool { return on != before })
	}
	return ledger.Entry{}, err
}

// Spend implements [ledger.Ledger]. Without a cluster it is one round trip.
func (l *Ledger) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed time.Time, window ledger.Window) (ledger.Entry, error) {
	if holder == (ledger.Holder{}) {
		return ledger.Entry{}, unavailable(errNobody)
	}
	return l.call(ctx, key, func(o *operation) (ledger.Entry, error) {
		var err error
		if o.on, err = l.serving(ctx, window); err != nil {
			return ledger.Entry{}, err
		}
		return o.spend(holder, signed)
	})
}

// spend goes by one marker, which the script finds to be the server's. In a
// cluster a script cannot, so that is looked at behind it.
func (o *operation) spend(holder ledger.Holder, signed time.Time) (ledger.Entry, error) {
	if err := o.on.memory.Vouch(signed, o.l.now()); err != nil {
		a, failed := o.run(lua().held, "")
		switch {
		case failed != nil:
			return ledger.Entry{}, failed
		case a.status == "held":
			return a.record.entry(), nil
		case errors.Is(err, ledger.ErrUnavailable):
			return ledger.Entry{}, unavailable(err)
		}
		return ledger.Entry{}, err
	}
	seconds, ttl, err := o.l.lasting(o.on.memory.Until(signed))
	if err != nil {
		return ledger.Entry{}, unavailable(err)
	}
	r := &record{holder: holder, until: seconds}
	a, err := o.run(lua().spend, "", r.value(), strconv.FormatInt(ttl, 10))
	if err == nil && o.l.cluster && a.record == *r {
		err = o.unmoved()
	}
	if err != nil {
		return ledger.Entry{}, err
	}
	return a.record.entry(), nil
}

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
	r := &record{holder: holder, until: seconds, owner: share.Owner}
	if share.Owner != noOwner {
		_, _ = rand.Read(r.place[:])
	}
	return l.call(ctx, key, func(o *operation) (ledger.Entry, error) {
		switch {
		case share.Owner == noOwner:
			return o.reserve(r, ttl, "", 0)
		case !l.cluster:
			return o.reserve(r, ttl, l.shareKey(share.Owner), share.Limit)
		}
		return o.reserveSpread(r, ttl, share)
	})
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
	taken, err := o.l.ask(o.ctx, lua().take, []string{name}, place, strconv.FormatInt(ttl, 10), strconv.Itoa(share.Limit))
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
	length := strconv.FormatInt(ttl, 10)
	return l.call(ctx, key, func(o *operation) (ledger.Entry, error) {
		return o.counted(func(name, membership, place string) (answer, error) {
			if l.cluster && name != "" {
				if _, err := l.ask(ctx, lua().extend, []string{name}, place, length); err != nil {
					return answer{}, err
				}
				name = ""
			}
			return o.run(lua().keep, name, string(holder[:]), instant(seconds), length, membership)
		})
	})
}

// Release implements [ledger.Ledger].
func (l *Ledger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	if holder == (ledger.Holder{}) {
		return unavailable(errNobody)
	}
	seconds := until.Unix()
	if until.Nanosecond() > 0 {
		seconds++
	}
	_, err := l.call(ctx, key, func(o *operation) (ledger.Entry, error) {
		return o.counted(func(name, membership, _ string) (answer, error) {
			if l.cluster {
				name = ""
			}
			return o.run(lua().release, name, string(holder[:]), instant(seconds), "", membership)
		})
	})
	return err
}

// Held implements [ledger.Ledger].
func (l *Ledger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	return l.call(ctx, key, func(o *operation) (ledger.Entry, error) {
		a, err := o.run(lua().held, "")
		if err != nil || a.status == "free" {
			return ledger.Entry{}, err
		}
		return a.record.entry(), nil
	})
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
