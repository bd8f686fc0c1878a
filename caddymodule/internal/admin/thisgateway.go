package admin

import (
	"os"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// thisGateway says on which host this is, and its versions.
var thisGateway = sync.OnceValue(func() adminapi.Gateway {
	g := adminapi.Gateway{Version: adminapi.Version()}
	g.Name, _ = os.Hostname()
	g.Caddy, _ = caddy.Version()
	return g
})
