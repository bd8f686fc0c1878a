package adminapi

import (
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// Overview is the state of a gateway and a page of its widgets, in one answer.
type Overview struct {
	Now     time.Time       `json:"now"`
	Since   time.Time       `json:"since"` // when this process began to count
	Total   traffic.Windows `json:"total"`
	Unknown traffic.Windows `json:"unknown"` // requests of no widget, or of one that does not exist
	Store   Reach           `json:"store"`
	Ledger  Ledger          `json:"ledger"`
	// MissingKeys are the ids of encryption keys that stored secrets need and
	// that are not configured.
	MissingKeys []string `json:"missing_encryption_keys"`
	AllowReveal bool     `json:"allow_reveal"`
	Writable    bool     `json:"writable"` // whether widgets can currently be changed
	Widgets     []Row    `json:"widgets"`
	Next        string   `json:"next"` // where the next page begins, "" after the last
}

// Reach says whether something can be reached.
type Reach struct {
	Reachable bool   `json:"reachable"`
	Error     string `json:"error,omitempty"`
}

// Ledger is the state of the ledger.
type Ledger struct {
	Reach
	Used bool   `json:"used"`           // whether any handler needs it
	Lost string `json:"lost,omitempty"` // what is lost and what to do, until the loss is accepted
}

// Row is a widget and its recent requests.
type Row struct {
	Widget
	traffic.Windows
}

// Readiness is what required mode would have refused of a widget's requests.
type Readiness struct {
	Widget string `json:"widget"`
	*traffic.Readiness
	Verdict Verdict `json:"verdict"`
}

// Verdict answers whether a widget can be switched to required mode.
type Verdict string

// The verdicts.
const (
	Required Verdict = "required"      // it is in required mode already
	Unknown  Verdict = "unknown"       // no request was verified or refused yet
	Ready    Verdict = "ready"         // nothing would have been refused
	Unsigned Verdict = "only_unsigned" // nothing but requests without any claim
	NotReady Verdict = "not_ready"
)
