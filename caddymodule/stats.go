package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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

// stats answers the requests since the process started.
func (c *adminCall) stats() error {
	query, err := c.query("top")
	if err != nil {
		return err
	}
	top, err := numberIn(query, "top", 0, traffic.MaxShown)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, observed.Stats(top))
}

// query returns the call's parameters, of which these are known. A slip of the
// pen must not be taken for a call without it.
func (c *adminCall) query(known ...string) (url.Values, error) {
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, adminError(http.StatusBadRequest, "the query is not well-formed")
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return nil, adminError(http.StatusBadRequest, "this call takes no query parameters")
			}
			return nil, adminError(http.StatusBadRequest, "this call takes the query parameters %s, and no other", strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, adminError(http.StatusBadRequest, "%s is given twice", name)
		}
	}
	return query, nil
}

// numberIn returns a parameter from 1 to a largest value, or else what it is
// where it is not given.
func numberIn(query url.Values, name string, without, largest int) (int, error) {
	text := query.Get(name)
	if text == "" && !query.Has(name) {
		return without, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > largest {
		return 0, adminError(http.StatusBadRequest, "%s is a number from 1 to %d", name, largest)
	}
	return n, nil
}
