// Package caddymodule is the chat_identity module for Caddy: the handler that verifies
// who is chatting, the app that handlers share, the matcher and the command. Package
// verifier decides what a claim is and whether it holds; this package knows HTTP, Caddy
// and the operator's configuration.
//
// A request goes through these files, in this order:
//
//	handler.go       removes headers by which a client could pretend to be verified (strip.go)
//	exchange.go      holds the request on its way, and reads its claim
//	target.go        finds the widget that it names, and with it the mode and the dialect
//	plan.go          is the configuration for that dialect: where a claim is read, what it must be
//	ruling.go        verifies the claim, and asks the ledger (onetime.go, conversation.go)
//	assertion.go     has what was found signed, for a request that goes on
//	outcome.go       records what was found: state, metrics (metrics.go), logs (logging.go)
//	refuse.go        answers a refused request, with a status of statuses.go
//	cut.go           removes an unverified claim from one that is forwarded
//	headers.go       tells the backend who it is
//	holding.go       is what the request has claimed until the backend has answered
//	confirm.go       keeps or releases that by the backend's status
//	giveback.go      releases a one-time signature if no backend was reached
//
// Configuration comes from caddyfile.go and config.go by way of provision.go; app.go is
// what all handlers share.
package caddymodule

import (
	// Registers the command "caddy chat-identity".
	_ "github.com/chatidentity/caddy-chat-identity/caddymodule/internal/command"
)
