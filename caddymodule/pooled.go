package caddymodule

import (
	"io"

	"github.com/caddyserver/caddy/v2"
)

// pooled is what several configurations share under a key, since it outlives a
// configuration: the first opens it, and the last that cleans up closes it, where
// it can be closed. Caddy loads a new configuration before it ends the old one, or
// ends the new one where that fails, so a reload changes nothing of it. Requests of
// an old configuration that still use it then are answered from what is in memory,
// or fail closed.
type pooled[T any] struct {
	shared T
	key    any // nil where nothing is held
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

// take takes what is shared under that key, and opens it where nobody does.
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

// Cleanup implements [caddy.CleanerUpper]: it gives back what is shared.
func (p *pooled[T]) Cleanup() error {
	if p.key == nil {
		return nil
	}
	_, err := pool.Delete(p.key)
	return err
}
