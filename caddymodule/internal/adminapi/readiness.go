package adminapi

import "github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"

// Readiness says which of a widget's requests required mode would have refused.
type Readiness struct {
	Widget string `json:"widget"`
	*traffic.Readiness
	Verdict  Verdict  `json:"verdict"`
	Text     string   `json:"verdict_text"` // sentences for people
	Evidence Evidence `json:"evidence"`
}

// Evidence is what [Ready] needs at least.
type Evidence struct {
	Verified uint64 `json:"verified"` // requests
	Minutes  int    `json:"minutes"`  // since requests began to be verified
}

// Verdict answers whether a widget can be switched to required mode.
type Verdict string

// The verdicts.
const (
	Required   Verdict = "required"      // it is in required mode already
	Unknown    Verdict = "unknown"       // no request was verified or refused yet
	NotSigning Verdict = "not_signing"   // all requests came without a claim
	TooEarly   Verdict = "too_early"     // there is not enough evidence
	Ready      Verdict = "ready"         // nothing would have been refused
	Unsigned   Verdict = "only_unsigned" // only requests without a claim
	NotReady   Verdict = "not_ready"
)
