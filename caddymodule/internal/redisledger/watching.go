package redisledger

import (
	"context"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const (
	// lookEvery is how often the server is checked: whether it answers, may be used, and
	// still has its data.
	lookEvery = 250 * time.Millisecond
	// callLimit bounds one command, whatever the client allows.
	callLimit = 2 * time.Second
)

// state is the result of the looks so far.
type state struct {
	err    error        // why Redis is currently not asked
	server *serverState // from the last look that succeeded; nil before
}

// serverState is the result of a look. It is immutable.
type serverState struct {
	marker string        // as the server has it
	ledger string        // the ledger's id
	memory ledger.Memory // by the callers' clock
	orders int           // how many calls of Forget it includes
	clock  time.Time     // the server's
	began  time.Time     // when the look began, by the monotonic clock
}

// look checks the server once, for all who wait.
func (l *Ledger) look() (any, error) {
	var known *serverState
	if s := l.state.Load(); s != nil {
		known = s.server
	}
	refused := l.refused.Load()
	ctx, cancel := context.WithTimeout(l.alive, callLimit)
	defer cancel()
	found, writable, err := l.syncMarker(ctx, known, refused != nil)
	switch {
	case l.alive.Err() != nil:
		l.state.Store(&state{errClosed, known})
	case err != nil:
		fault := redislink.Explain(err, marking)
		l.state.Store(&state{fault, known})
		l.alarm.Raise(fault.Code, fault)
	default:
		l.state.Store(&state{nil, found})
		if refused != nil && writable {
			l.refused.CompareAndSwap(refused, nil)
		}
		if l.refused.Load() == nil {
			l.alarm.Clear()
		}
	}
	return nil, nil
}

// noteFailure notes a call's error and returns it with what to do. If Redis is away, calls
// fail at once until a look has succeeded, so that they do not queue up behind timeouts.
func (l *Ledger) noteFailure(err error, script string) error {
	fault := redislink.Explain(err, script)
	err = fault
	if !fault.Away {
		l.refused.Store(&err)
	} else if s := l.state.Load(); s != nil {
		l.state.CompareAndSwap(s, &state{fault, s.server}) // otherwise a look has just ended, which knows better
	}
	l.alarm.Raise(fault.Code, fault)
	return fault
}

// await repeats looks until holds is true for the server's state, and returns that, or why
// Redis is unavailable.
func (l *Ledger) await(ctx context.Context, holds func(*serverState) bool) (*serverState, error) {
	for {
		s := l.state.Load()
		switch {
		case s != nil && s.err != nil:
			return nil, unavailable(s.err)
		case s != nil && holds(s.server):
			return s.server, nil
		}
		select {
		case <-l.looks.DoChan("", l.look):
		case <-ctx.Done():
			return nil, unavailable(redislink.Explain(context.Cause(ctx)))
		}
	}
}

// current returns the server's state.
func (l *Ledger) current(ctx context.Context) (*serverState, error) {
	return l.await(ctx, func(*serverState) bool { return true })
}

// serving returns the server's state once it keeps used signatures for the window.
func (l *Ledger) serving(ctx context.Context, w ledger.Window) (*serverState, error) {
	serves := func(server *serverState) bool {
		return w.MaxAge <= server.memory.MaxAge && w.Skew <= server.memory.Skew
	}
	if server, err := l.current(ctx); err != nil || serves(server) {
		return server, err
	}
	l.widen(ledger.Window{MaxAge: roundUp(w.MaxAge), Skew: roundUp(w.Skew)})
	return l.await(ctx, serves)
}

// widen has the next marker keep used signatures for that window, too.
func (l *Ledger) widen(w ledger.Window) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.window = ledger.Window{MaxAge: max(l.window.MaxAge, w.MaxAge), Skew: max(l.window.Skew, w.Skew)}
}

// roundUp rounds up to the marker's milliseconds.
func roundUp(d time.Duration) time.Duration {
	if part := d % time.Millisecond; part > 0 {
		return d - part + time.Millisecond
	}
	return d
}
