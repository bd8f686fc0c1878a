package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// handedOver is what one configuration hands to the next. Caddy loads the new one
// before it ends the old one, or ends the new one where that fails, so what both
// use stays as it is; it ends with the last that uses it.
var handedOver = caddy.NewUsagePool()

// handover is a value in that pool.
type handover[T any] struct {
	value T
	end   func() // nil where nothing is to be done
}

// Destruct implements [caddy.Destructor].
func (h handover[T]) Destruct() error {
	if h.end != nil {
		h.end()
	}
	return nil
}

// takeOver returns what the configuration before uses under that key, or what is
// created, until the app's Cleanup.
func takeOver[T any](a *App, key any, create func() (handover[T], error)) (T, error) {
	loaded, _, err := handedOver.LoadOrNew(key, func() (caddy.Destructor, error) { return create() })
	if err != nil {
		var none T
		return none, err
	}
	a.tookOver = append(a.tookOver, key)
	return loaded.(handover[T]).value, nil
}

// trafficKey is the key of the counts of requests.
const trafficKey = "traffic"

// newTraffic returns what begins to count requests by that clock.
func newTraffic(clock func() time.Time) func() (handover[*traffic.Traffic], error) {
	return func() (handover[*traffic.Traffic], error) {
		counts := traffic.New(clock)
		ctx, stop := context.WithCancel(context.Background())
		var sampling sync.WaitGroup
		sampling.Go(func() { counts.Run(ctx) })
		return handover[*traffic.Traffic]{counts, func() { stop(); sampling.Wait() }}, nil
	}
}
