// Package caddymodule is the chat_identity module for Caddy: the handler that verifies
// who is chatting, the app that handlers share, the matcher and the command. Package
// verifier decides what a claim is and whether it holds; this package knows HTTP, Caddy
// and the operator's configuration.
package caddymodule

import (
	// Registers the command "caddy chat-identity".
	_ "github.com/chatidentity/caddy-chat-identity/caddymodule/internal/command"
)
