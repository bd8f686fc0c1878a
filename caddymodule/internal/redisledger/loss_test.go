package redisledger

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// token is what a caller accepts once.
type token struct {
	key    ledger.Key
	signed time.Time
}

func signed(name string, at time.Time) token { return token{key(name), at} }

// window is that of the tokens.
var window = ledger.Window{MaxAge: 5 * time.Minute}

// spend accepts a token as a caller does. That the ledger has forgotten is an
// answer.
func spend(l *Ledger, t token) (accepted bool, err error) {
	var me ledger.Holder
	_, _ = rand.Read(me[:])
	e, err := l.Spend(context.Background(), t.key, me, t.signed, window)
	if errors.Is(err, ledger.ErrForgotten) {
		return false, nil
	}
	return err == nil && e.Holder == me, err
}

// since is from when on the ledger knows everything.
func since(l *Ledger) time.Time {
	if s := l.state.Load(); s != nil && s.standing != nil {
		return s.standing.memory.Since
	}
	return time.Time{}
}

// accept spends a token that must be accepted, now or soon.
func accept(t *testing.T, l *Ledger, name string) token {
	t.Helper()
	var used token
	n := 0
	eventually(t, "a token is accepted", func() error {
		n++
		used = signed(fmt.Sprint(name, n), l.now())
		accepted, err := spend(l, used)
		if err == nil && !accepted {
			err = errors.New("it was refused")
		}
		return err
	})
	return used
}

// refuse spends a token that was used before, from now until the ledger answers.
func refuse(t *testing.T, l *Ledger, used token) {
	t.Helper()
	eventually(t, "the ledger answers", func() error {
		accepted, err := spend(l, used)
		if accepted {
			t.Fatal("a token was accepted twice")
		}
		if err != nil && !errors.Is(err, ledger.ErrUnavailable) {
			t.Fatal(err)
		}
		return err
	})
}

// TestFlushed loses everything between the first and the second use of a token,
// and has both gateways try it at once.
func TestFlushed(t *testing.T) {
	s := serve(t)
	a, b := s.ledger(), s.ledger()
	for range 5 {
		used := accept(t, a, "first ")
		accept(t, b, "second ")
		before := since(a)
		s.do("FLUSHALL")
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				if accepted, err := spend([]*Ledger{a, b}[i%2], used); accepted {
					t.Error("a token was accepted twice", err)
				}
			})
		}
		group.Wait()
		refuse(t, a, used)
		refuse(t, b, used)
		if !since(a).After(before) || since(a).Before(used.signed) {
			t.Errorf("since %v, before %v", since(a), before)
		}
		accept(t, a, "third ")
	}
}

// TestStartedAfterLoss has a gateway start when everything is lost, which takes
// it for the first start. Who knew better says so.
func TestStartedAfterLoss(t *testing.T) {
	s := serve(t)
	a := s.ledger()
	used := accept(t, a, "token ")
	if since := since(a); !since.IsZero() {
		t.Errorf("since %v at the first start", since)
	}
	s.do("FLUSHALL")
	b := opened(t, s.ledger())
	refuse(t, a, used)
	eventually(t, "the other agrees", func() error {
		if accepted, err := spend(b, used); accepted || err != nil || since(b).IsZero() {
			return fmt.Errorf("since %v: %v", since(b), err)
		}
		return nil
	})
}

func TestRestarted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		keep bool
	}{
		{"without persistence", nil, false},
		{"with a snapshot from before", []string{"--dbfilename", "dump.rdb"}, false},
		{"with appendonly", []string{"--appendonly", "yes"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, test.args...)
			a := opened(t, s.ledger())
			if !test.keep && test.args != nil {
				s.do("SAVE") // with the marker, and without what comes
			}
			used := accept(t, a, "token ")
			s.restart()
			if !test.keep {
				if n := s.do("EXISTS", a.entryKey(used.key)); n != "0" {
					t.Fatal("the server has kept the entry")
				}
			}
			refuse(t, a, used)
			refuse(t, s.ledger(), used) // one that starts now
			if test.keep {
				if e, err := a.Held(t.Context(), used.key); err != nil || e.Holder == (ledger.Holder{}) {
					t.Errorf("what was acknowledged is not held: %v, %v", e, err)
				}
			}
			eventually(t, "the restart is noticed", func() error {
				if since(a).Before(used.signed) { // an entry that is held is answered before
					return fmt.Errorf("since %v, signed %v", since(a), used.signed)
				}
				return nil
			})
			accept(t, a, "another ")
		})
	}
}

// TestPromoted moves on to a replica that did not receive the last entries,
// though it has the marker.
func TestPromoted(t *testing.T) {
	t.Parallel()
	primary := serve(t)
	primary.do("CONFIG", "SET", "repl-diskless-sync-delay", "0")
	var address atomic.Value
	address.Store(primary.address())
	var mu sync.Mutex
	var open []net.Conn
	client := primary.dial(func(o *rueidis.ClientOption) {
		o.DialCtxFn = func(ctx context.Context, _ string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			c, err := d.DialContext(ctx, "tcp", address.Load().(string))
			if err == nil {
				mu.Lock()
				open = append(open, c)
				mu.Unlock()
			}
			return c, err
		}
	})
	l := opened(t, primary.ledger(func(o *Options) { o.Client = client }))
	replica := serve(t, "--replicaof", "127.0.0.1", fmt.Sprint(primary.port))
	eventually(t, "the replica has the marker", func() error {
		if got := replica.do("GET", l.markerKey()); got == "" {
			return errors.New("not yet")
		}
		return nil
	})
	replica.do("REPLICAOF", "NO", "ONE")
	used := accept(t, l, "token ")
	address.Store(replica.address())
	mu.Lock()
	for _, c := range open {
		c.Close()
	}
	mu.Unlock()
	refuse(t, l, used)
	accept(t, l, "another ")
}

// TestClocksApart has a gateway's clock be far from the server's.
func TestClocksApart(t *testing.T) {
	s := serve(t)
	client := s.dial()
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		l := s.ledger(func(o *Options) {
			o.Prefix = t.Name() + skew.String()
			o.Now = func() time.Time { return time.Now().Add(skew) }
		})
		used := accept(t, l, "token ")
		other := s.ledger(func(o *Options) { o.Prefix = l.prefix }) // of the server's time
		refuse(t, l, used)
		elapse(t, client, 4*time.Minute)
		refuse(t, l, used)
		if accepted, _ := spend(other, used); accepted {
			t.Error("accepted by another")
		}
		s.do("FLUSHALL")
		refuse(t, l, used)
		if since := since(l); since.Before(used.signed) || since.After(l.now()) {
			t.Errorf("since %v, signed %v, now %v", since, used.signed, l.now())
		}
		eventually(t, "the other says so in its own time", func() error {
			if s := since(other); s.IsZero() || s.Sub(since(l).Add(-skew)).Abs() > 10*time.Second {
				return fmt.Errorf("since %v and %v", s, since(l))
			}
			return nil
		})
	}
}

// TestReasonToForget tells markers that vouch from those that do not.
func TestReasonToForget(t *testing.T) {
	known := &standing{marker: "id 0 run1", runs: "run1 run2", clock: 1_000_000, began: time.Now()}
	for _, test := range []struct {
		name      string
		known     *standing
		primaries string
		sight     sight
		forgets   bool
	}{
		{"as it was", known, "run1", sight{text: "id 0 run1", clock: 1_000_100, run: "run1"}, false},
		{"gone", known, "run1", sight{clock: 1_000_100, run: "run1"}, true},
		{"restarted", known, "run2", sight{text: "id 0 run1", clock: 1_000_100, run: "run2"}, true},
		{"restarted before this process", nil, "run2", sight{text: "id 0 run1", clock: 1_000_100, run: "run2"}, true},
		{"known by nobody", nil, "run1", sight{text: "id 0 run1", clock: 1_000_100, run: "run1"}, false},
		{"another node is new", known, "run3", sight{text: "id 0 run1", clock: 1_000_100, run: "run1"}, true},
		{"made by somebody who noticed", known, "run1", sight{text: "id 1000050 run1", clock: 1_000_100, run: "run1"}, false},
		{"made by somebody who did not know", known, "run1", sight{text: "id2 0 run1", clock: 1_000_100, run: "run1"}, true},
		{"restored from a copy", known, "run1", sight{text: "id3 999999 run1", clock: 1_000_100, run: "run1"}, true},
		{"the clock is an hour ahead", known, "run1", sight{text: "id 0 run1", clock: 4_600_000, run: "run1"}, true},
		{"the clock is an hour behind", known, "run1", sight{text: "id 0 run1", clock: -2_600_000, run: "run1"}, false},
	} {
		found := &standing{primaries: map[string]string{"": test.primaries}}
		if reason := reasonToForget(test.known, found, test.sight, parseMarker(test.sight.text)); (reason != "") != test.forgets {
			t.Errorf("%s: %q", test.name, reason)
		}
	}
	for _, text := range []string{"", "x", "a b c", "a -1 c", "a 1", "a 1 b c", "a 1 b c 2 3 4", "a 1 b c 2 3 4 -5", "a 1 b c 2 x 4 5", "a 1 b c 2 3 4 5 6"} {
		if parseMarker(text) != nil {
			t.Errorf("%q is a marker", text)
		}
	}
	whole := marker{id: "a", since: 1, run: "@run", ledger: "c", maxAge: 2, skew: 3, narrow: 4, extended: 5}
	if m := parseMarker(whole.text()); m == nil || *m != whole {
		t.Errorf("%q becomes %+v", whole.text(), m)
	}
}

// TestClusterForgets restarts a cluster's node, and flushes it.
func TestClusterForgets(t *testing.T) {
	t.Parallel()
	s := spread(t)
	a, b := s.ledger(func(o *Options) { o.Cluster = true }), s.ledger(func(o *Options) { o.Cluster = true })
	used := accept(t, a, "token ")
	accept(t, b, "token ")
	s.restart()
	refuse(t, a, used)
	refuse(t, b, used)
	used = accept(t, b, "another ")
	before := since(b)
	s.do("FLUSHALL")
	eventually(t, "the flush is noticed", func() error {
		if !since(b).After(before) {
			return errors.New("not yet")
		}
		return nil
	})
	refuse(t, b, used)
}

// TestNoWindow has a call go by what was known before the server was restarted
// with all its data, the marker too: the script itself must notice.
func TestNoWindow(t *testing.T) {
	t.Parallel()
	s := serve(t, "--appendonly", "yes")
	l := opened(t, s.ledger())
	before := l.state.Load().standing
	s.restart()
	o := &operation{l, t.Context(), before, l.entryKey(key("k"))}
	r := &record{holder: holder("a"), until: soon().Unix()}
	eventually(t, "the script notices", func() error { // the connections of before end first
		e, err := o.reserve(r, 60_000, "", 0)
		if err == nil {
			t.Fatalf("reserved: %v", e)
		}
		if !errors.Is(err, errForgot) {
			return err
		}
		return nil
	})
	if a, err := o.run(lua().held, ""); err == nil {
		t.Errorf("held: %v", a)
	}
	if n := s.do("EXISTS", o.key); n != "0" {
		t.Error("it was written")
	}
	accept(t, l, "token ")
	if since := since(l); since.IsZero() {
		t.Errorf("since %v", since)
	}
}
