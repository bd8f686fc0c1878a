package admin

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// resealPage is how many widgets are sealed again in one write of the store.
const resealPage = 10_000

// reseal seals every stored secret under the first encryption key, so that the
// others can be dropped. It may be asked again after it was interrupted.
func (c *call) reseal() error {
	if err := c.EnsureRing(); err != nil {
		return fmt.Errorf("%w: %w", widgets.ErrNoKey, err)
	}
	ring := c.Ring()
	done := adminapi.Resealed{KeyID: ring.First()}
	for after := ""; ; {
		page, err := c.Store.List(c.r.Context(), after, resealPage)
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
		// What one try has found, since the store may try again.
		results := make(map[string]error, len(ids))
		err = c.Store.Update(c.r.Context(), ids, func(id string, old *widgets.Record) (*widgets.Record, error) {
			delete(results, id)
			if old == nil {
				return nil, nil // deleted meanwhile
			}
			next, err := old.Reseal(ring, time.Now())
			if err != nil {
				results[id] = err
				return old, nil // one that cannot be opened keeps none of the others
			}
			if results[id] = errUnchanged; next != old {
				results[id] = nil
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
				done.Failed = append(done.Failed, adminapi.ResealFailure{ID: id, Error: c.unavailability(err)})
			}
		}
	}
}

var errUnchanged = errors.New("sealed under that key already")

// unavailability says to an operator why a secret cannot be opened.
func (g *Gateway) unavailability(err error) string {
	if missing, ok := errors.AsType[*widgets.MissingKeyError](err); ok {
		return fmt.Sprintf("encryption key %s is missing: %s", missing.KeyID, g.WhereKeyIs(missing.KeyID))
	}
	return "the sealed secret does not open: it was changed, or copied from another widget. Restore it from a backup, or rotate the widget"
}
