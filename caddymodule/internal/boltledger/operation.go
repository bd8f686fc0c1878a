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
	changed bool        // what is in the file
	answers chan answer // with room for one
}

type answer struct {
	id    string // of the ledger
	entry ledger.Entry
	err   error
}

// decide answers the call, after making the changes that the answer promises. The error is
// about the file, or [bolterrors.ErrTxNotWritable] if a change is needed; the call's own is in
// the answer.
func (o *operation) decide(t tables, now int64) (a answer, err error) {
	switch {
	case o.kind == extend, o.kind == forget:
		return o.decideMemory(t, now)
	case (o.kind == reserve || o.kind == keep) && o.until <= now:
		return answer{err: errPast}, nil
	}
	r, err := t.get(o.key)
	switch {
	case err != nil:
		return a, err
	case r == nil || r.until <= now:
		return o.decideFree(t, r, now)
	case o.kind == release:
		if r.holder == o.holder && r.until == o.until {
			err = o.change(t.replace(r, nil))
		}
		return a, err
	case o.kind == keep && r.holder == o.holder && r.until != o.until:
		kept := *r
		kept.until = o.until
		err = o.change(t.replace(r, &kept))
		r = &kept
	}
	return answer{entry: r.entry()}, err
}

// decideFree decides about a key that nobody holds. The record, if any, has ended.
func (o *operation) decideFree(t tables, ended *record, now int64) (a answer, err error) {
	if o.kind == release {
		return a, nil
	}
	// After the clock was set back, used signatures may be fresh again that the file has
	// dropped.
	if forgotten, err := t.forgotten(); err != nil || now < forgotten {
		return answer{err: errBehind}, err
	}
	r := &record{o.key, o.holder, o.until, o.share.Owner}
	switch o.kind {
	case spend:
		m, err := t.memory()
		if err != nil {
			return a, err
		}
		if extended, longer := m.Extend(o.window, after(now)); longer {
			m.Memory = extended
			if err := o.change(t.remember(&m)); err != nil {
				return a, err
			}
		}
		if err := m.Vouch(o.signed, time.Unix(now, 0)); err != nil {
			return answer{err: err}, nil
		}
		r.until = seconds(m.Until(o.signed))
	case reserve:
		if r.owner != noOwner && t.countLive(r.owner, now, o.share.Limit) >= o.share.Limit {
			return answer{err: ledger.ErrShare}, nil
		}
	default:
		return a, nil
	}
	return answer{entry: r.entry()}, o.change(t.replace(ended, r))
}

// decideMemory decides about the file's memory.
func (o *operation) decideMemory(t tables, now int64) (a answer, err error) {
	m, err := t.memory()
	if err != nil {
		return a, err
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
			return answer{err: errBehind}, err
		}
		err = o.change(t.remember(&m))
	}
	return answer{id: m.id}, err
}

// change notes that a change was made.
func (o *operation) change(err error) error {
	o.changed = o.changed || err == nil
	return err
}

// after returns the next second, before which everything until now is.
func after(now int64) time.Time { return time.Unix(now+1, 0) }

// confirms reports whether an answer without a change promises that something is on the
// disk.
func (o *operation) confirms(a answer) bool {
	return o.kind != held && a.err == nil && (o.kind == release || a.entry.Holder == o.holder)
}
