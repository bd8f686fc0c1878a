package redisledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// says wants an error that is the ledger's and says so.
func says(t *testing.T, what string, err error, text string) {
	t.Helper()
	if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got %v, want it to say %q", what, err, text)
	}
}

// until waits for the ledger's Err to say that, or nothing.
func until(t *testing.T, l *Ledger, text string) {
	t.Helper()
	testbed.Succeeds(t, "Err says "+text, func() error {
		err := l.Err()
		if text == "" {
			return err
		}
		if err == nil || !strings.Contains(err.Error(), text) {
			return fmt.Errorf("it says %v", err)
		}
		return nil
	})
}

func observed() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	return zap.New(core), logs
}

// TestPolicy changes at run time what the server does when its memory is full.
func TestPolicy(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	log, logs := observed()
	l := at(t, s, func(o *Options) { o.Log = log })
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "maxmemory-policy noeviction")
	if n := s.Do("DBSIZE"); n != "0" {
		t.Errorf("%s keys were written", n)
	}
	s.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	until(t, l, "")
	accept(t, l, "token ")
	s.Do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	until(t, l, "volatile-ttl")
	_, err := l.Reserve(t.Context(), key("k"), holder("a"), soon(), ledger.Share{})
	says(t, "reserving", err, "volatile-ttl")
	s.Do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	until(t, l, "")
	// What lasts is logged once. Where the second policy came late, on a busy machine, it is
	// another trouble.
	testbed.Succeeds(t, "the log says that it is available again, as often as it was not", func() error {
		if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n == 0 || logs.FilterMessageSnippet("available again").Len() != n {
			return fmt.Errorf("logged: %v", logs.All())
		}
		return nil
	})
}

func TestReplica(t *testing.T) {
	primary := redistest.Start(t, volatile...)
	primary.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", fmt.Sprint(primary.Port))
	l := at(t, replica)
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "name the primary")
	replica.Do("REPLICAOF", "NO", "ONE")
	until(t, l, "")
	used := accept(t, l, "token ")
	// Demoted under way: the next call may be the first to find out.
	replica.Do("REPLICAOF", "127.0.0.1", fmt.Sprint(primary.Port))
	if accepted, err := spend(l, used); accepted {
		t.Error("a token was accepted twice", err)
	}
	until(t, l, "name the primary")
	// A replica has the marker, so nothing but its role speaks against it.
	opened(t, at(t, primary))
	testbed.Succeeds(t, "the replica has the marker", func() error {
		if got := replica.Do("GET", l.markerKey()); got != primary.Do("GET", l.markerKey()) {
			return errors.New("not yet")
		}
		return nil
	})
	says(t, "opening", failed(at(t, replica).Open(t.Context(), ledger.Window{})), "name the primary")
}

func TestFullMemory(t *testing.T) {
	s := redistest.Start(t, volatile...)
	l := opened(t, at(t, s))
	used := accept(t, l, "token ")
	s.Do("CONFIG", "SET", "maxmemory", "1")
	_, err := l.Reserve(t.Context(), key("k"), holder("a"), soon(), ledger.Share{})
	says(t, "reserving", err, "no memory left")
	until(t, l, "no memory left")
	// What is known can still be asked for.
	if e, err := l.Held(t.Context(), used.key); err != nil || e.Holder == (ledger.Holder{}) {
		t.Errorf("held: %v, %v", e, err)
	}
	if accepted, err := spend(l, used); accepted || err != nil {
		t.Errorf("again: %v, %v", accepted, err)
	}
	s.Do("CONFIG", "SET", "maxmemory", "0")
	until(t, l, "")
	accept(t, l, "another ")
}

func TestPasswords(t *testing.T) {
	s := redistest.Start(t, volatile...)
	s.Do("CONFIG", "SET", "requirepass", "right")
	as := func(user string) *Ledger { return on(t, "redis://"+user+s.Addr) }
	says(t, "none", failed(as("").Open(t.Context(), ledger.Window{})), "asks for a password")
	says(t, "wrong", failed(as(":wrong@").Open(t.Context(), ledger.Window{})), "correct the user and the password")
	accept(t, as(":right@"), "token ")
}

// rights are those that the package's documentation names.
const rights = "-@all +eval +evalsha +info +ping +time +get +set +del +pexpireat +zadd +zcount +zrange +zrem +zremrangebyscore"

func TestRights(t *testing.T) {
	s := redistest.Start(t, volatile...)
	as := func(rules string) *Ledger {
		name := fmt.Sprint("user", len(rules))
		s.Do(append([]string{"ACL", "SETUSER", name, "reset", "on", ">secret", "~test:{l}*"}, strings.Fields(rules)...)...)
		return on(t, "redis://"+name+":secret@"+s.Addr+"?prefix=test:")
	}
	l := as(rights)
	share := ledger.Share{Owner: key("owner"), Limit: 2}
	end := soon()
	for _, k := range []string{"1", "2"} {
		if e, err := l.Reserve(t.Context(), key(k), holder("a"), end, share); err != nil || e.Holder != holder("a") {
			t.Fatal(e, err)
		}
	}
	if _, err := l.Reserve(t.Context(), key("3"), holder("a"), end, share); !errors.Is(err, ledger.ErrShare) {
		t.Error(err)
	}
	if _, err := l.Keep(t.Context(), key("1"), holder("a"), end.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if err := l.Release(t.Context(), key("2"), holder("a"), end); err != nil {
		t.Error(err)
	}
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	says(t, "without info", failed(as(strings.Replace(rights, " +info", "", 1)).Open(t.Context(), ledger.Window{})), "give the user this right")
	says(t, "without eval", failed(as(strings.NewReplacer(" +evalsha", "", " +eval", "").Replace(rights)).Open(t.Context(), ledger.Window{})), "give the user this right")
	unable := as(strings.Replace(rights, " +del", "", 1))
	says(t, "without del", unable.Release(t.Context(), key("1"), holder("a"), end.Add(time.Hour)), "give the user this right")
}

// TestAway starts without a server, and loses it.
func TestAway(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, volatile...)
	s.Kill()
	log, logs := observed()
	l := at(t, s, func(o *Options) { o.Log = log })
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "see whether Redis runs")
	s.Restart()
	until(t, l, "")
	accept(t, l, "token ")
	s.Kill()
	until(t, l, "see whether Redis runs")
	s.Restart()
	accept(t, l, "token ")
	testbed.Succeeds(t, "the log", func() error {
		if logs.FilterMessageSnippet("available again").Len() == 0 {
			return errors.New("does not say that it is back")
		}
		return nil
	})
	if logs.FilterLevelExact(zap.ErrorLevel).Len() > 3 {
		t.Error(logs.All())
	}
}

// TestCallersGiveUp has callers be in more haste than the server.
func TestCallersGiveUp(t *testing.T) {
	s := redistest.Start(t, volatile...)
	l := opened(t, at(t, s))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Held(ctx, key("k"))
	says(t, "held", err, "the caller did not wait")
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	accept(t, l, "token ")
}

// TestForeign finds what is not the ledger's under its keys.
func TestForeign(t *testing.T) {
	s := redistest.Start(t, volatile...)
	s.Do("SET", "test:{l}", "something")
	l := at(t, s)
	says(t, "marker", failed(l.Open(t.Context(), ledger.Window{})), "something else writes under this prefix")
	s.Do("DEL", "test:{l}")
	until(t, l, "")
	s.Do("SET", l.entryKey(key("k")), "something")
	_, err := l.Reserve(t.Context(), key("k"), holder("a"), soon(), ledger.Share{})
	says(t, "entry", err, "something else writes under this prefix")
	s.Do("DEL", l.entryKey(key("k")))
	s.Do("RPUSH", l.entryKey(key("k")), "something")
	_, err = l.Held(t.Context(), key("k"))
	says(t, "list", err, "WRONGTYPE")
	accept(t, l, "token ")
}

// TestNotTold names a cluster's node in a URL for one server.
func TestNotTold(t *testing.T) {
	t.Parallel()
	l := at(t, redistest.StartCluster(t, 1)[0])
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "redis+cluster")
}

// TestOldServer: neither HELLO nor CLIENT nor CONFIG is needed.
func TestOldServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "HELLO", "", "--rename-command", "CLIENT", "", "--rename-command", "CONFIG", "")
	l := opened(t, at(t, server))
	used := accept(t, l, "token ")
	refuse(t, l, used)
}
