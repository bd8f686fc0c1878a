package redisledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

func key(name string) ledger.Key       { return sha256.Sum256([]byte("key " + name)) }
func holder(name string) ledger.Holder { return sha256.Sum256([]byte("holder " + name)) }
func soon() time.Time                  { return time.Now().Add(time.Minute) }

// base is where the hand clocks begin: years away from the server's clock, which
// must not matter.
const base = 1_900_000_000

// volatile are the arguments of a server that keeps nothing over a restart.
var volatile = []string{"--appendonly", "no"}

// on returns a ledger at the URL. It is closed when the test ends.
func on(t testing.TB, url string, change ...func(*Options)) *Ledger {
	t.Helper()
	options, err := redislink.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	link, err := redislink.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Link: link}
	for _, change := range change {
		change(&o)
	}
	l := New(o)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		_ = link.Close()
	})
	return l
}

// at returns a ledger on the server.
func at(t testing.TB, s *redistest.Server, change ...func(*Options)) *Ledger {
	t.Helper()
	return on(t, "redis://"+s.Addr+"?prefix=test:", change...)
}

func opened(t testing.TB, l *Ledger) *Ledger {
	t.Helper()
	openedFor(t, l, ledger.Window{})
	return l
}

// openedFor opens the ledger for a window, and returns its id. On a busy machine, the
// server may not answer in time at first.
func openedFor(t testing.TB, l *Ledger, w ledger.Window) (id string) {
	t.Helper()
	testbed.Succeeds(t, "the ledger opens", func() (err error) {
		if id, err = l.Open(t.Context(), w); err != nil && !errors.Is(err, ledger.ErrUnavailable) {
			t.Fatal(err)
		}
		return err
	})
	if id == "" {
		t.Fatal("the ledger has no id")
	}
	return id
}

// clientOf returns a client that is closed when the test ends.
func clientOf(t testing.TB, s *redistest.Server) rueidis.Client {
	c := s.Dial(rueidis.ClientOption{})
	t.Cleanup(c.Close)
	return c
}

// elapse makes it later for everything under the prefix, which is how a test has
// time pass.
func elapse(t testing.TB, c rueidis.Client, d time.Duration) {
	t.Helper()
	const script = `
local d = tonumber(ARGV[1])
for _, k in ipairs(redis.call('KEYS', '*')) do
	if redis.call('TYPE', k).ok == 'zset' then
		local places = redis.call('ZRANGE', k, 0, -1)
		for _, p in ipairs(places) do redis.call('ZINCRBY', k, -d, p) end
	end
	local left = redis.call('PTTL', k)
	if left >= 0 then
		if left <= d then redis.call('DEL', k) else redis.call('PEXPIRE', k, left - d) end
	end
end
return 1`
	if err := c.Do(context.Background(), c.B().Eval().Script(script).Numkeys(0).Arg(strconv.FormatInt(d.Milliseconds(), 10)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// handClock is a clock that tests set.
type handClock struct {
	mu   sync.Mutex
	wall time.Time
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
}

func failed(_ string, err error) error { return err }

var errNotYet = errors.New("not yet")

func restart(s *redistest.Server) {
	s.Kill()
	s.Restart()
}
