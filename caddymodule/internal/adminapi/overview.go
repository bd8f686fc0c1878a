package adminapi

import (
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// Overview is the state of a gateway and a page of its widgets, in one answer.
type Overview struct {
	Now     time.Time       `json:"now"`
	Since   time.Time       `json:"since"` // when this process began to count
	Gateway Gateway         `json:"gateway"`
	Total   traffic.Windows `json:"total"`
	Unknown traffic.Windows `json:"unknown"` // requests that name no existing widget
	Health  Health          `json:"health"`
	// OpenStreams is the number of verified WebSockets and event streams.
	OpenStreams int    `json:"open_streams"`
	Store       Store  `json:"store"`
	Ledger      Ledger `json:"ledger"`
	// MissingKeys are the ids of encryption keys that stored secrets need and
	// that are not configured.
	MissingKeys []string `json:"missing_encryption_keys"`
	// SigningKeys are the gateway's own keys, none if nothing has needed one yet.
	SigningKeys []assertion.State `json:"signing_keys"`
	// UnknownWidgets are the ids named last that no widget has, at most 10, newest first.
	UnknownWidgets []UnknownWidget `json:"unknown_widgets"`
	AllowReveal    bool            `json:"allow_reveal"`
	Writable       bool            `json:"writable"` // whether widgets can currently be changed
	Widgets        []Row           `json:"widgets"`
	Found          Found           `json:"found"`
	// Nearest are widgets that may have been meant by the one that was asked for, if it
	// does not exist.
	Nearest []string `json:"nearest,omitempty"`
}

// Found says what an overview's page of widgets was chosen from.
type Found struct {
	From     int    `json:"from"`              // the number of the page's first widget among the matches
	Matches  int    `json:"matches"`           // of those that were searched
	Searched int    `json:"searched"`          // how many widgets were read
	Stopped  string `json:"stopped,omitempty"` // the last that was read, if there are more: after= goes on there
	// Stored is how many widgets the store had when it was last counted, which takes
	// a while.
	Stored  int       `json:"stored"`
	Counted time.Time `json:"counted,omitzero"`
}

// UnknownWidget is an id that requests name and that no widget has.
type UnknownWidget struct {
	ID       string    `json:"id"` // at most 128 bytes of it, percent-encoded
	Requests uint64    `json:"requests"`
	Last     time.Time `json:"last"`
	Nearest  []string  `json:"nearest"` // widgets that may have been meant
}

// Gateway says which gateway answers.
type Gateway struct {
	Name    string `json:"name"`    // of the host
	Version string `json:"version"` // of this module
	Caddy   string `json:"caddy"`   // the version of Caddy
}

// Reach says whether something can be reached.
type Reach struct {
	Reachable bool   `json:"reachable"`
	Error     string `json:"error,omitempty"`
}

// Store is the state of the store of widgets.
type Store struct {
	Reach
	Lost string `json:"lost,omitempty"` // that it has lost its widgets and what to do, until that is over or accepted
}

// Ledger is the state of the ledger.
type Ledger struct {
	Reach
	Used bool   `json:"used"`           // whether any handler needs it
	Lost string `json:"lost,omitempty"` // what is lost and what to do, until that is accepted
}

// Row is a widget and its recent requests.
type Row struct {
	Widget
	traffic.Windows
}
