package caddymodule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/ledgers"
)

// health says what requests need and cannot have. It waits for nothing: stores and ledgers
// watch themselves.
func (a *App) health() adminapi.Health {
	h := adminapi.Health{Status: adminapi.OK}
	if a.usesStore || a.usesAssertion {
		a.storeHealth(&h)
	}
	if a.usesStore {
		a.keyHealth(&h)
	}
	if a.usesLedger {
		a.ledgerHealth(&h)
	}
	if a.usesAssertion {
		a.signingHealth(&h)
	}
	a.setHealth(&h)
	return h
}

// storeHealth is down once known widgets are not served any more. Without widgets, that the
// signing keys are not known tells.
func (a *App) storeHealth(h *adminapi.Health) {
	status := adminapi.Degraded
	if a.usesStore && !a.store.Serves() {
		status = adminapi.Down
	}
	loss, err := a.store.Loss(), a.store.Err()
	if err != nil {
		h.Add(status, admin.Plain(err))
	}
	if loss != "" && (err == nil || !strings.Contains(err.Error(), loss)) {
		h.Add(status, loss)
	}
}

// ledgerHealth is down while nothing can be reserved. After a loss, new one-time signatures are
// accepted.
func (a *App) ledgerHealth(h *adminapi.Health) {
	loss, err := a.ledger.Loss(), a.ledger.Err()
	if err != nil {
		h.Add(adminapi.Down, admin.Plain(err))
	} else if loss != "" {
		h.Add(adminapi.Degraded, loss)
	}
	if from := a.ledger.From(); err == nil && from.After(time.Now()) {
		h.Add(adminapi.Degraded, ledgers.OnlyFrom(from)+", since the ledger was lost: this ends then, and those that are signed anew are accepted")
	}
}

// keyHealth is down if no secret can be decrypted. That one request lacked a key does not tell:
// others may not, and a balancer would send all of them elsewhere.
func (a *App) keyHealth(h *adminapi.Health) {
	counted, missing := a.countedKeys(), a.missingKeys()
	status := adminapi.Degraded
	if len(counted) > 0 && !slices.ContainsFunc(counted, a.ring.Load().Has) {
		status = adminapi.Down
	}
	for _, id := range missing {
		h.Add(status, fmt.Sprintf("encryption key %s is missing, so the widgets whose secrets it encrypts are unavailable: %s", id, a.whereKeyIs(id, admin.RotateLost)))
	}
	if a.ring.Load() == nil && len(missing) == 0 && a.store.Err() == nil {
		h.Add(adminapi.Degraded, "there is no encryption key, so no widget can be created: see the log, make Caddy's data directory writable or configure encryption_key")
	}
}
