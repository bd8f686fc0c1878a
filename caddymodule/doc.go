// Package caddymodule is the chat_identity module for Caddy: the handler that
// verifies who is chatting, the app that its handlers share, the matcher and
// the command. What is a claim and whether it holds is decided by the package
// verifier; this one knows HTTP, Caddy and the operator's configuration.
package caddymodule

import (
	// Registers the command "caddy chat-identity".
	_ "github.com/chatidentity/caddy-chat-identity/caddymodule/internal/command"
)
