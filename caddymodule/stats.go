package caddymodule

import (
	"context"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// observed counts requests since the process started. Reloads keep it.
var observed = traffic.New(time.Now)

// samplers is the sampling of what is counted. It is one for all
// configurations, and ends with the last.
var samplers = caddy.NewUsagePool()

const samplerKey = "requests"

type sampler struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

// sampling starts the sampling, unless it is done already.
func sampling() error {
	_, _, err := samplers.LoadOrNew(samplerKey, func() (caddy.Destructor, error) {
		ctx, stop := context.WithCancel(context.Background())
		s := &sampler{stop: stop}
		counted := observed
		s.done.Go(func() { counted.Run(ctx) })
		return s, nil
	})
	return err
}

// Destruct ends the sampling.
func (s *sampler) Destruct() error {
	s.stop()
	s.done.Wait()
	return nil
}
