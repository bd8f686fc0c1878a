package ledgers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// What is logged, and what to do about it.
const (
	lossFound = "the ledger that this gateway used before is lost: one-time signatures from before are not accepted, "
	lossWay   = ": put it back in its place and restart, or accept the loss ('caddy chat-identity ledger accept-loss')"

	closedByLoss = lossFound + "requests that name a conversation are unavailable, and visitors are not merged" + lossWay
	openByLoss   = lossFound + "and conversations and visitors that were taken are free to take" + lossWay

	moved = "this configuration names another ledger than before, which knows nothing of what that one recorded: one-time signatures " +
		"could be used again, and conversations and visitors are free to take. If that is not intended, move the file and restart"
)

var errLost = fmt.Errorf("%w: %s", ledger.ErrUnavailable, closedByLoss)

// Loss says that the ledger was lost and what to do about it; "" if it was not, or if an
// operator has accepted that.
func (k *Known) Loss() string {
	s := k.state.Load()
	switch {
	case s == nil || !s.lost:
		return ""
	case k.options.Shared:
		return openByLoss
	}
	return closedByLoss
}

// OnlyFrom says which one-time signatures are accepted after a loss.
func OnlyFrom(from time.Time) string {
	return "One-time signatures that were made before " + from.Format("15:04:05 MST") + " are not accepted"
}

// From returns when the earliest one-time signatures were made that are accepted, zero for all.
func (k *Known) From() time.Time {
	if s := k.state.Load(); s != nil {
		return s.from
	}
	return time.Time{}
}

// report logs a loss when it is found, and repeatedly after that.
func (k *Known) report(loss string, found bool) {
	level := zapcore.WarnLevel
	if found {
		level = zapcore.ErrorLevel
	} else if time.Since(k.reminded) < k.options.Reminder {
		return
	}
	k.reminded = time.Now()
	if from := k.From(); from.After(time.Now()) {
		loss += ". " + OnlyFrom(from)
	}
	fields := []zap.Field{zap.String("place", k.options.Place), zap.String("ledger", k.note.last)}
	if k.note.own != "" {
		fields = append(fields, zap.String("lost", k.note.own))
	}
	k.options.Log.Log(level, loss, fields...)
}

// Watch checks periodically that the ledger is still the same, until ctx ends.
func (k *Known) Watch(ctx context.Context) {
	ticker := time.NewTicker(k.options.Period)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		_ = k.take(ctx, func(ctx context.Context) error {
			_, err := k.identify(ctx)
			if errors.Is(err, ledger.ErrGone) && k.note != nil {
				k.report(err.Error(), false)
			}
			return nil
		})
	}
}

// Acceptance is what became of a loss.
type Acceptance struct {
	Accepted bool   // there was one
	Ledger   string // the id of the ledger that is used from now on
	Lost     string // the id of the lost one, "" if unknown
	// From is when the earliest signatures were made that can be used once, zero for all.
	From time.Time
}

// Accept makes the current ledger this gateway's own. If the ledger disappeared while it
// was in use, Accept creates one.
func (k *Known) Accept(ctx context.Context) (a Acceptance, err error) {
	err = k.take(ctx, func(ctx context.Context) error {
		id, err := k.identify(ctx)
		if err != nil && !errors.Is(err, ledger.ErrGone) { // it may be that of an attempt before the operator's repair
			time.Sleep(retryAfter)
			id, err = k.identify(ctx)
		}
		if errors.Is(err, ledger.ErrGone) {
			if err = k.Ledger.Forget(ctx); err == nil {
				id, err = k.identify(ctx)
			}
		}
		if err != nil {
			return err
		}
		a = Acceptance{Accepted: k.Loss() != "", Ledger: id}
		if a.Accepted {
			a.Lost, a.From = k.note.own, k.From()
			err = k.write(ctx, &note{last: id, own: id})
		}
		return err
	})
	return a, err
}
