// Package adminapi has the JSON that the admin API and its clients exchange. Counts
// are exchanged as types of package traffic: stats answers with a [traffic.Stats].
package adminapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// Path is where Caddy's admin endpoint has this module's part.
const Path = "/chat_identity/"

// MovePage is how many records an export or import moves at a time.
const MovePage = 1000

// Widget is a widget as the API shows it.
type Widget struct {
	ID     string `json:"id"`
	Source string `json:"source"`         // stored, inline, or handler for a handler's own
	Mode   string `json:"mode,omitempty"` // its own
	Effect
	Dialect     string      `json:"dialect,omitempty"`
	Created     time.Time   `json:"created,omitzero"`
	Rotated     time.Time   `json:"rotated,omitzero"`
	Secrets     []Secret    `json:"secrets,omitempty"`     // the current one first
	PublicKeys  []PublicKey `json:"public_keys,omitempty"` // in place of secrets
	JWKS        string      `json:"jwks,omitempty"`        // the source of a key set, in place of secrets
	UsesSince   time.Time   `json:"uses_since,omitzero"`   // since when this gateway counts which secret is used
	Grace       string      `json:"grace,omitempty"`       // a sentence on how much the old secrets are still used
	Unavailable string      `json:"unavailable,omitempty"`
	Note        string      `json:"note,omitempty"` // only in the answer to its creation or a change: what that does not do
	// Secret is only in the answers that generate or reveal it.
	Secret string `json:"secret,omitempty"`
}

// Effect is how a widget's requests are treated: the stricter of its own mode and the
// handler's. Where handlers differ, the laxest counts.
type Effect struct {
	EffectiveMode string   `json:"effective_mode"` // "" if no handler can name the widget
	ModeFrom      ModeFrom `json:"mode_from,omitempty"`
	ModeWhy       string   `json:"mode_why"`              // a sentence
	Differs       bool     `json:"mode_differs,omitzero"` // some handlers are stricter
}

// ModeFrom says what determines the effective mode.
type ModeFrom string

// The origins of an effective mode.
const (
	FromWidget  ModeFrom = "widget"
	FromHandler ModeFrom = "handler"
	FromDefault ModeFrom = "default" // neither has a mode
)

// Secret is what the API shows about a secret.
type Secret struct {
	Version string    `json:"version"`
	KeyID   string    `json:"key,omitempty"`  // of the encryption key; an inline one has none
	Until   time.Time `json:"until,omitzero"` // when its grace ends; the current one has none
	// What this gateway has verified with it since it began to count.
	LastUsed     time.Time `json:"last_used,omitzero"`
	UsedLastHour *uint64   `json:"used_last_hour,omitzero"` // nil without a gateway
}

// PublicKey is what the API shows about a public key.
type PublicKey struct {
	Thumbprint string `json:"thumbprint"` // RFC 7638, with SHA-256
	Kind       string `json:"kind"`
	// As those of a secret.
	LastUsed     time.Time `json:"last_used,omitzero"`
	UsedLastHour *uint64   `json:"used_last_hour,omitzero"` // nil without a gateway
}

// Public is what verifies a widget's tokens in place of a secret: public keys in PEM, or the
// https URL of a key set; nil for neither.
type Public struct {
	PublicKeys []string `json:"public_keys,omitempty"`
	JWKS       *string  `json:"jwks,omitempty"`
}

// Creation asks for a new widget.
type Creation struct {
	ID      string  `json:"id"`
	Mode    string  `json:"mode,omitempty"`
	Dialect string  `json:"dialect,omitempty"`
	Secret  *string `json:"secret,omitempty"` // nil to generate one
	Public
}

// Change asks for another mode, dialect or public keys of a widget; nil leaves them as they
// are.
type Change struct {
	Mode    *string `json:"mode,omitempty"`
	Dialect *string `json:"dialect,omitempty"`
	Public
}

// GraceEnded is the result of ending a widget's grace.
type GraceEnded struct {
	Widget
	Ended int `json:"ended"` // how many secrets stopped verifying
}

// Imported is the result of an import.
type Imported struct {
	Imported  int      `json:"imported"`
	Unchanged int      `json:"unchanged"`      // already stored, and equal
	Kept      []string `json:"kept,omitempty"` // already stored, but different, and not replaced
	// MissingKeys maps the ids of encryption keys that the gateway does not have to how
	// many secrets of the others it cannot decrypt without them.
	MissingKeys map[string]int `json:"missing_encryption_keys,omitempty"`
}

// Resealed is the result of resealing.
type Resealed struct {
	KeyID     string          `json:"key"` // of the encryption key that now encrypts everything
	Resealed  int             `json:"resealed"`
	Unchanged int             `json:"unchanged"`
	Failed    []ResealFailure `json:"failed,omitempty"`
}

// ResealFailure is a widget whose secrets, or the signing keys, could not be resealed.
type ResealFailure struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// LossHeader is the header of a list that is not complete, since the store has lost widgets.
const LossHeader = "Chat-Identity-Loss"

// Acceptance is the result of accepting the loss of a ledger, or of the widgets of a
// store, which has no ids.
type Acceptance struct {
	Accepted bool   `json:"accepted"`
	Ledger   string `json:"ledger,omitempty"` // the id of the one that is now used
	Lost     string `json:"lost,omitempty"`
	// From is when the earliest one-time signatures were made that are accepted, zero for all.
	From time.Time `json:"one_time_from,omitzero"`
}

// Count returns a number of something, for people.
func Count(n uint64, unit string) string {
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// Dialects lists the dialects for help texts and errors.
func Dialects() string {
	return strings.Join(slices.DeleteFunc(traffic.Dialects(), func(name string) bool { return name == traffic.Custom }), ", ")
}
