package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// signingReread is the pause between two looks at the stored signing keys.
	signingReread = time.Second
	// signingTimeout is how long one look may take.
	signingTimeout = 10 * time.Second
)

// signingKeys are the gateway's own keys as they were last read. They outlive a
// configuration, so that a reload while the store is away goes on signing.
type signingKeys struct {
	known atomic.Pointer[knownKeys]    // nil before the first
	fault atomic.Pointer[signingFault] // why they could not be read last, nil if they could
	// needed says that something needs them, which creates the first. To ask about the
	// gateway's health does not.
	needed atomic.Bool

	changing sync.Mutex // held while they are read or changed
}

type signingFault struct {
	err  error
	at   time.Time // when that was last tried
	away bool      // the store was unavailable, too
}

type knownKeys struct {
	version  string // of the record
	lifetime caddy.Duration
	keys     *assertion.Keys
}

func newSigningKeys() (*signingKeys, error) { return new(signingKeys), nil }

// fresh returns the known keys if they are those of the record, which can still be decrypted,
// for this lifetime of assertions.
func (a *App) fresh(record *widgets.Record) *assertion.Keys {
	known := a.signing.known.Load()
	if record != nil && known != nil && known.version == record.Secrets[0].Version && known.lifetime == a.Assertion.Lifetime &&
		a.ring.Load().Has(record.Secrets[0].KeyID) {
		return known.keys
	}
	return nil
}

// last returns the keys that were last read, nil for none.
func (s *signingKeys) last() *assertion.Keys {
	if known := s.known.Load(); known != nil {
		return known.keys
	}
	return nil
}

// fail notes why the keys cannot be used, and reports whether they could before. The caller
// holds changing.
func (s *signingKeys) fail(err error, away bool) bool {
	return s.fault.Swap(&signingFault{err, time.Now(), away}) == nil
}

// mend notes that the keys are those of the store.
func (s *signingKeys) mend(log *zap.Logger) {
	if s.fault.Load() != nil && s.fault.Swap(nil) != nil {
		log.Info("the keys that sign assertions can be read again")
	}
}

// signer returns the key that signs. Known keys do so without asking the store, which may
// take seconds to be found hanging: [App.watchSigningKeys] learns of a rotation long before
// its key signs.
func (a *App) signer(ctx context.Context) (*assertion.Key, error) {
	if key := a.signing.last().Signer(time.Now()); key != nil {
		return key, nil
	}
	keys, err := a.signingKeys(ctx)
	return keys.Signer(time.Now()), err
}

// signingKeys returns the gateway's own keys for what needs them: it creates the first if
// there are none.
func (a *App) signingKeys(ctx context.Context) (*assertion.Keys, error) {
	a.signing.needed.Store(true)
	return a.currentSigningKeys(ctx)
}

// watchSigningKeys keeps the known keys those of the store. It also goes on trying for the
// requests that were refused: a gateway whose health is down may get no others.
func (a *App) watchSigningKeys(ctx context.Context) {
	for waited := true; waited; waited = sleep(ctx, signingReread) {
		_, _ = a.currentSigningKeys(ctx)
	}
}

// currentSigningKeys returns the keys of the store, nil if there are none and none are
// needed. Keys that were known are used for as long as the store cannot say what they are now.
func (a *App) currentSigningKeys(ctx context.Context) (*assertion.Keys, error) {
	s := a.signing
	record, err := a.store.Lookup(ctx, signingKeysID)
	if keys := a.fresh(record); keys != nil && err == nil {
		s.mend(a.log)
		return keys, nil
	}
	last := s.last()
	if last == nil {
		s.changing.Lock()
	} else if !s.changing.TryLock() {
		return last, nil
	}
	defer s.changing.Unlock()
	if fault := s.fault.Load(); fault != nil && time.Since(fault.at) < signingReread {
		return last, unless(last, fault.err)
	}
	// A client that goes away must not fail the requests that wait for the same keys.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signingTimeout)
	defer cancel()
	keys, err := a.readSigningKeys(ctx)
	if err != nil {
		if s.fail(err, a.storeAway()) && !a.offline { // a command says what it could not do
			a.log.Error(signingTrouble(last != nil), zap.Error(err))
		}
		return last, unless(last, err)
	}
	s.mend(a.log)
	return keys, nil
}

var signingKeysID = []byte(widgets.SigningKeysID)

// unless returns the error if there are no keys.
func unless(keys *assertion.Keys, err error) error {
	if keys != nil {
		return nil
	}
	return err
}

// readSigningKeys reads the keys, or creates those that are needed.
func (a *App) readSigningKeys(ctx context.Context) (*assertion.Keys, error) {
	record, err := a.store.Lookup(ctx, signingKeysID)
	if err != nil {
		return nil, err
	}
	if keys := a.fresh(record); keys != nil {
		return keys, nil
	}
	if record != nil {
		keys, err := a.openSigningKeys(record)
		if err == nil {
			a.signing.known.Store(&knownKeys{record.Secrets[0].Version, a.Assertion.Lifetime, keys})
		}
		return keys, err
	}
	if a.signing.last() == nil && !a.signing.needed.Load() {
		return nil, a.storeLoss()
	}
	return a.changeSigningKeys(ctx, func(stored *assertion.Keys, unreadable error) (*assertion.Keys, error) {
		if stored != nil || unreadable != nil { // another gateway was faster
			return stored, unreadable
		}
		if last := a.signing.last(); last != nil { // somebody deleted the record: backends know these
			return last, nil
		}
		return assertion.First(time.Now())
	})
}

// changeSigningKeys stores what change makes of the stored keys, nil for none or unreadable
// ones. The caller holds changing.
func (a *App) changeSigningKeys(ctx context.Context,
	change func(stored *assertion.Keys, unreadable error) (*assertion.Keys, error)) (*assertion.Keys, error) {
	if err := inOrder(a.storeLoss, a.ensureRing); err != nil {
		return nil, err
	}
	now := knownKeys{lifetime: a.Assertion.Lifetime}
	err := a.store.Update(ctx, []string{widgets.SigningKeysID}, func(_ string, old *widgets.Record) (next *widgets.Record, err error) {
		var stored *assertion.Keys
		if old != nil {
			stored, err = a.openSigningKeys(old)
		}
		if now.keys, err = change(stored, err); err != nil {
			return nil, err
		}
		if next = old; now.keys != stored {
			text, err := now.keys.Text()
			if err != nil {
				return nil, err
			}
			if next, err = old.WithSigningKeys(text, a.ring.Load(), time.Now()); err != nil {
				return nil, err
			}
		}
		now.version = next.Secrets[0].Version
		return next, nil
	})
	if err != nil {
		return nil, err
	}
	a.signing.known.Store(&now)
	return now.keys, nil
}

// storeLoss returns an error while the store has lost what it had, which may come back.
func (a *App) storeLoss() error {
	if loss := a.store.Loss(); loss != "" {
		return fmt.Errorf("%w: %s", widgets.ErrUnavailable, loss)
	}
	return nil
}

func (a *App) openSigningKeys(record *widgets.Record) (*assertion.Keys, error) {
	text, err := a.ring.Load().OpenSigningKeys(record)
	if missing, ok := errors.AsType[*widgets.MissingKeyError](err); ok {
		return nil, fmt.Errorf("%w, which encrypts the keys that sign assertions: %s", err, a.whereKeyIs(missing.KeyID, admin.ReplaceLost))
	}
	if err != nil {
		return nil, fmt.Errorf("%w, which has the keys that sign assertions: restore the store from a backup, or %s", err, admin.ReplaceLost)
	}
	keys, err := assertion.Parse(text)
	if err != nil {
		return nil, err
	}
	return keys.Outlasting(time.Duration(a.Assertion.Lifetime)), nil
}

// listSigningKeys returns the keys, if there are any, without their private parts.
func (a *App) listSigningKeys(ctx context.Context) ([]assertion.State, error) {
	keys, err := a.currentSigningKeys(ctx)
	return keys.States(time.Now()), err
}

// rotateSigningKeys publishes a next key, unless there is one. Keys that cannot be decrypted
// may be another gateway's, which can, so only an order replaces them: by those that this
// gateway knows, or else by new ones.
func (a *App) rotateSigningKeys(ctx context.Context, replace bool) (done adminapi.SigningKeys, err error) {
	s := a.signing
	s.changing.Lock()
	defer s.changing.Unlock()
	keys, err := a.changeSigningKeys(ctx, func(stored *assertion.Keys, unreadable error) (*assertion.Keys, error) {
		_, missing := errors.AsType[*widgets.MissingKeyError](unreadable)
		if unreadable != nil && !(replace && (missing || errors.Is(unreadable, widgets.ErrSeal))) {
			return nil, unreadable
		}
		from := stored
		if from == nil {
			from = s.last()
		}
		next, err := from.Rotate(time.Now(), time.Duration(a.Assertion.Lifetime))
		done.Changed, done.Replaced = new(next != stored), ""
		if unreadable != nil {
			done.Replaced = adminapi.ReplacedByNew
			if from != nil {
				done.Replaced = adminapi.ReplacedByKnown
			}
		}
		return next, err
	})
	if err == nil {
		s.mend(a.log)
	}
	done.Keys = keys.States(time.Now())
	return done, err
}

// signingHealth is down while requests that need an assertion get none.
func (a *App) signingHealth(h *adminapi.Health) {
	last, fault := a.signing.last(), a.signing.fault.Load()
	if fault == nil {
		return
	}
	status := adminapi.Down
	if last != nil {
		status = adminapi.Degraded
	}
	cause := admin.Plain(fault.err)
	switch {
	case a.storeAway(): // which is a problem of its own
		cause = "this ends when the store can be used again"
	case fault.away:
		cause = "the store can be used again, and they are read within seconds"
	}
	h.Add(status, signingTrouble(last != nil)+": "+cause)
}

func (a *App) storeAway() bool { return a.store.Err() != nil || a.store.Loss() != "" }

// signingTrouble says what it means that the keys cannot be had.
func signingTrouble(known bool) string {
	if known {
		return "the stored keys that sign assertions cannot be read, so those that this gateway knows are used, and a rotation may be missed"
	}
	return "there is no key that signs assertions, so requests that need one are answered 503"
}
