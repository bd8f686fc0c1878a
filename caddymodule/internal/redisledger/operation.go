package redisledger

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errForgot = errors.New("the server was flushed, restarted or replaced since the last look: try again")
	errMoving = errors.New("the entry keeps changing: try again")
)

// operation is a call on a key.
type operation struct {
	l      *Ledger
	ctx    context.Context
	server *serverState
	key    string
}

// answer is a script's answer.
type answer struct {
	status string // held, free, share, counted
	record record // of what is held
}

// entry returns who holds the key, if anybody.
func (a answer) entry() ledger.Entry {
	if a.status != "held" {
		return ledger.Entry{}
	}
	return a.record.entry()
}

// call makes a call on a key. A script that finds another marker than the last look did
// changes nothing, and the call is repeated after the next look.
func (l *Ledger) call(ctx context.Context, key ledger.Key, do func(o *operation) (ledger.Entry, error)) (e ledger.Entry, err error) {
	if err := l.enter(); err != nil {
		return e, err
	}
	defer l.calls.Done()
	o := &operation{l: l, ctx: ctx, key: l.entryKey(key)}
	o.server, err = l.current(ctx)
	for tries := 0; err == nil; tries++ {
		if e, err = do(o); tries == 2 || !errors.Is(err, errForgot) {
			break
		}
		before := o.server
		o.server, err = l.await(ctx, func(server *serverState) bool { return server != before })
	}
	switch {
	case errors.Is(err, ledger.ErrShare), errors.Is(err, ledger.ErrTooOld):
		return ledger.Entry{}, err
	case err != nil:
		return ledger.Entry{}, unavailable(err)
	}
	return e, nil
}

// claim makes a call on a key for a holder.
func (l *Ledger) claim(ctx context.Context, key ledger.Key, holder ledger.Holder, do func(o *operation) (ledger.Entry, error)) (ledger.Entry, error) {
	if holder == (ledger.Holder{}) {
		return ledger.Entry{}, unavailable(errNobody)
	}
	return l.call(ctx, key, do)
}

// run runs a script on the entry, and on the share if one is named. Unless an error is the
// server's answer, the script may have run.
func (o *operation) run(script *luaScript, share string, arguments ...string) (a answer, err error) {
	ctx, cancel := context.WithTimeout(o.ctx, callLimit)
	defer cancel()
	keys := []string{o.key, o.l.markerKey()}
	if share != "" {
		keys = append(keys, share)
	}
	client, err := o.l.link.Client(ctx)
	if err != nil {
		return a, redislink.Explain(err)
	}
	parts, err := script.Exec(ctx, client, keys, append([]string{o.server.marker}, arguments...)).AsStrSlice()
	switch {
	case err != nil && o.ctx.Err() != nil:
		return a, redislink.Explain(context.Cause(o.ctx)) // this says nothing about the server
	case err != nil:
		return a, o.l.noteFailure(err, script.text)
	case len(parts) == 0:
		return a, errRecord
	case parts[0] == "forgot":
		return a, errForgot
	case len(parts) == 2:
		a.record, err = parseRecord(parts[1])
	}
	a.status = parts[0]
	return a, err
}

// runCounted runs a script, and again with the share's key if the entry turns out to be part
// of a share.
func (o *operation) runCounted(script *luaScript, holder ledger.Holder, until int64, length string) (ledger.Entry, error) {
	var known record
	for range 4 {
		a, err := o.run(script, o.l.shareKey(known.owner), string(holder[:]), instant(until), known.share(), length)
		if err != nil || a.status != "counted" {
			return a.entry(), err
		}
		known = a.record
	}
	return ledger.Entry{}, errMoving
}

// Spend implements [ledger.Ledger]. The script checks that the marker by which it decides is
// the server's.
func (l *Ledger) Spend(ctx context.Context, key ledger.Key, holder ledger.Holder, signed ledger.Signed, window ledger.Window) (ledger.Entry, error) {
	return l.claim(ctx, key, holder, func(o *operation) (e ledger.Entry, err error) {
		if o.server, err = l.serving(ctx, window); err != nil {
			return e, err
		}
		if doubt := o.server.memory.Vouch(signed, l.now()); doubt != nil {
			a, err := o.run(lua().held, "")
			if err == nil && a.status != "held" {
				err = doubt
			}
			return a.entry(), err
		}
		seconds, ttl, err := l.lasting(o.server.memory.Until(signed))
		if err != nil {
			return e, err
		}
		r := &record{holder: holder, until: seconds}
		a, err := o.run(lua().spend, "", r.value(), strconv.FormatInt(ttl, 10))
		if err == nil && a.record.holder == holder {
			// It was free when the server came to it, which may be later than the
			// clock was looked at: another's entry may have ended in between.
			err = o.server.memory.Vouch(signed, l.now())
		}
		return a.entry(), err
	})
}

// Reserve implements [ledger.Ledger].
func (l *Ledger) Reserve(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	return l.claim(ctx, key, holder, func(o *operation) (e ledger.Entry, err error) {
		seconds, ttl, err := l.lasting(until)
		if err != nil {
			return e, err
		}
		r := &record{holder: holder, until: seconds, owner: share.Owner}
		a, err := o.run(lua().reserve, l.shareKey(share.Owner), r.value(), strconv.FormatInt(ttl, 10), strconv.Itoa(share.Limit))
		if a.status == "share" {
			err = ledger.ErrShare
		}
		return a.entry(), err
	})
}

// Keep implements [ledger.Ledger].
func (l *Ledger) Keep(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) (ledger.Entry, error) {
	return l.claim(ctx, key, holder, func(o *operation) (ledger.Entry, error) {
		seconds, ttl, err := l.lasting(until)
		if err != nil {
			return ledger.Entry{}, err
		}
		return o.runCounted(lua().keep, holder, seconds, strconv.FormatInt(ttl, 10))
	})
}

// Release implements [ledger.Ledger].
func (l *Ledger) Release(ctx context.Context, key ledger.Key, holder ledger.Holder, until time.Time) error {
	_, err := l.claim(ctx, key, holder, func(o *operation) (ledger.Entry, error) {
		return o.runCounted(lua().release, holder, wholeSeconds(until), "")
	})
	return err
}

// Held implements [ledger.Ledger].
func (l *Ledger) Held(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	return l.call(ctx, key, func(o *operation) (ledger.Entry, error) {
		a, err := o.run(lua().held, "")
		return a.entry(), err
	})
}
