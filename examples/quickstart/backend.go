package main

import (
	"embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
	"github.com/chatidentity/caddy-chat-identity/internal/demo"
)

const (
	maxBody = 64 << 10
	maxText = 2000 // characters
)

//go:embed page
var page embed.FS

var (
	conversationID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	// Long, so that two visitors do not choose the same one.
	visitorID = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)
)

// backend is the sample chat.
type backend struct {
	gateway *guard.Guard
	store   *store
	now     func() time.Time
}

// newBackend returns the backend of a gateway, which it believes by its signature.
func newBackend(secrets secrets, gateway string) http.Handler {
	b := &backend{store: newStore(time.Now), now: time.Now}
	b.gateway = &guard.Guard{KeysURL: gateway + "/.well-known/chat-identity/jwks.json", Issuer: "chat-identity", Audience: "quickstart"}
	s := newSessions(secrets, time.Now)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /chat/messages", b.identified(b.post))
	mux.HandleFunc("GET /chat/messages", b.identified(b.list))
	mux.HandleFunc("POST /calls", b.inCall(b.call))
	mux.HandleFunc("POST /calls/messages", b.inCall(b.post))
	mux.HandleFunc("GET /calls/live", b.inCall(b.live))
	mux.HandleFunc("GET /session", s.show)
	mux.HandleFunc("POST /session", s.change)
	mux.HandleFunc("POST /session/call", s.signCall)
	return demo.Website(mux, page)
}

// identified is a handler that is told who the request is from.
func (b *backend) identified(handle func(http.ResponseWriter, *http.Request, identity)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		said, err := b.assertion(r)
		if errors.Is(err, guard.ErrRefused) {
			problem(w, http.StatusUnauthorized, "no_assertion", err.Error())
			return
		}
		if err != nil {
			problem(w, http.StatusServiceUnavailable, "unavailable", err.Error())
			return
		}
		id, err := readIdentity(r.Header, said)
		if err != nil {
			problem(w, http.StatusBadRequest, "bad_identity", err.Error())
			return
		}
		handle(w, r, id)
	}
}

// assertion returns what the gateway signed. The page can switch the gateway off, and then
// nothing is signed: such a request is a visitor's, whoever sent it. Your own backend refuses
// it.
func (b *backend) assertion(r *http.Request) (*guard.Assertion, error) {
	if outcome := "disabled"; r.Header.Get("X-Verified-Assertion") == "" && r.Header.Get("X-Identity-Outcome") == outcome {
		return &guard.Assertion{Outcome: outcome}, nil
	}
	return b.gateway.Read(r)
}

// received is what came through the gateway. The page shows it next to what the
// browser sent.
type received struct {
	identity
	Headers map[string]string `json:"headers"`
	Contact *contact          `json:"contact,omitempty"`
	Merged  *merged           `json:"merged,omitempty"`
	Body    string            `json:"body"`
	Claim   claimLeft         `json:"claim_in_body"`
}

// claimLeft says which of the claim's fields were still in the body. The backend
// uses them for nothing else.
type claimLeft struct {
	UserID   bool `json:"user_id"`
	UserHash bool `json:"user_hash"`
}

func (b *backend) post(w http.ResponseWriter, r *http.Request, id identity) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var sent struct {
		Conversation string          `json:"conversation"`
		Visitor      string          `json:"visitor"`
		Text         string          `json:"text"`
		UserID       json.RawMessage `json:"user_id"`
		UserHash     json.RawMessage `json:"user_hash"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		problem(w, http.StatusBadRequest, "bad_request", "the body is not the JSON of a message")
		return
	}
	if !conversationID.MatchString(sent.Conversation) || !validVisitor(id, sent.Visitor) {
		problem(w, http.StatusBadRequest, "bad_request", "a message must name its conversation, and an anonymous one its visitor")
		return
	}
	if n := utf8.RuneCountInString(sent.Text); strings.TrimSpace(sent.Text) == "" || n > maxText {
		problem(w, http.StatusBadRequest, "bad_request", "a message must have 1 to 2000 characters")
		return
	}

	from := sender{id, sent.Visitor, markBrowser(w, r)}
	seen, reply, err := b.take(from, sent.Conversation, sent.Text)
	if err != nil {
		problem(w, http.StatusForbidden, "not_yours", err.Error())
		return
	}
	seen.Headers, seen.Body = identityHeaders(r.Header), string(body)
	seen.Claim = claimLeft{len(sent.UserID) > 0, len(sent.UserHash) > 0}
	demo.WriteJSON(w, http.StatusOK, map[string]any{"conversation": sent.Conversation, "reply": reply, "received": seen})
}

// take adds a message to its conversation and answers it. The gateway keeps others
// out of a user's conversations, but not out of a visitor's, and a backend makes its
// own checks in any case.
func (b *backend) take(from sender, conversation, text string) (seen received, reply message, err error) {
	if err := b.store.open(conversation, from); err != nil {
		return seen, reply, err
	}
	seen.identity = from.identity
	if from.verified() {
		if seen.Merged, err = b.store.merge(from); err != nil {
			return seen, reply, err
		}
		c := b.store.upsert(from.identity, 1+seen.Merged.count(), 0)
		seen.Contact = &c
	}
	now := b.now()
	reply = message{From: "agent", Text: answer(from.identity, seen.Contact, seen.Merged.count()), At: now}
	question := message{From: "visitor", Text: text, Verified: from.verified(), At: now}
	return seen, reply, b.store.add(conversation, from, question, reply)
}

func (b *backend) list(w http.ResponseWriter, r *http.Request, id identity) {
	query := r.URL.Query()
	name, visitor := query.Get("conversation"), query.Get("visitor")
	if !conversationID.MatchString(name) || !validVisitor(id, visitor) {
		problem(w, http.StatusBadRequest, "bad_request", "name the conversation, and without a verified user the visitor")
		return
	}
	name, messages, err := b.store.history(name, sender{id, visitor, browserOf(r)})
	if err != nil {
		problem(w, http.StatusForbidden, "not_yours", err.Error())
		return
	}
	demo.WriteJSON(w, http.StatusOK, map[string]any{
		"conversation": name,
		"messages":     messages,
		"received":     received{identity: id, Headers: identityHeaders(r.Header)},
	})
}

// readBody answers the request itself if the body cannot be read.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		return body, true
	}
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, "too_large", "the body is larger than 64 KiB")
	} else {
		problem(w, http.StatusBadRequest, "bad_request", "the body did not arrive in full")
	}
	return nil, false
}

// validVisitor reports whether a request names a valid visitor. A verified request
// need not name one.
func validVisitor(id identity, visitor string) bool {
	return visitorID.MatchString(visitor) || id.verified() && visitor == ""
}

// problem answers as the gateway does (RFC 9457), so that the page reads both in the
// same way.
func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail,
	})
}
