package adminapi

import "github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"

// What has replaced signing keys that could not be decrypted.
const (
	ReplacedByKnown = "known" // those that the gateway signed with before
	ReplacedByNew   = "new"
)

// SigningKeys are the gateway's own keys without their private parts, newest first.
type SigningKeys struct {
	Keys []assertion.State `json:"keys"`
	// What follows is only in the answer to a rotation: whether it has changed the stored keys,
	// and what has replaced those that could not be decrypted, if any: see [ReplacedByNew].
	Changed  *bool  `json:"changed,omitzero"`
	Replaced string `json:"replaced,omitzero"`
}
