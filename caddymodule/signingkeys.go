package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
)

// firstKeys are the gateway's own keys, created on first need.
var firstKeys = sync.OnceValues(func() (*assertion.Keys, error) { return assertion.First(time.Now()) })

// signingKeys returns the gateway's own keys.
func (a *App) signingKeys(context.Context) (*assertion.Keys, error) { return firstKeys() }
