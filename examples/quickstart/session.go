package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/demo"
)

const (
	sessionCookie = "chat_demo_session"
	sessionLife   = 12 * time.Hour
	maxSessions   = 1000
)

// claim is what the page passes to the widget's identify.
type claim struct {
	UserID   any            `json:"user_id"`
	UserHash string         `json:"user_hash"`
	Metadata map[string]any `json:"user_metadata"`
}

// account is a user of the website. Grace's id is an integer, as in many databases:
// its digits are signed.
type account struct {
	id       any
	metadata map[string]any
}

var accounts = map[string]account{
	"ada": {"usr_ada", map[string]any{
		"name": "Ada Lovelace", "email": "ada@example.com", "company": "Analytical Engines", "plan": "enterprise",
	}},
	"grace": {1906, map[string]any{
		"name": "Grace Hopper", "email": "grace@example.com", "company": "Compilers & Co.", "plan": "team",
	}},
}

// sessions is the website's sign-in. A click on a name replaces the password, and is
// the demo's only simplification: the id that is signed is that of the session, which
// is kept here under the cookie's random token. A route that signed an id from the
// request would give every identity to everyone.
type sessions struct {
	secrets secrets
	now     func() time.Time

	mu   sync.Mutex
	open map[string]session // by token
}

type session struct {
	account string
	since   time.Time
}

func newSessions(secrets secrets, now func() time.Time) *sessions {
	return &sessions{secrets: secrets, now: now, open: map[string]session{}}
}

// current returns the signed-in account.
func (s *sessions) current(r *http.Request) (account, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, ok := s.open[token(r)]
	if !ok || s.now().Sub(current.since) > sessionLife {
		return account{}, false
	}
	return accounts[current.account], true
}

// show answers GET /session with the claim of the signed-in user, or null.
func (s *sessions) show(w http.ResponseWriter, r *http.Request) {
	who, ok := s.current(r)
	s.answer(w, who, ok)
}

func (s *sessions) answer(w http.ResponseWriter, who account, signedIn bool) {
	var answer any
	if signedIn {
		answer = claim{who.id, mac(s.secrets.chat, fmt.Sprint(who.id)), who.metadata}
	}
	demo.WriteJSON(w, http.StatusOK, answer)
}

// change answers POST /session: it signs a person in or, with an empty name, out.
func (s *sessions) change(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Person string `json:"person"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&asked); err != nil {
		problem(w, http.StatusBadRequest, "bad_request", `send {"person":"ada"}, "grace" or ""`)
		return
	}
	who, known := accounts[asked.Person]
	if !known && asked.Person != "" {
		problem(w, http.StatusBadRequest, "unknown_person", fmt.Sprintf("nobody here is called %q", asked.Person))
		return
	}

	s.mu.Lock()
	delete(s.open, token(r))
	cookie := &http.Cookie{
		Name: sessionCookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1,
	}
	if known {
		// A new token for every sign-in, so that one planted in the browser before does
		// not become the user's. A website that is served over HTTPS adds Secure.
		cookie.Value, cookie.MaxAge = rand.Text(), int(sessionLife.Seconds())
		makeRoom(s.open, maxSessions, func(s session) time.Time { return s.since })
		s.open[cookie.Value] = session{asked.Person, s.now()}
	}
	s.mu.Unlock()

	http.SetCookie(w, cookie)
	s.answer(w, who, known)
}

func mac(secret, text string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

func token(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}
