// Package adminapi is what the admin API and its clients send each other, as
// JSON. What is counted goes over the wire as package traffic has it: a
// [traffic.Stats] is the answer of stats.
package adminapi

import (
	"time"
)

// Path is where Caddy's admin endpoint has this module's part.
const Path = "/chat_identity/"

// MovePage is how many records an export or import moves at a time.
const MovePage = 1000

// Widget is a widget as the API shows it.
type Widget struct {
	ID          string    `json:"id"`
	Source      string    `json:"source"` // stored, inline, or handler for one that a handler brings along
	Mode        string    `json:"mode,omitempty"`
	Dialect     string    `json:"dialect,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	Rotated     time.Time `json:"rotated,omitzero"`
	Secrets     []Secret  `json:"secrets,omitempty"` // the current one first
	Unavailable string    `json:"unavailable,omitempty"`
	// Secret is shown once, by the calls that generate it.
	Secret string `json:"secret,omitempty"`
}

// Secret is what the API shows of a secret.
type Secret struct {
	Version string    `json:"version"`
	KeyID   string    `json:"key"`            // of the encryption key
	Until   time.Time `json:"until,omitzero"` // when its grace ends; zero for the current one
}

// Creation asks for a new widget.
type Creation struct {
	ID      string  `json:"id"`
	Mode    string  `json:"mode,omitempty"`
	Dialect string  `json:"dialect,omitempty"`
	Secret  *string `json:"secret,omitempty"` // nil has one generated
}

// Change asks for another mode or dialect of a widget; nil leaves it as it is.
type Change struct {
	Mode    *string `json:"mode,omitempty"`
	Dialect *string `json:"dialect,omitempty"`
}

// Imported says what an import has done.
type Imported struct {
	Imported  int      `json:"imported"`
	Unchanged int      `json:"unchanged"`      // stored already, the same
	Kept      []string `json:"kept,omitempty"` // stored already, but different: not replaced
}

// Resealed says what resealing has done.
type Resealed struct {
	KeyID     string          `json:"key"` // the encryption key that now seals everything
	Resealed  int             `json:"resealed"`
	Unchanged int             `json:"unchanged"`
	Failed    []ResealFailure `json:"failed,omitempty"`
}

// ResealFailure is a widget whose secrets could not be resealed.
type ResealFailure struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// Acceptance is what became of the loss of a ledger.
type Acceptance struct {
	Accepted bool   `json:"accepted"`
	Ledger   string `json:"ledger"` // the id of the one that is used from now on
	Lost     string `json:"lost,omitempty"`
}
