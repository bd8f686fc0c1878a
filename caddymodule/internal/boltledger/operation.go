package boltledger

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errPast   = errors.New("a key cannot be held until a time in the past")
	errBehind = errors.New("the clock is earlier than entries that the file has dropped, so it is unknown which keys are " +
		"free: correct it, or, if it was wrong before, move the file away and accept the loss" + acceptance)
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

// claims reports whether the operation needs a holder.
func (k kind) claims() bool { return k >= reserve && k <= spend }

// operation is a call.
type operation struct {
	ctx     context.Context
	kind    kind
	key     ledger.Key
	holder  ledger.Holder
	until   int64
	share   ledger.Share
	signed  ledger.Signed // of what is spent
	window  ledger.Window
	answers chan answer // with room for one
}

type answer struct {
	id    string // of the ledger
	entry ledger.Entry
	err   error
}

// decide returns the answer to the call, and the change to be written first. The error is
// about the file; the call's own is in the answer.
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

// decideFree decides about a key that nobody holds. The record, if any, has ended.
func (o *operation) decideFree(t tables, ended *record, now int64) (a answer, c change, err error) {
	if o.kind == release {
		return a, c, nil
	}
	// After the clock was set back, used signatures may be fresh again that the file has
	// dropped.
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

// decideSpend decides about a signature that nobody is known to have used.
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

// decideMemory decides about the file's memory.
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
		// A clock that was set back would date it too early.
		if forgotten, err := t.forgotten(); err != nil || now < forgotten {
			return answer{err: errBehind}, c, err
		}
		c.memory = &m
	}
	return answer{id: m.id}, c, nil
}

// after returns the next second, before which everything until now is.
func after(now int64) time.Time { return time.Unix(now+1, 0) }

// confirms reports whether an answer without a change promises that something is on the
// disk.
func (o *operation) confirms(a answer) bool {
	return o.kind != held && a.err == nil && (o.kind == release || a.entry.Holder == o.holder)
}
