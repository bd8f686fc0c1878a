package boltledger

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errPast   = errors.New("a key cannot be held until a time that has passed")
	errBehind = errors.New("the clock stands before what the file has forgotten already, so nobody can tell what is " +
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
	sweep
)

// claims reports whether the operation is a holder's.
func (k kind) claims() bool { return k >= reserve && k <= spend }

// operation is a call on its way through the queues.
type operation struct {
	ctx     context.Context
	kind    kind
	key     ledger.Key
	holder  ledger.Holder
	until   int64 // what a sweep takes for the present
	share   ledger.Share
	signed  time.Time // what is spent
	window  ledger.Window
	answers chan answer // takes one without anybody waiting
}

type answer struct {
	id        string // of the ledger
	entry     ledger.Entry
	err       error
	removed   int  // by a sweep
	undecided bool // it takes the writer
}

// decide says how the call ends, and what is to be changed before it does. The
// error is one of the file; the call's own is in the answer.
func (o *operation) decide(t tables, now int64) (answer, change, error) {
	if (o.kind == reserve || o.kind == keep) && o.until <= now {
		return answer{err: errPast}, change{}, nil
	}
	if o.kind == extend || o.kind == forget {
		return o.decideMemory(t, now)
	}
	r, err := t.get(o.key)
	if err != nil {
		return answer{}, change{}, err
	}
	if r == nil || r.until <= now {
		return o.decideFree(t, r, now)
	}
	a := answer{entry: r.entry()} // of a reserve, spend or held
	mine := r.holder == o.holder
	switch {
	case o.kind == keep && mine && r.until != o.until:
		kept := *r
		kept.until = o.until
		return answer{entry: kept.entry()}, change{old: r, new: &kept}, nil
	case o.kind == release && mine && r.until == o.until:
		return answer{}, change{old: r}, nil
	case o.kind == release:
		return answer{}, change{}, nil
	}
	return a, change{}, nil
}

// decideFree decides about a key that nobody has. The record, if any, has ended.
func (o *operation) decideFree(t tables, ended *record, now int64) (answer, change, error) {
	if o.kind == release {
		return answer{}, change{}, nil
	}
	// A clock that was set back makes old signatures fresh again, of which the
	// file may have forgotten that they were used.
	forgotten, err := t.forgotten()
	if err != nil {
		return answer{}, change{}, err
	}
	if now < forgotten {
		return answer{err: errBehind}, change{}, nil
	}
	switch o.kind {
	case reserve:
	case spend:
		return o.decideSpend(t, ended, now)
	default:
		return answer{}, change{}, nil
	}
	if o.share.Owner != noOwner && t.alive(o.share.Owner, now, o.share.Limit) >= o.share.Limit {
		return answer{err: ledger.ErrShare}, change{}, nil
	}
	r := &record{o.key, o.holder, o.until, o.share.Owner}
	return answer{entry: r.entry()}, change{old: ended, new: r}, nil
}

// decideSpend decides about what nobody is known to have used.
func (o *operation) decideSpend(t tables, ended *record, now int64) (answer, change, error) {
	m, err := t.memory()
	if err != nil {
		return answer{}, change{}, err
	}
	var c change
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
func (o *operation) decideMemory(t tables, now int64) (answer, change, error) {
	m, err := t.memory()
	if err != nil {
		return answer{}, change{}, err
	}
	next, changes := m, true
	if o.kind == forget {
		next.Since = after(now)
	} else {
		next.Memory, changes = m.Extend(o.window, after(now))
	}
	if !changes {
		return answer{id: m.id}, change{}, nil
	}
	// A clock that stands before that would date it too early.
	if forgotten, err := t.forgotten(); err != nil || now < forgotten {
		return answer{err: errBehind}, change{}, err
	}
	return answer{id: m.id}, change{memory: &next}, nil
}

// after is the first second that has not begun yet: everything until now is
// before it.
func after(now int64) time.Time { return time.Unix(now+1, 0) }

// confirms reports whether the answer, which changed nothing, promises the
// caller that something is on the disk.
func (o *operation) confirms(a answer) bool {
	switch o.kind {
	case reserve, keep, spend:
		return a.err == nil && a.entry.Holder == o.holder
	case release, extend, forget:
		return true
	}
	return false
}
