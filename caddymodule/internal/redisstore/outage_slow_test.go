//go:build slow

package redisstore

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestSlowCluster: all keys lie in one slot, before the cluster is up, while it is
// away, and after it is back.
func TestSlowCluster(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--cluster-enabled", "yes")
	down := gateway(t, "redis+cluster://"+server.Addr, Options{})
	testbed.Until(t, "it is not up yet", func() bool { return down.away.Load() != nil })
	server.AddSlots(0, redistest.Slots)
	testbed.Until(t, "the cluster is up", func() bool { return strings.Contains(server.Do("CLUSTER", "INFO"), "cluster_state:ok") })
	a, b := ready(t, "redis+cluster://"+server.Addr, Options{StaleIfError: time.Hour}), ready(t, "redis+cluster://"+server.Addr, Options{})
	change(t, a, to("1"), "w", "x", "y")
	remembers(t, a, "w", "1")
	change(t, b, to("2"), "w", "y")
	wants(t, a, "w", "2")
	change(t, b, becomes(nil), "x")
	if got := listed(t, a, "", 10); got != "w y" {
		t.Errorf("there are %s", got)
	}
	remembers(t, a, "w", "2")
	server.Kill()
	testbed.Until(t, "away", func() bool { return a.away.Load() != nil })
	wants(t, a, "w", "2")
	server.Restart()
	testbed.Until(t, "it is back", func() bool {
		return a.Err() == nil && b.Err() == nil && version(a, "y") == "2" && version(b, "y") == "2"
	})
	change(t, b, to("3"), "w")
	wants(t, a, "w", "3")
	testbed.Until(t, "who came too early", func() bool { return down.Err() == nil && version(down, "w") == "3" })
}

// TestSlowSentinel: after a failover the new primary is found, and a demoted one
// gives no lease.
func TestSlowSentinel(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := primary.StartReplica()
	sentinel := primary.StartSentinels(1, 1)[0]
	address := "redis+sentinel://" + sentinel.Addr + "/main"
	a, b := ready(t, address, Options{}), ready(t, address, Options{})
	change(t, a, to("1"), "w")
	change(t, b, to("2"), "w")
	wants(t, a, "w", "2")
	primary.FailOver(replica)
	testbed.Until(t, "both have found it", func() bool {
		return version(a, "w") == "2" && version(b, "w") == "2" && a.Err() == nil && b.Err() == nil
	})
	change(t, b, to("3"), "w")
	wants(t, a, "w", "3")
}

// TestSlowFrozen: a server that does not answer holds up only those who asked it
// before that was known.
func TestSlowFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{StaleIfError: time.Hour})
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	server.Pause()
	defer server.Resume()
	// Far more than fit into a connection.
	var asked sync.WaitGroup
	for i := range 3000 {
		asked.Go(func() { _, _ = s.Lookup(t.Context(), fmt.Appendf(nil, "none%d", i)) })
	}
	all := make(chan struct{})
	go func() { asked.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(time.Minute):
		t.Fatal("lookups hang")
	}
	testbed.Until(t, "away", func() bool { return s.away.Load() != nil })
	if err := s.Err(); !strings.Contains(err.Error(), "overloaded or stopped") {
		t.Errorf("the state: %v", err)
	}
	for range 1000 {
		wants(t, s, "w", "1")
		wants(t, s, "none", "unavailable")
	}
	server.Resume()
	testbed.Until(t, "it is back", func() bool { return s.Err() == nil })
	change(t, s, to("2"), "w")
	wants(t, s, "w", "2")
}
