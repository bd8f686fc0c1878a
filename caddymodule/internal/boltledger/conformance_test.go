package boltledger

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger/ledgertest"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestConformance: it makes no difference whether what has ended is still in the
// file. Nothing of a ledger that was closed is left running.
func TestConformance(t *testing.T) {
	for _, swept := range []bool{false, true} {
		t.Run(fmt.Sprint("swept ", swept), func(t *testing.T) {
			ledgertest.Run(t, func(t *testing.T) ledgertest.Storage {
				path := filepath.Join(t.TempDir(), "ledger.db")
				var l *Ledger
				return ledgertest.Storage{
					Open: func(now func() time.Time) ledger.Ledger {
						l = New(Options{Path: path, Now: now})
						l.sweepInterval = time.Hour
						return l
					},
					Pass: func(time.Duration) {
						if swept && l.session != nil {
							l.sweep(t, l.clock.unix())
						}
					},
				}
			})
		})
	}
	testbed.Succeeds(t, "the goroutines end", func() error {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if n := strings.Count(string(stacks), "boltledger.(*session)"); n > 0 {
			return fmt.Errorf("%d run:\n%s", n, stacks)
		}
		return nil
	})
}
