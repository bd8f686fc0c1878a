package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
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
func (h *Handler) answerKeys(w http.ResponseWriter, r *http.Request) error {
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		return answerProblem(w, r, problem{
			Status: http.StatusMethodNotAllowed,
			Detail: "This path has the public keys of the gateway. Read them by GET or HEAD.",
		})
	}
	keys, err := h.app.publicKeys(r.Context())
	if err != nil {
		h.log.warn("the public keys of assertions cannot be read", about(r), zap.Error(err))
		header.Set("Cache-Control", "no-store")
		header.Set("Retry-After", retryAfter)
		return answerProblem(w, r, problem{
			Status: http.StatusServiceUnavailable, Code: "identity_" + string(judgment.Unavailable), Reason: judgment.Unavailable,
			Detail: "The public keys of the gateway cannot be read at the moment. Try again later.",
		})
	}
	header.Set("Cache-Control", "public, max-age=300")
	return answerText(w, r, http.StatusOK, "application/jwk-set+json", json.RawMessage(keys))
}

func answerProblem(w http.ResponseWriter, r *http.Request, p problem) error {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	return answerText(w, r, p.Status, "application/problem+json", p)
}

func answerText(w http.ResponseWriter, r *http.Request, status int, media string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(text) // a client that is gone misses nothing
	}
	return nil
}
