package caddymodule

import (
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
)

// spools holds the one spool of the process while a configuration uses it.
var spools = caddy.NewUsagePool()

type pooledSpool struct{ body.Spool }

// Destruct implements [caddy.Destructor]. Files are their requests'.
func (*pooledSpool) Destruct() error { return nil }

const spoolKey = "spool"

// provisionSpool checks where temporary files are to be, and joins the spool.
func (a *App) provisionSpool() error {
	if a.MaxSpool < 0 {
		return fmt.Errorf("max_spool: %d bytes is not from 1 byte up", a.MaxSpool)
	}
	if a.Spool != "" {
		if info, err := os.Stat(a.Spool); err != nil || !info.IsDir() {
			return fmt.Errorf("spool: %s is no folder that can be used: create it for the user that Caddy runs as", a.Spool)
		}
	}
	loaded, _, err := spools.LoadOrNew(spoolKey, func() (caddy.Destructor, error) { return new(pooledSpool), nil })
	if err != nil {
		return err
	}
	a.spool = &loaded.(*pooledSpool).Spool
	return nil
}

// useSpool has the files be where this configuration says.
func (a *App) useSpool() {
	a.spool.Configure(a.Spool, a.MaxSpool)
	if body.InMemory(a.spool.Dir()) {
		a.log.Warn("temporary files of uploads lie in memory: name a folder on a disk with spool, or lower max_spool")
	}
}

// leaveSpool undoes provisionSpool.
func (a *App) leaveSpool() {
	if a.spool != nil {
		_, _ = spools.Delete(spoolKey)
	}
}
