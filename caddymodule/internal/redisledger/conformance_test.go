package redisledger

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger/ledgertest"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestConformance: it makes no difference whether Redis is one server or the nodes
// of a cluster. Nothing of a ledger that was closed is left running.
func TestConformance(t *testing.T) {
	for _, c := range []struct{ name, scheme string }{{"server", "redis"}, {"cluster", "redis+cluster"}} {
		t.Run(c.name, func(t *testing.T) {
			nodes := []*redistest.Server{redistest.Start(t)}
			if c.name == "cluster" {
				nodes = redistest.StartCluster(t, 3)
			}
			ledgertest.Run(t, func(t *testing.T) ledgertest.Storage {
				for _, s := range nodes {
					s.Do("FLUSHALL")
				}
				url := c.scheme + "://" + nodes[0].Addr
				return ledgertest.Storage{
					Open: func(now func() time.Time) ledger.Ledger {
						return on(t, url, func(o *Options) { o.Now = now })
					},
					Shared: true,
					Pass: func(d time.Duration) {
						for _, s := range nodes {
							elapse(t, clientOf(t, s), d)
						}
					},
					Slack: 30 * time.Second,
				}
			})
		})
	}
	testbed.Succeeds(t, "the goroutines end", func() error {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if n := strings.Count(string(stacks), "redisledger.(*Ledger)"); n > 0 {
			return fmt.Errorf("%d run:\n%s", n, stacks)
		}
		return nil
	})
}
