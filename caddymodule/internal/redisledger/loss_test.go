package redisledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
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
func spend(l *Ledger, t token) (accepted bool, err error) { return spendIn(l, t, window) }

func spendIn(l *Ledger, t token, window ledger.Window) (accepted bool, err error) {
	var me ledger.Holder
	_, _ = rand.Read(me[:])
	e, err := l.Spend(context.Background(), t.key, me, ledger.Signed{At: t.signed}, window)
	if errors.Is(err, ledger.ErrForgotten) {
		return false, nil
	}
	return err == nil && e.Holder == me, err
}

// since is from when on the ledger knows everything.
func since(l *Ledger) time.Time {
	if s := l.state.Load(); s != nil && s.server != nil {
		return s.server.memory.Since
	}
	return time.Time{}
}

// accept spends a token that must be accepted, now or soon.
func accept(t *testing.T, l *Ledger, name string) token {
	t.Helper()
	var used token
	n := 0
	testbed.Succeeds(t, "a token is accepted", func() error {
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
	testbed.Succeeds(t, "the ledger answers", func() error {
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
	s := redistest.Start(t, volatile...)
	a, b := at(t, s), at(t, s)
	for range 5 {
		used := accept(t, a, "first ")
		accept(t, b, "second ")
		before := since(a)
		s.Do("FLUSHALL")
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
	s := redistest.Start(t, volatile...)
	a := at(t, s)
	used := accept(t, a, "token ")
	if since := since(a); !since.IsZero() {
		t.Errorf("since %v at the first start", since)
	}
	s.Do("FLUSHALL")
	b := opened(t, at(t, s))
	refuse(t, a, used)
	testbed.Succeeds(t, "the other agrees", func() error {
		if accepted, err := spend(b, used); accepted || err != nil || since(b).IsZero() {
			return fmt.Errorf("since %v: %v", since(b), err)
		}
		return nil
	})
}

// TestFlushedWhileOthersServeLonger: the gateway that serves the longest window is away when
// the server is flushed. Another knows it, and refuses a token that may have been used there.
func TestFlushedWhileOthersServeLonger(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	long, brief := at(t, s), at(t, s)
	signed := ledger.Signed{Expires: time.Now().Add(20 * time.Minute)}
	spend := func(l *Ledger, maxAge time.Duration) error {
		e, err := l.Spend(t.Context(), key("a token"), holder("a"), signed, ledger.Window{MaxAge: maxAge, Skew: time.Second})
		if err == nil && e.Holder != holder("a") {
			t.Error("it is another's")
		}
		return err
	}
	if err := spend(long, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := brief.Open(t.Context(), ledger.Window{MaxAge: time.Minute, Skew: time.Second}); err != nil {
		t.Fatal(err)
	}
	if err := long.Close(); err != nil {
		t.Fatal(err)
	}
	s.Do("FLUSHALL")
	if err := spend(brief, time.Minute); !errors.Is(err, ledger.ErrForgotten) {
		t.Errorf("used again: %v", err)
	}
}

func TestRestarted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		keep bool
	}{
		{"without persistence", volatile, false},
		{"with a snapshot from before", append([]string{"--dbfilename", "dump.rdb"}, volatile...), false},
		{"with appendonly", nil, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := redistest.Start(t, test.args...)
			a := opened(t, at(t, s))
			if len(test.args) > len(volatile) {
				s.Do("SAVE") // with the marker, and without what comes
			}
			used := accept(t, a, "token ")
			restart(s)
			if !test.keep {
				if n := s.Do("EXISTS", a.entryKey(used.key)); n != "0" {
					t.Fatal("the server has kept the entry")
				}
			}
			refuse(t, a, used)
			refuse(t, at(t, s), used) // one that starts now
			if test.keep {
				if e, err := a.Held(t.Context(), used.key); err != nil || e.Holder == (ledger.Holder{}) {
					t.Errorf("what was acknowledged is not held: %v, %v", e, err)
				}
			}
			testbed.Succeeds(t, "the restart is noticed", func() error {
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
	primary := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	var target atomic.Value
	target.Store(primary.Addr)
	front, cut := forward(t, &target)
	l := opened(t, on(t, "redis://"+front+"?prefix=test:"))
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", primary.Port)
	testbed.Succeeds(t, "the replica has the marker", func() error {
		if replica.Do("EXISTS", l.markerKey()) != "1" {
			return errNotYet
		}
		return nil
	})
	replica.Do("REPLICAOF", "NO", "ONE")
	used := accept(t, l, "token ")
	target.Store(replica.Addr)
	cut()
	refuse(t, l, used)
	accept(t, l, "another ")
}

// TestReplacedByReplication has a server become the replica of an older copy of
// itself, and a primary again: it has not been restarted, and has the marker. The
// script itself must notice.
func TestReplacedByReplication(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	l := opened(t, at(t, s))
	synced := func(s *redistest.Server) {
		t.Helper()
		testbed.Succeeds(t, "the replica has the data", func() error {
			if !strings.Contains(s.Do("INFO", "replication"), "master_link_status:up") {
				return errNotYet
			}
			return nil
		})
	}
	older := redistest.Start(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", s.Port)
	synced(older)
	older.Do("REPLICAOF", "NO", "ONE")
	for range 2 {
		used := accept(t, l, "token ")
		before := l.state.Load().server
		s.Do("REPLICAOF", "127.0.0.1", older.Port)
		synced(s)
		s.Do("REPLICAOF", "NO", "ONE")
		r := &record{holder: holder("a"), until: soon().Unix()}
		o := &operation{l, t.Context(), before, l.entryKey(used.key)}
		testbed.Succeeds(t, "the script notices", func() error { // the connections of before end first
			a, err := o.run(lua().reserve, "", r.value(), "60000", "0")
			if err == nil {
				t.Fatalf("reserved: %v", a)
			}
			if !errors.Is(err, errForgot) {
				return err
			}
			return nil
		})
		refuse(t, l, used)
		refuse(t, at(t, s), used) // one that starts now
		accept(t, l, "another ")
	}
}

// forward has an address at which the target answers, whichever it is at the
// moment, and a function that cuts all connections.
func forward(t *testing.T, target *atomic.Value) (address string, cut func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var open []net.Conn
	cut = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.Close()
		}
		open = nil
	}
	t.Cleanup(func() {
		_ = listener.Close()
		cut()
	})
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target.Load().(string))
			if err != nil {
				_ = in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				}()
			}
		}
	}()
	return listener.Addr().String(), cut
}

// TestClocksApart has a gateway's clock be far from the server's.
func TestClocksApart(t *testing.T) {
	s := redistest.Start(t, volatile...)
	client := clientOf(t, s)
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		url := "redis://" + s.Addr + "?prefix=" + skew.String() + ":"
		l := on(t, url, func(o *Options) {
			o.Now = func() time.Time { return time.Now().Add(skew) }
		})
		used := accept(t, l, "token ")
		other := on(t, url) // of the server's time
		refuse(t, l, used)
		elapse(t, client, 4*time.Minute)
		refuse(t, l, used)
		if accepted, _ := spend(other, used); accepted {
			t.Error("accepted by another")
		}
		s.Do("FLUSHALL")
		refuse(t, l, used)
		if since := since(l); since.Before(used.signed) || since.After(l.now()) {
			t.Errorf("since %v, signed %v, now %v", since, used.signed, l.now())
		}
		testbed.Succeeds(t, "the other says so in its own time", func() error {
			if s := since(other); s.IsZero() || s.Sub(since(l).Add(-skew)).Abs() > 10*time.Second {
				return fmt.Errorf("since %v and %v", s, since(l))
			}
			return nil
		})
	}
}

// TestLate has a gateway stand still, or its connection be slow, between its look
// at the clock and the server's at the entry, until the entry has ended. The other
// gateway's clock is as far behind as may be, or is the same.
func TestLate(t *testing.T) {
	s := redistest.Start(t, volatile...)
	client := clientOf(t, s)
	for _, skew := range []time.Duration{0, 10 * time.Second} {
		window := ledger.Window{MaxAge: time.Minute, Skew: skew}
		url := "redis://" + s.Addr + "?prefix=" + skew.String() + ":"
		first := opened(t, on(t, url))
		used := signed("token", first.now())
		if accepted, err := spendIn(first, used, window); !accepted || err != nil {
			t.Fatal(accepted, err)
		}
		// By this clock it is just about fresh.
		var late atomic.Bool
		var looks atomic.Int64
		now := used.signed.Add(window.MaxAge)
		second := opened(t, on(t, url, func(o *Options) {
			o.Now = func() time.Time {
				if !late.Load() {
					return now
				}
				if looks.Add(1) > 2 {
					return now.Add(3 * time.Second)
				}
				if looks.Load() == 2 { // the last before the server is asked
					elapse(t, client, 3*time.Second)
				}
				return now
			}
		}))
		elapse(t, client, window.MaxAge+skew)
		if accepted, err := spendIn(second, used, window); accepted || err != nil {
			t.Fatalf("skew %v: in time: %v, %v", skew, accepted, err)
		}
		late.Store(true)
		if accepted, err := spendIn(second, used, window); accepted || !errors.Is(err, ledger.ErrTooOld) {
			t.Errorf("skew %v: late: %v, %v", skew, accepted, err)
		}
	}
}

// TestReasonToForget tells markers that vouch from those that do not.
func TestReasonToForget(t *testing.T) {
	known := &serverState{marker: "id 0 run1 l 0 0 0 0", clock: time.UnixMilli(1_000_000), began: time.Now()}
	for _, test := range []struct {
		name    string
		known   *serverState
		marker  string
		clock   int64
		run     string
		forgets bool
	}{
		{"as it was", known, "id 0 run1 l 0 0 0 0", 1_000_100, "run1", false},
		{"gone", known, "", 1_000_100, "run1", true},
		{"restarted, or on another node", known, "id 0 run1 l 0 0 0 0", 1_000_100, "run2", true},
		{"made a replica and a primary again", known, "id 0 run1 l 0 0 0 0", 1_000_100, "run1-abc", true},
		{"the same before this process", nil, "id 0 run1-ab l 0 0 0 0", 1_000_100, "run1-abc", true},
		{"promoted long ago", known, "id 0 run1-abc l 0 0 0 0", 1_000_100, "run1-abc", false},
		{"promoted long ago, and without replicas since", known, "id 0 run1-abc l 0 0 0 0", 1_000_100, "run1", false},
		{"restarted before this process", nil, "id 0 run1 l 0 0 0 0", 1_000_100, "run2", true},
		{"known by nobody", nil, "id 0 run1 l 0 0 0 0", 1_000_100, "run1", false},
		{"there was none", nil, "", 1_000_100, "run1", false},
		{"written by somebody who noticed", known, "id2 1000050 run1 l 0 0 0 0", 1_000_100, "run1", false},
		{"written by somebody who did not know", known, "id2 0 run1 l2 0 0 0 0", 1_000_100, "run1", true},
		{"restored from a copy", known, "id3 999999 run1 l 0 0 0 0", 1_000_100, "run1", true},
		{"the clock is an hour ahead", known, "id 0 run1 l 0 0 0 0", 4_600_000, "run1", true},
		{"the clock is an hour behind", known, "id 0 run1 l 0 0 0 0", -2_600_000, "run1", false},
	} {
		run, promoted, _ := strings.Cut(test.run, "-")
		reply := markerReply{text: test.marker, clock: time.UnixMilli(test.clock), serverInfo: serverInfo{run: run, promoted: promoted}}
		if reason := reasonToForget(test.known, reply, parseMarker(test.marker)); (reason != "") != test.forgets {
			t.Errorf("%s: %q", test.name, reason)
		}
	}
	for _, text := range []string{"", "x", "a b c", "a -1 c", "a 1", "a 1 b c", "a 1 b c 2 3 4", "a 1 b c 2 3 4 -5", "a 1 b c 2 x 4 5", "a 1 b c 2 3 4 5 6", "a 1 b"} {
		if parseMarker(text) != nil {
			t.Errorf("%q is a marker", text)
		}
	}
	const ms = time.Millisecond
	whole := marker{"a", "@run", "c", ledger.Memory{
		Window: ledger.Window{MaxAge: 2 * ms, Skew: 3 * ms}, Extended: time.UnixMilli(5), Narrow: 4 * ms, Since: time.UnixMilli(1),
	}}
	if m := parseMarker(whole.text()); m == nil || *m != whole {
		t.Errorf("%q becomes %+v", whole.text(), m)
	}
}

// TestRoundedUp: what was used in the millisecond of a loss, before it, is not accepted again.
func TestRoundedUp(t *testing.T) {
	now := time.Unix(base, 0)
	l, found := &Ledger{now: func() time.Time { return now }}, &serverState{clock: time.UnixMilli(8)}
	l.adopt(nil, found, &marker{Memory: ledger.Memory{Since: time.UnixMilli(7), Extended: time.UnixMilli(6)}})
	// Lost at 7.999 ms and seen at 8 ms.
	if used := now.Add(-2 * time.Microsecond); !errors.Is(found.memory.Vouch(ledger.Signed{At: used}, now), ledger.ErrForgotten) {
		t.Errorf("signed at %v, lost at %v", used, found.memory.Since)
	}
	if want := now.Add(-time.Millisecond); !found.memory.Extended.Equal(want) {
		t.Errorf("the window was extended at %v, not %v", found.memory.Extended, want)
	}
}

// TestNoWindow has a call go by what was known before the server was restarted
// with all its data, the marker too: the script itself must notice.
func TestNoWindow(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := opened(t, at(t, s))
	before := l.state.Load().server
	restart(s)
	o := &operation{l, t.Context(), before, l.entryKey(key("k"))}
	r := &record{holder: holder("a"), until: soon().Unix()}
	testbed.Succeeds(t, "the script notices", func() error { // the connections of before end first
		a, err := o.run(lua().reserve, "", r.value(), "60000", "0")
		if err == nil {
			t.Fatalf("reserved: %v", a)
		}
		if !errors.Is(err, errForgot) {
			return err
		}
		return nil
	})
	if a, err := o.run(lua().held, ""); err == nil {
		t.Errorf("held: %v", a)
	}
	if n := s.Do("EXISTS", o.key); n != "0" {
		t.Error("it was written")
	}
	accept(t, l, "token ")
	if since := since(l); since.IsZero() {
		t.Errorf("since %v", since)
	}
}

// TestReplayedWithoutRights restarts a Redis that replays its file with the rights of the
// user default, which is off, and drops all transactions: the loss of conversations is one of
// the ledger.
func TestReplayedWithoutRights(t *testing.T) {
	t.Parallel()
	acl := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte("user default off nopass -@all\nuser gateway on >right ~* &* +@all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := redistest.Start(t, "--aclfile", acl)
	l := on(t, "redis://gateway:right@"+s.Addr)
	before, err := l.Open(t.Context(), ledger.Window{})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := l.Reserve(t.Context(), key("conversation"), holder("a"), soon(), ledger.Share{Owner: key("a"), Limit: 3}); err != nil || e.Holder != holder("a") {
		t.Fatal(e, err)
	}
	restart(s)
	testbed.Succeeds(t, "another ledger", func() error {
		e, err := l.Held(t.Context(), key("conversation"))
		if err != nil {
			return err
		}
		after, err := l.Open(t.Context(), ledger.Window{})
		if lost := e.Holder == (ledger.Holder{}); err == nil && lost != (after != before) {
			t.Fatalf("lost: %t, ledgers %s and %s", lost, before, after)
		}
		return err
	})
}
