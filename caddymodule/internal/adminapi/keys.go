package adminapi

import "github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"

// SigningKeys are the gateway's own keys without their private parts, newest first.
type SigningKeys struct {
	Keys []assertion.State `json:"keys"`
	// Changed is only in the answer to a rotation: whether there is a new key.
	Changed *bool `json:"changed,omitzero"`
}
