package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// oneTimeClaim goes with one request, the one that asks for a call: its
// signature holds for a minute, and once. Each takes a question to the website's
// server, so it is for what opens something, and no message carries one.
type oneTimeClaim struct {
	UserID    any    `json:"user_id"`
	Name      any    `json:"name"`
	Email     any    `json:"email"`
	Nonce     string `json:"hmacNonce"`
	Timestamp string `json:"hmacTimestamp"`
	Signature string `json:"hmacSignature"`
}

// signCall answers POST /session/call with a new claim for who is signed in.
func (s *sessions) signCall(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		// Old asks for one that was signed an hour ago. A website has no such
		// thing: it is for the page to show what becomes of it.
		Old bool `json:"old"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&asked); err != nil {
		problem(w, http.StatusBadRequest, "bad_request", `send {} or {"old":true}`)
		return
	}
	who, ok := s.current(r)
	if !ok {
		problem(w, http.StatusUnauthorized, "signed_out", "only who is signed in gets a signature")
		return
	}
	at := s.now()
	if asked.Old {
		at = at.Add(-time.Hour)
	}
	writeJSON(w, http.StatusOK, s.signOnce(who, at))
}

func (s *sessions) signOnce(who account, at time.Time) oneTimeClaim {
	// The fields are signed without anything between them. A letter before the
	// timestamp leaves no other way to read them.
	nonce := rand.Text() + "-nonce" // 32 characters
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return oneTimeClaim{
		who.id, who.metadata["name"], who.metadata["email"], nonce, timestamp,
		mac(s.secrets.calls, fmt.Sprint(who.id)+nonce+timestamp),
	}
}
