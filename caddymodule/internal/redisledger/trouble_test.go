package redisledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
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
	eventually(t, "Err says "+text, func() error {
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
	s := serve(t, "--maxmemory-policy", "allkeys-lru")
	log, logs := observed()
	l := s.ledger(func(o *Options) { o.Log = log })
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "maxmemory-policy noeviction")
	if n := s.do("DBSIZE"); n != "0" {
		t.Errorf("%s keys were written", n)
	}
	s.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	until(t, l, "")
	accept(t, l, "token ")
	s.do("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
	until(t, l, "volatile-ttl")
	_, err := l.Reserve(t.Context(), key("k"), holder("a"), soon(), ledger.Share{})
	says(t, "reserving", err, "volatile-ttl")
	s.do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	until(t, l, "")
	if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 1 {
		t.Errorf("%d errors were logged, want one a minute: %v", n, logs.All())
	}
	if n := logs.FilterMessageSnippet("available again").Len(); n != 1 {
		t.Errorf("%d lines say that it is available again", n)
	}
}

func TestReplica(t *testing.T) {
	primary := serve(t)
	primary.do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	replica := serve(t, "--replicaof", "127.0.0.1", fmt.Sprint(primary.port))
	l := replica.ledger()
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "address of the primary")
	replica.do("REPLICAOF", "NO", "ONE")
	until(t, l, "")
	used := accept(t, l, "token ")
	// Demoted under way: the next call may be the first to find out.
	replica.do("REPLICAOF", "127.0.0.1", fmt.Sprint(primary.port))
	if accepted, err := spend(l, used); accepted {
		t.Error("a token was accepted twice", err)
	}
	until(t, l, "the primary")
	// A replica has the marker, so nothing but its role speaks against it.
	opened(t, primary.ledger())
	eventually(t, "the replica has the marker", func() error {
		if got := replica.do("GET", l.markerKey()); got != primary.do("GET", l.markerKey()) {
			return errors.New("not yet")
		}
		return nil
	})
	says(t, "opening", failed(replica.ledger().Open(t.Context(), ledger.Window{})), "address of the primary")
}

func TestFullMemory(t *testing.T) {
	s := serve(t)
	l := opened(t, s.ledger())
	used := accept(t, l, "token ")
	s.do("CONFIG", "SET", "maxmemory", "1")
	_, err := l.Reserve(t.Context(), key("k"), holder("a"), soon(), ledger.Share{})
	says(t, "reserving", err, "memory is full")
	until(t, l, "memory is full")
	// What is known can still be asked for.
	if e, err := l.Held(t.Context(), used.key); err != nil || e.Holder == (ledger.Holder{}) {
		t.Errorf("held: %v, %v", e, err)
	}
	if accepted, err := spend(l, used); accepted || err != nil {
		t.Errorf("again: %v, %v", accepted, err)
	}
	s.do("CONFIG", "SET", "maxmemory", "0")
	until(t, l, "")
	accept(t, l, "another ")
}

func TestPasswords(t *testing.T) {
	s := serve(t)
	s.do("CONFIG", "SET", "requirepass", "right")
	as := func(password string) *Ledger {
		return s.ledger(func(o *Options) { o.Client = s.dial(func(c *rueidis.ClientOption) { c.Password = password }) })
	}
	says(t, "none", failed(as("").Open(t.Context(), ledger.Window{})), "wants a password")
	says(t, "wrong", failed(as("wrong").Open(t.Context(), ledger.Window{})), "password is wrong")
	accept(t, as("right"), "token ")
}

// rights are those that the package's documentation names.
const rights = "-@all +eval +evalsha +info +ping +time +get +set +del +pexpireat +zadd +zcard +zscore +zrange +zrem +zremrangebyscore"

func TestRights(t *testing.T) {
	s := serve(t)
	as := func(rules string) *Ledger {
		name := fmt.Sprint("user", len(rules))
		s.do(append([]string{"ACL", "SETUSER", name, "reset", "on", ">secret", "~test:l", "~test:l:*", "~test:ls:*"}, strings.Fields(rules)...)...)
		return s.ledger(func(o *Options) {
			o.Client = s.dial(func(c *rueidis.ClientOption) { c.Username, c.Password = name, "secret" })
		})
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
	says(t, "without info", failed(as(strings.Replace(rights, " +info", "", 1)).Open(t.Context(), ledger.Window{})), "+info")
	says(t, "without eval", failed(as(strings.NewReplacer(" +evalsha", "", " +eval", "").Replace(rights)).Open(t.Context(), ledger.Window{})), "has not the right")
	unable := as(strings.Replace(rights, " +del", "", 1))
	says(t, "without del", unable.Release(t.Context(), key("1"), holder("a"), end.Add(time.Hour)), "has not the right")
}

// TestAway starts without a server, and loses it.
func TestAway(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.kill()
	log, logs := observed()
	l := s.ledger(func(o *Options) { o.Log = log })
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "cannot be reached")
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	until(t, l, "")
	accept(t, l, "token ")
	s.kill()
	until(t, l, "cannot be reached")
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	accept(t, l, "token ")
	eventually(t, "the log", func() error {
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
	s := serve(t)
	l := opened(t, s.ledger())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Held(ctx, key("k"))
	says(t, "held", err, "context canceled")
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	accept(t, l, "token ")
}

func TestComplaints(t *testing.T) {
	for _, test := range []struct {
		text     string
		answered bool
		want     complaint
	}{
		{"OOM command not allowed when used memory > 'maxmemory'. script: 12, on @user_script:12.", true, complaints[0]},
		{"ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -OOM command not allowed", true, complaints[0]},
		{"READONLY You can't write against a read only replica. script: 12", true, complaints[1]},
		{"NOAUTH HELLO must be called with the client already authenticated", true, complaints[2]},
		{"ERR The user executing the script can't run this command or subcommand script: 12", true, complaints[4]},
		{"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", true, complaints[6]},
		{"ERR unknown command 'EVALSHA'", true, unexpected},
		{"dial tcp: lookup READONLY : no such host", false, unreachable},
		{"EOF", false, unreachable},
	} {
		if got := complaintIn(test.text, test.answered); got != test.want {
			t.Errorf("%s: %q", test.text, got.code)
		}
	}
	for _, c := range complaints {
		if c.advice == "" {
			t.Errorf("%s has no advice", c.code)
		}
	}
}

// TestForeign finds what is not the ledger's under its keys.
func TestForeign(t *testing.T) {
	s := serve(t)
	s.do("SET", "test:l", "something")
	l := s.ledger()
	says(t, "marker", failed(l.Open(t.Context(), ledger.Window{})), "something else writes under this prefix")
	s.do("DEL", "test:l")
	until(t, l, "")
	s.do("SET", l.entryKey(key("k")), "something")
	_, err := l.Reserve(t.Context(), key("k"), holder("a"), soon(), ledger.Share{})
	says(t, "entry", err, "something else writes under this prefix")
	s.do("DEL", l.entryKey(key("k")))
	s.do("RPUSH", l.entryKey(key("k")), "something")
	_, err = l.Held(t.Context(), key("k"))
	says(t, "list", err, "WRONGTYPE")
	accept(t, l, "token ")
}

// TestNotTold dials a cluster's node with a client for one server.
func TestNotTold(t *testing.T) {
	t.Parallel()
	s := spread(t)
	l := s.ledger(func(o *Options) { o.Client = s.dial() })
	says(t, "opening", failed(l.Open(t.Context(), ledger.Window{})), "node of a cluster")
	found := s.ledger(func(o *Options) { o.Client = s.dial(func(c *rueidis.ClientOption) { c.ForceSingleClient = false }) })
	if !found.cluster {
		t.Error("the client's mode is not looked at")
	}
	accept(t, found, "token ")
}
