package caddymodule

import (
	"io"

	"github.com/caddyserver/caddy/v2"
)

// pooled is a resource that configurations share under a key. The first opens it, and
// the last to clean up closes it. Caddy loads a new configuration before it ends the old
// one, so a reload keeps it open. Requests that still use it after it was closed are
// answered from memory, or fail closed.
type pooled[T any] struct {
	shared T
	key    any // nil before take
}

var pool = caddy.NewUsagePool()

type (
	poolKey[T any]   string
	poolEntry[T any] struct{ shared T }
)

// Destruct implements [caddy.Destructor].
func (e poolEntry[T]) Destruct() error {
	if c, ok := any(e.shared).(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// take acquires what is shared under that key, and opens it if nobody has.
func (p *pooled[T]) take(key string, open func() (T, error)) error {
	loaded, _, err := pool.LoadOrNew(poolKey[T](key), func() (caddy.Destructor, error) {
		shared, err := open()
		return poolEntry[T]{shared}, err
	})
	if err != nil {
		return err
	}
	p.shared, p.key = loaded.(poolEntry[T]).shared, poolKey[T](key)
	return nil
}

// Cleanup implements [caddy.CleanerUpper]: it releases what is shared.
func (p *pooled[T]) Cleanup() error {
	if p.key == nil {
		return nil
	}
	_, err := pool.Delete(p.key)
	return err
}
