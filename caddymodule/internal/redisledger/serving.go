package redisledger

import (
	"context"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// serving returns what is known of the server once what is used is kept for the
// window there.
func (l *Ledger) serving(ctx context.Context, w ledger.Window) (*standing, error) {
	serves := func(on *standing) bool { return w.MaxAge <= on.memory.MaxAge && w.Skew <= on.memory.Skew }
	if on, err := l.current(ctx); err != nil || serves(on) {
		return on, err
	}
	l.mu.Lock()
	l.window.MaxAge, l.window.Skew = max(l.window.MaxAge, roundUp(w.MaxAge)), max(l.window.Skew, roundUp(w.Skew))
	l.mu.Unlock()
	return l.await(ctx, serves)
}

// roundUp returns whole milliseconds, as the marker has them.
func roundUp(d time.Duration) time.Duration {
	if part := d % time.Millisecond; part > 0 {
		return d - part + time.Millisecond
	}
	return d
}

// wanted is what a look is to bring about.
func (l *Ledger) wanted() (window ledger.Window, orders int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.window, l.orders
}

// await returns what is known of the server once that holds, or why it cannot be
// asked. It has the server looked at until then.
func (l *Ledger) await(ctx context.Context, holds func(*standing) bool) (*standing, error) {
	for {
		l.mu.Lock()
		turned := l.turned
		l.mu.Unlock()
		on, err := l.current(ctx)
		if err != nil || holds(on) {
			return on, err
		}
		l.lookSoon()
		select {
		case <-turned:
		case <-ctx.Done():
			return nil, unavailable(context.Cause(ctx))
		}
	}
}
