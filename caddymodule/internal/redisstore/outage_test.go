package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestRestart: while Redis is gone the remembered is served, nothing else is
// known, and nobody waits; when it is back, what it has then counts.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options, logs := logged()
	options.StaleIfError = time.Hour
	kept := ready(t, "redis://"+server.Addr, options)
	strict := ready(t, "redis://"+server.Addr, Options{})
	change(t, kept, to("1"), "w", "x")
	remembers(t, kept, "w", "1")
	remembers(t, strict, "w", "1")

	server.Kill()
	testbed.Until(t, "away", func() bool { return kept.away.Load() != nil && strict.away.Load() != nil })
	wants(t, kept, "w", "1")
	wants(t, kept, "x", "unavailable")
	wants(t, kept, "none", "unavailable")
	testbed.Until(t, "the end of the lease", func() bool { return version(strict, "w") == "unavailable" })
	wants(t, kept, "w", "1")
	if !kept.Speaks("nextcap") {
		t.Error("it is sure that a dialect is not spoken")
	}
	if err := kept.Update(context.Background(), []string{"w"}, to("2")); !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("a change: %v", err)
	}
	testbed.Until(t, "the state says what to do", func() bool {
		err := kept.Err()
		return errors.Is(err, widgets.ErrUnavailable) && strings.Contains(err.Error(), "see whether Redis runs")
	})

	server.Restart()
	testbed.Until(t, "it is back", func() bool { return kept.Err() == nil && version(kept, "x") == "1" })
	wants(t, kept, "w", "1")
	backs := func(n int) {
		testbed.Until(t, "it is logged", func() bool { return logs.FilterMessageSnippet("can be used again").Len() == n })
	}
	backs(1)

	server.Kill()
	testbed.Until(t, "away again", func() bool { return kept.away.Load() != nil })
	server.Empty()
	server.Restart()
	testbed.Until(t, "it is back, empty", func() bool { return kept.Err() == nil && kept.Loss() != "" })
	if gone := logs.FilterMessageSnippet("cannot be used"); gone.Len() != 2 || logs.Len() != 4 {
		t.Errorf("logged: %v", logs.All())
	}
	backs(1)
}

// TestStaleEnds: what is remembered is served for so long and no longer.
func TestStaleEnds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var moved atomic.Int64
	options := Options{StaleIfError: time.Hour}
	options.Now = func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }
	s := ready(t, "redis://"+server.Addr, options)
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	server.Kill()
	testbed.Until(t, "away", func() bool { return s.away.Load() != nil })
	moved.Store(int64(50 * time.Minute))
	wants(t, s, "w", "1")
	moved.Store(int64(61 * time.Minute))
	wants(t, s, "w", "unavailable")
}

// TestConnectionCut: a lost connection is made again, and what was changed
// meanwhile is not missed. Redis was not away.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options, logs := logged()
	options.StaleIfError = time.Hour
	s, other := ready(t, "redis://"+server.Addr, options), ready(t, "redis://"+server.Addr, Options{})
	for i := range 3 {
		want := fmt.Sprint(i)
		change(t, other, to(want), "w")
		wants(t, s, "w", want)
		server.Do("CLIENT", "KILL", "TYPE", "normal")
		beats(t, s)
		beats(t, other)
	}
	if logs.Len() != 0 {
		t.Errorf("logged: %v", logs.All())
	}
}

// TestAwayAtStart: opening works without a server, and it is found when it comes.
func TestAwayAtStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Kill()
	s := gateway(t, "redis://"+server.Addr, Options{StaleIfError: time.Hour})
	wants(t, s, "w", "unavailable")
	if err := s.Err(); !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("the state: %v", err)
	}
	if _, err := s.List(context.Background(), "", 1); !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("a list: %v", err)
	}
	server.Restart()
	testbed.Until(t, "it is there", func() bool { return s.Err() == nil && version(s, "w") == "unknown" })
}

// TestReplica: what is now a replica is told of changes later than writers
// believe, so it is as good as away.
func TestReplica(t *testing.T) {
	t.Parallel()
	primary, server := redistest.Start(t), redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, to("1"), "w")
	server.Do("REPLICAOF", "127.0.0.1", primary.Port)
	testbed.Until(t, "read only", func() bool {
		err := s.Err()
		return err != nil && strings.Contains(err.Error(), "name the primary") && version(s, "w") == "unavailable"
	})
	if err := s.Update(context.Background(), []string{"w"}, to("2")); !errors.Is(err, widgets.ErrUnavailable) {
		t.Errorf("a change: %v", err)
	}
	server.Do("REPLICAOF", "NO", "ONE")
	testbed.Until(t, "writable", func() bool { return s.Err() == nil })
}

// TestFull: without memory nothing is written, and everything is served.
func TestFull(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options, logs := logged()
	s := ready(t, "redis://"+server.Addr, options)
	change(t, s, to("1"), "w", "gone")
	server.Do("CONFIG", "SET", "maxmemory", "1") // the policy is noeviction by default
	err := s.Update(context.Background(), []string{"w", "new"}, to("2"))
	if !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "maxmemory") {
		t.Errorf("a change: %v", err)
	}
	testbed.Until(t, "the state", func() bool { return s.Err() != nil && strings.Contains(s.Err().Error(), "maxmemory") })
	wants(t, s, "w", "1")
	wants(t, s, "new", "unknown")
	change(t, s, becomes(nil), "gone") // that takes no memory
	wants(t, s, "gone", "unknown")
	server.Do("CONFIG", "SET", "maxmemory", "0")
	testbed.Until(t, "memory", func() bool { return s.Err() == nil })
	change(t, s, to("2"), "w")
	testbed.Until(t, "both to be logged", func() bool { return logs.FilterMessageSnippet("takes").Len() == 2 })
	if logs.Len() != 2 {
		t.Errorf("logged: %v", logs.All())
	}
}

// TestUnreadRecord: while a record cannot be read, though heartbeats say that it has not
// changed, what is cached of it is current.
func TestUnreadRecord(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "gateway", "on", ">right", "+@all", "~chat_identity:{w}*")
	var moved atomic.Int64
	s := ready(t, "redis://gateway:right@"+server.Addr, Options{Now: func() time.Time { return time.Now().Add(time.Duration(moved.Load())) }})
	other := ready(t, "redis://"+server.Addr, Options{})
	change(t, other, to("1"), "w")
	remembers(t, s, "w", "1")
	server.Do("ACL", "SETUSER", "gateway", "resetkeys", "~chat_identity:{w}[a-z]*")
	moved.Store(int64(reread))
	beats(t, s)
	wants(t, s, "w", "1")
	wants(t, s, "x", "unavailable")
	change(t, other, to("2"), "w")
	wants(t, s, "w", "unavailable")
}
