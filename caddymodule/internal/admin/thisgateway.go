package admin

import (
	"os"
	"runtime/debug"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// modulePath is the Go module of this package.
const modulePath = "github.com/chatidentity/caddy-chat-identity"

// thisGateway says on which host this is, and its versions.
var thisGateway = sync.OnceValue(func() adminapi.Gateway {
	g := adminapi.Gateway{Version: "(devel)"}
	g.Name, _ = os.Hostname()
	g.Caddy, _ = caddy.Version()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return g
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path != modulePath {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version != "" {
			g.Version = m.Version
		}
	}
	return g
})
