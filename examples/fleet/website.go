package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
	"github.com/chatidentity/caddy-chat-identity/internal/demo"
)

//go:embed page
var page embed.FS

// website is the site with the chat, and the chat's backend, which demands the assertion of
// some gateway.
type website struct {
	gateways *guard.Guard

	mu     sync.Mutex
	secret string
}

// newWebsite returns the website of gateways that can be reached at a URL.
func newWebsite(gateways string) *website {
	return &website{gateways: &guard.Guard{KeysURL: gateways + "/.well-known/chat-identity/jwks.json", Issuer: "chat-identity", Audience: "fleet"}}
}

func (s *website) set(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

func (s *website) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /chat", s.chat)
	mux.HandleFunc("POST /claim", s.claim)
	mux.HandleFunc("POST /secret", s.replace)
	return demo.Website(mux, page)
}

// claim signs for the demo's only user. Your own site signs the user id of the
// session.
func (s *website) claim(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	secret := s.secret
	s.mu.Unlock()
	const user = "usr_ada"
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(user))
	demo.WriteJSON(w, http.StatusOK, map[string]string{"user_id": user, "user_hash": hex.EncodeToString(mac.Sum(nil))})
}

// replace gives the website a new secret, as a deployment would. Nobody else can do
// that: the page's origin is checked, and everything listens on one machine only.
func (s *website) replace(w http.ResponseWriter, r *http.Request) {
	var sent struct{ Secret string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&sent); err != nil || len(strings.TrimSpace(sent.Secret)) < 16 {
		demo.WriteJSON(w, http.StatusBadRequest, map[string]string{"error": "a secret has at least 16 characters"})
		return
	}
	s.set(strings.TrimSpace(sent.Secret))
	w.WriteHeader(http.StatusNoContent)
}

// chat answers with what a gateway says about the sender.
func (s *website) chat(w http.ResponseWriter, r *http.Request) {
	said, err := s.gateways.Read(r)
	switch {
	case errors.Is(err, guard.ErrRefused):
		demo.WriteJSON(w, http.StatusUnauthorized, map[string]string{"error": err.Error()})
	case err != nil:
		demo.WriteJSON(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
	default:
		demo.WriteJSON(w, http.StatusOK, map[string]string{"outcome": said.Outcome, "widget": said.Widget, "user": said.Subject})
	}
}
