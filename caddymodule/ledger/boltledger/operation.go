package boltledger

import (
	"context"
	"errors"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errPast   = errors.New("a key cannot be held until a time that has passed")
	errBehind = errors.New("the clock stands before what the file has forgotten already, so nobody can tell what is " +
		"free: set it right, or, if it was wrong before, move the file away to begin anew, which forgets: " + forgetting)
)

type kind int

const (
	held kind = iota
	reserve
	keep
	release
	sweep
)

// operation is a call on its way through the queues.
type operation struct {
	ctx     context.Context
	kind    kind
	key     ledger.Key
	holder  ledger.Holder
	until   int64 // what a sweep takes for the present
	share   ledger.Share
	answers chan answer // takes one without anybody waiting
}

type answer struct {
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
	r, err := t.get(o.key)
	if err != nil {
		return answer{}, change{}, err
	}
	if r == nil || r.until <= now {
		return o.decideFree(t, r, now)
	}
	a := answer{entry: r.entry()}
	mine := r.holder == o.holder
	switch {
	case o.kind == keep && mine && r.until != o.until:
		kept := *r
		kept.until = o.until
		return answer{entry: kept.entry()}, change{r, &kept}, nil
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
	if o.kind != reserve {
		return answer{}, change{}, nil
	}
	if o.share.Owner != noOwner && t.alive(o.share.Owner, now, o.share.Most) >= o.share.Most {
		return answer{err: ledger.ErrShare}, change{}, nil
	}
	r := &record{o.key, o.holder, o.until, o.share.Owner}
	return answer{entry: r.entry()}, change{ended, r}, nil
}

// confirms reports whether the answer, which changed nothing, promises the
// caller that something is on the disk.
func (o *operation) confirms(a answer) bool {
	switch o.kind {
	case reserve, keep:
		return a.err == nil && a.entry.Holder == o.holder
	case release:
		return true
	}
	return false
}
