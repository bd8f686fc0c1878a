package adminapi

import "time"

// SigningKey is one of the gateway's own keys, without its private part.
type SigningKey struct {
	ID      string    `json:"kid"`
	State   string    `json:"state"` // next, current or previous
	Created time.Time `json:"created"`
}

// SigningKeys are all of them, newest first.
type SigningKeys struct {
	Keys []SigningKey `json:"keys"`
	// Changed is only in the answer to a rotation: whether there is a new key.
	Changed *bool `json:"changed,omitzero"`
}
