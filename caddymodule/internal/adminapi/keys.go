package adminapi

import "time"

// What has replaced signing keys that could not be decrypted.
const (
	ReplacedByKnown = "known" // those that the gateway signed with before
	ReplacedByNew   = "new"
)

// SigningKey is one of the gateway's own keys, without its private part.
type SigningKey struct {
	ID      string    `json:"kid"`
	State   string    `json:"state"` // next, current or previous
	Created time.Time `json:"created"`
}

// SigningKeys are all of them, newest first.
type SigningKeys struct {
	Keys []SigningKey `json:"keys"`
	// What follows is only in the answer to a rotation: whether it has changed the stored keys,
	// and what has replaced those that could not be decrypted, if any: see [ReplacedByNew].
	Changed  *bool  `json:"changed,omitzero"`
	Replaced string `json:"replaced,omitzero"`
}
