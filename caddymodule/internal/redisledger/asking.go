package redisledger

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// callLimit is how long one command may take, whatever the client allows.
const callLimit = 2 * time.Second

var errForgot = errors.New("the server was flushed, restarted or replaced since it was last looked at: ask again")

// answer is what a script says about a key.
type answer struct {
	status string // held, free, share, counted
	record record // of what is held
}

// run runs a script on the entry. The share's key is given where it has one
// that is on the same server.
func (o *operation) run(s *rueidis.Lua, share string, arguments ...string) (answer, error) {
	keys := []string{o.key}
	if !o.l.cluster {
		keys = append(keys, o.l.markerKey())
		if share != "" {
			keys = append(keys, share)
		}
	}
	reply, err := o.l.ask(o.ctx, s, keys, append([]string{o.on.marker, o.on.runs}, arguments...)...)
	if err != nil {
		return answer{}, err
	}
	parts, err := reply.AsStrSlice()
	if err != nil {
		return answer{}, unavailable(err)
	}
	if len(parts) == 0 {
		return answer{}, unavailable(errRecord)
	}
	a := answer{status: parts[0]}
	switch {
	case a.status == "forgot":
		o.l.lookSoon()
		return answer{}, unavailable(errForgot)
	case len(parts) == 2:
		if a.record, err = parseRecord(parts[1]); err != nil {
			return answer{}, unavailable(err)
		}
	}
	return a, nil
}

// unmoved returns [errForgot] where the marker is not the one that the call went
// by.
func (o *operation) unmoved() error {
	limited, cancel := context.WithTimeout(o.ctx, callLimit)
	defer cancel()
	text, err := o.l.client.Do(limited, o.l.client.B().Get().Key(o.l.markerKey()).Build()).ToString()
	switch {
	case o.ctx.Err() != nil:
		return unavailable(context.Cause(o.ctx))
	case err != nil && !rueidis.IsRedisNil(err):
		return unavailable(o.l.blame(err, o.l.markerKey()))
	case text != o.on.marker:
		return unavailable(errForgot)
	}
	return nil
}

// ask has the server run a script. After an error that is not the server's it
// may have been run all the same.
func (l *Ledger) ask(ctx context.Context, s *rueidis.Lua, keys []string, arguments ...string) (rueidis.RedisMessage, error) {
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	reply, err := s.Exec(limited, l.client, keys, arguments).ToMessage()
	if err == nil {
		return reply, nil
	}
	if ctx.Err() != nil {
		return reply, unavailable(context.Cause(ctx)) // the caller's haste says nothing about the server
	}
	return reply, unavailable(l.blame(err, keys[0]))
}

// giveBack gives a place in a share back. Where that fails, it ends by itself.
func (l *Ledger) giveBack(ctx context.Context, share, place string) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	if err := l.client.Do(limited, l.client.B().Zrem().Key(share).Member(place).Build()).Error(); err != nil {
		_ = l.blame(err, share)
	}
}
