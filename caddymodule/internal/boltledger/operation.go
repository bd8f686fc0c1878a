package boltledger

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errPast   = errors.New("a key cannot be held until a time that has passed")
	errBehind = errors.New("the clock is before what the file has forgotten already, so nobody can tell what is " +
		"free: set it right, or, if it was wrong before, move the file away and accept the loss" + acceptance)
)

type kind int

const (
	held kind = iota
	reserve
	keep
	release
	spend
	extend
	forget
)

// claims reports whether the operation is a holder's.
func (k kind) claims() bool { return k >= reserve && k <= spend }

// operation is a call on its way through the queues.
type operation struct {
	ctx     context.Context
	kind    kind
	key     ledger.Key
	holder  ledger.Holder
	until   int64
	share   ledger.Share
	signed  time.Time // what is spent
	window  ledger.Window
	answers chan answer // takes one without anybody waiting
}

type answer struct {
	id    string // of the ledger
	entry ledger.Entry
	err   error
}

// decide says how the call ends, and what is to be changed before it does. The
// error is one of the file; the call's own is in the answer.
func (o *operation) decide(t tables, now int64) (a answer, c change, err error) {
	switch {
	case o.kind == extend, o.kind == forget:
		return o.decideMemory(t, now)
	case (o.kind == reserve || o.kind == keep) && o.until <= now:
		return answer{err: errPast}, c, nil
	}
	r, err := t.get(o.key)
	if err != nil {
		return a, c, err
	}
	if r == nil || r.until <= now {
		return o.decideFree(t, r, now)
	}
	mine := r.holder == o.holder
	if o.kind == release {
		if mine && r.until == o.until {
			c.old = r
		}
		return a, c, nil
	}
	if o.kind == keep && mine && r.until != o.until {
		kept := *r
		kept.until = o.until
		c = change{old: r, new: &kept}
		r = &kept
	}
	return answer{entry: r.entry()}, c, nil
}

// decideFree decides about a key that nobody has. The record, if any, has ended.
func (o *operation) decideFree(t tables, ended *record, now int64) (a answer, c change, err error) {
	if o.kind == release {
		return a, c, nil
	}
	// A clock that was set back makes old signatures fresh again, of which the
	// file may have forgotten that they were used.
	switch forgotten, err := t.forgotten(); {
	case err != nil:
		return a, c, err
	case now < forgotten:
		return answer{err: errBehind}, c, nil
	case o.kind == spend:
		return o.decideSpend(t, ended, now)
	case o.kind != reserve:
		return a, c, nil
	case o.share.Owner != noOwner && t.countLive(o.share.Owner, now, o.share.Limit) >= o.share.Limit:
		return answer{err: ledger.ErrShare}, c, nil
	}
	r := &record{o.key, o.holder, o.until, o.share.Owner}
	return answer{entry: r.entry()}, change{old: ended, new: r}, nil
}

// decideSpend decides about what nobody is known to have used.
func (o *operation) decideSpend(t tables, ended *record, now int64) (a answer, c change, err error) {
	m, err := t.memory()
	if err != nil {
		return a, c, err
	}
	if extended, longer := m.Extend(o.window, after(now)); longer {
		m.Memory, c.memory = extended, &m
	}
	if err := m.Vouch(o.signed, time.Unix(now, 0)); err != nil {
		return answer{err: err}, c, nil
	}
	r := &record{key: o.key, holder: o.holder, until: seconds(m.Until(o.signed))}
	c.old, c.new = ended, r
	return answer{entry: r.entry()}, c, nil
}

// decideMemory decides about what the file says of itself.
func (o *operation) decideMemory(t tables, now int64) (a answer, c change, err error) {
	m, err := t.memory()
	if err != nil {
		return a, c, err
	}
	changes := true
	if o.kind == forget {
		m.Since = after(now)
	} else {
		m.Memory, changes = m.Extend(o.window, after(now))
	}
	if changes {
		// A clock that is before that would date it too early.
		if forgotten, err := t.forgotten(); err != nil || now < forgotten {
			return answer{err: errBehind}, c, err
		}
		c.memory = &m
	}
	return answer{id: m.id}, c, nil
}

// after is the first second that has not begun yet: everything until now is
// before it.
func after(now int64) time.Time { return time.Unix(now+1, 0) }

// confirms reports whether the answer, which changed nothing, promises the
// caller that something is on the disk.
func (o *operation) confirms(a answer) bool {
	return o.kind != held && a.err == nil && (o.kind == release || a.entry.Holder == o.holder)
}
