package redisledger

import (
	"context"
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// lookEvery is how often the server is looked at: whether it answers, whether
// it is fit, and whether it remembers.
const lookEvery = 250 * time.Millisecond

// state is what calls go by.
type state struct {
	err      error     // why nothing is asked at present
	standing *standing // of the last look that succeeded; nil before
}

// standing is what a look has found. It does not change.
type standing struct {
	marker    string            // as the server has it
	primaries map[string]string // their run ids by address
	runs      string            // the same, for scripts
	ledger    string            // the ledger's id
	memory    ledger.Memory     // by the callers' clock
	orders    int               // how many orders to forget it has carried out
	clock     int64             // the server's, in milliseconds
	began     time.Time         // when it was asked for, by the steady clock
	trouble   string            // why the marker could not be written, where that was tried
}

// watch looks at the server until the ledger is closed.
func (l *Ledger) watch() {
	defer close(l.gone)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var known *standing
	for first := true; ; first = false {
		known = l.look(known)
		l.mu.Lock()
		close(l.turned)
		l.turned = make(chan struct{})
		l.mu.Unlock()
		if first {
			close(l.looked)
		}
		select {
		case <-ticker.C:
		case <-l.kick:
		case <-l.alive.Done():
			return
		}
	}
}

// lookSoon has the server looked at before the next turn.
func (l *Ledger) lookSoon() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// look looks once, and returns the standing that is known then.
func (l *Ledger) look(known *standing) *standing {
	l.mu.Lock()
	trips, blamed := l.trips, l.blamed
	l.mu.Unlock()
	trouble := l.trouble.Load()
	ctx, cancel := context.WithTimeout(l.alive, callLimit)
	defer cancel()
	found, err := l.inspect(ctx, known, blamed, trouble != nil)
	if l.alive.Err() != nil {
		err = errClosed
	}
	if err != nil {
		var r *refusal
		kind := complaintOf(err).code
		if errors.As(err, &r) {
			kind = r.kind
		}
		err = explain(err)
		l.state.Store(&state{err, known})
		if l.alive.Err() == nil {
			l.say(kind, err)
		}
		return known
	}
	l.mu.Lock()
	again := l.trips != trips // a call has failed meanwhile, perhaps later than this look succeeded
	if again {
		l.state.Store(&state{l.state.Load().err, found})
	} else {
		l.blamed = ""
		l.state.Store(&state{nil, found})
	}
	l.mu.Unlock()
	if trouble != nil && found.trouble == "" {
		l.trouble.CompareAndSwap(trouble, nil)
	}
	if still := l.trouble.Load(); still != nil {
		l.say(still.kind, still.err)
	} else if !again {
		l.recovered()
	}
	return found
}
