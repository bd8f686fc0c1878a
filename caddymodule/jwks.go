package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// publicKeys returns the keys with which assertions verify, as a JWK Set (RFC 7517).
func (a *App) publicKeys(ctx context.Context) ([]byte, error) {
	keys, err := a.signingKeys(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(keys.Public(time.Now()))
}

// answersKeys reports whether the request is one of jwks_path.
func (h *Handler) answersKeys(r *http.Request) bool {
	return h.JWKSPath != "" && r.URL.Path == h.JWKSPath
}

// answerKeys answers a request of jwks_path, which anybody may read: it tells no user from
// another.
func (h *Handler) answerKeys(w http.ResponseWriter, r *http.Request, s *state) error {
	x := newExchange(h, w, r, s)
	defer x.release()
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		return x.answerProblem(w, problem{
			Status: http.StatusMethodNotAllowed,
			Detail: "This path has the public keys of the gateway. Read them by GET or HEAD.",
		})
	}
	keys, err := h.app.publicKeys(r.Context())
	if err != nil {
		h.log.warn("the public keys of assertions cannot be read", about(r), zap.Error(err))
		header.Set("Cache-Control", "no-store")
		header.Set("Retry-After", retryAfter)
		return x.answerProblem(w, problem{
			Status: http.StatusServiceUnavailable, Code: "identity_" + string(judgment.Unavailable), Reason: judgment.Unavailable,
			Detail: "The public keys of the gateway cannot be read at the moment. Try again later.",
		})
	}
	header.Set("Cache-Control", "public, max-age=300")
	x.answer(w, http.StatusOK, "application/jwk-set+json", keys)
	return nil
}

func (x *exchange) answerProblem(w http.ResponseWriter, p problem) error {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	text, err := json.Marshal(p)
	if err == nil {
		x.answer(w, p.Status, "application/problem+json", text)
	}
	return err
}
