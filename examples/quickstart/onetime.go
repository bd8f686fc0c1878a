package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/demo"
)

// oneTimeClaim is sent with a single request, one for a call: its signature is valid
// for a minute, and once. Each takes a request to the website's server, so it is meant
// for requests that open something, not for messages.
type oneTimeClaim struct {
	UserID    any    `json:"user_id"`
	Name      any    `json:"name"`
	Email     any    `json:"email"`
	Nonce     string `json:"hmacNonce"`
	Timestamp string `json:"hmacTimestamp"`
	Signature string `json:"hmacSignature"`
}

// signCall answers POST /session/call with a new claim for the signed-in user.
func (s *sessions) signCall(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		// Old asks for one that was signed an hour ago, which a real website never
		// does, so that the page can show that it is refused.
		Old bool `json:"old"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&asked); err != nil {
		problem(w, http.StatusBadRequest, "bad_request", `send {} or {"old":true}`)
		return
	}
	who, ok := s.current(r)
	if !ok {
		problem(w, http.StatusUnauthorized, "signed_out", "sign in to get a signature")
		return
	}
	at := s.now()
	if asked.Old {
		at = at.Add(-time.Hour)
	}
	demo.WriteJSON(w, http.StatusOK, s.signOnce(who, at))
}

func (s *sessions) signOnce(who account, at time.Time) oneTimeClaim {
	// The fields are signed without separators. A letter before the timestamp makes
	// them unambiguous.
	nonce := rand.Text() + "-nonce" // 32 characters
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return oneTimeClaim{
		who.id, who.metadata["name"], who.metadata["email"], nonce, timestamp,
		mac(s.secrets.calls, fmt.Sprint(who.id)+nonce+timestamp),
	}
}
