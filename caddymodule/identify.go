package caddymodule

import (
	"encoding/json"
	"net/http"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/cors"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// identified is the answer to an identify() call.
type identified struct {
	Status   string             `json:"status,omitempty"` // disabled, in mode off
	Verified *bool              `json:"verified,omitempty"`
	User     *identifiedUser    `json:"user,omitempty"`
	Prefill  *prefill           `json:"prefill,omitempty"`
	Session  *identifiedSession `json:"session,omitempty"`
}

type identifiedUser struct {
	ID string `json:"id"`
}

// prefill is what an unverified visitor's browser sent, for the widget's form.
type prefill struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// identifies reports whether the request is an identify() call, or the preflight of one
// where cors is configured.
func (h *Handler) identifies(r *http.Request) bool {
	if h.Identify == "" || r.URL.Path != h.Identify {
		return false
	}
	return r.Method == http.MethodPost || len(h.CORS) > 0 && cors.IsPreflight(r)
}

// identify answers who the caller is. It claims no conversation, and uses up a signature only
// for a session, since a page asks as often as it likes.
func (h *Handler) identify(w http.ResponseWriter, r *http.Request, s *state) error {
	earlier := s.decider
	s.decider = h
	x := newExchange(h, w, r, s)
	defer x.release()
	if r.Method == http.MethodOptions {
		x.closeUnread(w.Header())
		h.CORS.AnswerPreflight(w, r)
		return nil
	}
	x.read()
	if earlier != nil { // what it has found is no answer to this, nor for error routes
		earlier.unpublish(r, s)
		s.widget = ""
	}
	if x.mode == widgets.ModeOff {
		x.recordOutcome()
		return h.answerIdentify(w, x, identified{Status: "disabled"})
	}
	x.verify()
	session := x.trade()
	x.recordOutcome()
	x.withoutSession()
	if x.refused() {
		return h.refuse(w, x)
	}
	verified := x.claim == nil
	answer := identified{Verified: &verified, Session: session}
	if verified {
		answer.User = &identifiedUser{s.user}
	} else {
		h.log.anonymous(x, "identity claim not verified, answered as anonymous")
		answer.Prefill = &prefill{string(x.reading.Unverified(verifier.Name)), string(x.reading.Unverified(verifier.Email))}
	}
	return h.answerIdentify(w, x, answer)
}

func (h *Handler) answerIdentify(w http.ResponseWriter, x *exchange, answer identified) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	h.CORS.Allow(w.Header(), x.r)
	x.answer(w, http.StatusOK, "application/json", append(text, '\n'))
	return nil
}
