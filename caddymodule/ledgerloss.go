package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// What an operator is told, and what he can do. Whose a conversation is, a ledger
// that takes a lost one's place cannot tell. A fleet goes on all the same, as after
// every loss of a Redis.
const (
	lossFound = "the ledger that this gateway used before is lost: one-time signatures from before are refused, "
	lossWay   = ". Put it back in its place and restart, or accept the loss: 'caddy chat-identity ledger accept-loss'"

	ledgerMoved = "this configuration names another ledger than before, which knows nothing of what that one recorded: one-time signatures " +
		"could be used again, and conversations and visitors are free to take. If that is not intended, move the file and restart"

	closedByLoss = lossFound + "and requests that name a conversation, too; visitors are not merged" + lossWay
	openByLoss   = lossFound + "and conversations and visitors that were taken are free to take" + lossWay
)

var errLost = fmt.Errorf("%w: %s", ledger.ErrUnavailable, closedByLoss)

// lossReminder is how often a loss that nobody has accepted is logged.
var lossReminder = 10 * time.Minute

// judge tells an operator of a loss, once it is found and then again and again.
func (k *knownLedger) judge() {
	if k.note.knows(k.note.last) {
		k.lost.Store(false)
		return
	}
	if !k.lost.Swap(true) {
		k.reminded = time.Now()
		k.app.log.Error(k.loss(), k.fields()...)
	} else {
		k.remind(k.loss())
	}
}

// loss says that the ledger was lost, and what to do; "" where it was not.
func (k *knownLedger) loss() string {
	switch {
	case !k.lost.Load():
		return ""
	case k.shared:
		return openByLoss
	}
	return closedByLoss
}

func (k *knownLedger) remind(text string) {
	if time.Since(k.reminded) >= lossReminder {
		k.reminded = time.Now()
		k.app.log.Warn(text, k.fields()...)
	}
}

func (k *knownLedger) fields() []zap.Field {
	fields := []zap.Field{zap.String("place", k.at.place), zap.String("ledger", k.note.last)}
	if k.note.own != "" {
		fields = append(fields, zap.String("lost", k.note.own))
	}
	return fields
}

// watch looks now and then whether it still is the ledger it was.
func (k *knownLedger) watch(ctx context.Context) {
	for sleep(ctx, ledgerPeriod) {
		_ = k.take(ctx, func(ctx context.Context) error {
			_, err := k.identify(ctx)
			if errors.Is(err, ledger.ErrGone) && k.note != nil {
				k.remind(err.Error())
			}
			return nil
		})
	}
}

// accept has the ledger that is there be the one of this gateway. Where it went
// while it was in use, one is created.
func (k *knownLedger) accept(ctx context.Context) (a adminapi.Acceptance, err error) {
	err = k.take(ctx, func(ctx context.Context) error {
		id, err := k.identify(ctx)
		if errors.Is(err, ledger.ErrGone) {
			if err = k.ledger.Forget(ctx); err == nil {
				id, err = k.identify(ctx)
			}
		}
		if err != nil {
			return err
		}
		a.Ledger = id
		if !k.lost.Load() {
			return nil
		}
		a.Lost = k.note.own
		if err := k.write(ctx, &ledgerNote{id, id}); err != nil {
			return err
		}
		a.Accepted = true
		k.judge()
		return nil
	})
	return a, err
}
