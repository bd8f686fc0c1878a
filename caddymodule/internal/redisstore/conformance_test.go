package redisstore

import (
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets/storetest"
)

// TestConformance: it makes no difference whether Redis is one server or the nodes
// of a cluster.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, scheme string }{{"server", "redis"}, {"cluster", "redis+cluster"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			nodes := []*redistest.Server{redistest.Start(t)}
			if c.name == "cluster" {
				nodes = redistest.StartCluster(t, 3)
			}
			storetest.Run(t, func(t *testing.T) func() widgets.Store {
				for _, s := range nodes {
					s.Do("FLUSHALL")
				}
				options, err := redislink.Parse(c.scheme + "://" + nodes[0].Addr)
				if err != nil {
					t.Fatal(err)
				}
				link, err := redislink.Open(options)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = link.Close() })
				return func() widgets.Store { return Open(Options{Link: link}) }
			})
		})
	}
}
