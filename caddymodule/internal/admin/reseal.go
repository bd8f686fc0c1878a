package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// resealPage is how many widgets are resealed in one update of the store.
const resealPage = 10_000

// reseal encrypts every stored secret with the first encryption key, so that the
// others can be removed. If it is interrupted, it can be called again.
func (c *call) reseal() error {
	if err := c.needKey(); err != nil {
		return err
	}
	ring := c.Ring()
	done := adminapi.Resealed{KeyID: ring.First()}
	for after := ""; ; {
		page, err := c.Store.List(c.r.Context(), after, resealPage)
		c.notes = []zap.Field{zap.String("key", done.KeyID), zap.Int("resealed", done.Resealed), zap.Int("failed", len(done.Failed))}
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return c.answer(http.StatusOK, done)
		}
		ids := make([]string, len(page))
		for i, record := range page {
			ids[i] = record.ID
		}
		after = ids[len(ids)-1]
		// Of the last attempt: the store may retry.
		results := make(map[string]error, len(ids))
		err = c.Store.Update(c.r.Context(), ids, func(id string, old *widgets.Record) (*widgets.Record, error) {
			if delete(results, id); old == nil {
				return nil, nil // deleted meanwhile
			}
			next, err := old.Reseal(ring, time.Now())
			if err == nil && next == old {
				err = errUnchanged
			}
			if results[id] = err; err != nil {
				return old, nil // one that cannot be decrypted does not stop the others
			}
			return next, nil
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			switch err, tried := results[id]; {
			case !tried:
			case err == nil:
				done.Resealed++
			case errors.Is(err, errUnchanged):
				done.Unchanged++
			default:
				done.Failed = append(done.Failed, adminapi.ResealFailure{ID: id, Error: c.unavailability(id, err)})
			}
		}
	}
}

var errUnchanged = errors.New("already encrypted with that key")

// What an operator can do once the encryption key is lost: about widgets, and about the
// signing keys.
const (
	RotateLost  = "rotate these widgets without a grace"
	ReplaceLost = "replace the signing keys by 'caddy chat-identity keys rotate --replace', after which a gateway without an encryption key of this one's cannot read them"
)

// unavailability tells an operator why what is stored under an id cannot be decrypted.
func (g *Gateway) unavailability(id string, err error) string {
	lost := RotateLost
	if id == widgets.SigningKeysID {
		lost = ReplaceLost
	}
	if missing, ok := errors.AsType[*widgets.MissingKeyError](err); ok {
		return fmt.Sprintf("encryption key %s is missing: %s", missing.KeyID, g.WhereKeyIs(missing.KeyID, lost))
	}
	if id == widgets.SigningKeysID {
		return "the stored signing keys cannot be decrypted: they were changed. Restore them from a backup, or " + lost
	}
	return "the stored secret cannot be decrypted: it was changed, or copied from another widget. Restore it from a backup, or rotate the widget; if it has public keys, set them again"
}
