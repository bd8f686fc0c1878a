package streams

import (
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// retirement is what is retired, by proof.
type retirement struct{ sync.Map }

func (r *retirement) has(p string) bool {
	_, retired := r.Load(p)
	return retired
}

// clock is one that a test moves.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(0, c.Load()) }

// cut is a function that ends a stream.
type cut func()

func (c cut) Cut() { c() }

// ended waits until a stream was cut that many times.
func ended(t *testing.T, cuts *atomic.Int64, times int64) {
	t.Helper()
	testbed.Until(t, "a stream to be cut", func() bool { return cuts.Load() >= times }, nil)
}

func TestRegistry(t *testing.T) {
	var retired retirement
	var now clock
	r := New(retired.has, now.now)
	open := func(proof string, limit Limit) (*Stream[string], *atomic.Int64) {
		cuts := new(atomic.Int64)
		return r.Open(proof, limit, cut(func() { cuts.Add(1) })), cuts
	}
	kept, keptCuts := open("kept", Limit{})
	old, oldCuts := open("old", Limit{})
	older, olderCuts := open("old", Limit{})
	timed, timedCuts := open("kept", Limit{now.now().Add(time.Second), Expired})
	if r.Count() != 4 {
		t.Errorf("%d streams", r.Count())
	}
	retired.Store("old", true)
	ended(t, oldCuts, 3) // again, until it is closed
	ended(t, olderCuts, 3)
	if timedCuts.Load() != 0 {
		t.Error("a stream was cut before its time")
	}
	now.Add(int64(time.Second))
	ended(t, timedCuts, 3)
	for stream, want := range map[*Stream[string]]Reason{old: Rotated, older: Rotated, timed: Expired, kept: 0} {
		if got := stream.Close(); got != want {
			t.Errorf("ended for %v, want %v", got, want)
		}
	}
	after := [...]int64{oldCuts.Load(), olderCuts.Load(), timedCuts.Load()}
	late, lateCuts := open("old", Limit{}) // retired before it was opened
	ended(t, lateCuts, 2)
	if after != [...]int64{oldCuts.Load(), olderCuts.Load(), timedCuts.Load()} || keptCuts.Load() != 0 {
		t.Error("a stream was cut after it was closed, or one that nothing ends")
	}
	late.Close()
	if r.Count() != 0 || r.Ended(Rotated) != 3 || r.Ended(Expired) != 1 || r.Ended(Lifetime) != 0 {
		t.Errorf("%d open; ended %d, %d, %d", r.Count(), r.Ended(Rotated), r.Ended(Expired), r.Ended(Lifetime))
	}
	testbed.Until(t, "an empty registry to rest", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return !r.watching && len(r.open) == 0
	}, nil)
}

// TestSlowAnswers: a store that does not answer delays neither limits nor the answers about
// others, nor does a stream that cannot be cut.
func TestSlowAnswers(t *testing.T) {
	wait := make(chan struct{})
	defer close(wait)
	var now clock
	r := New(func(p string) bool {
		if p == "slow" {
			<-wait
		}
		return p == "gone"
	}, now.now)
	var stuck, gone, timed atomic.Int64
	// Of those about which may be asked at once, the last.
	r.Open("slow", Limit{}, cut(func() { stuck.Add(1) }))
	r.Open("gone", Limit{}, cut(func() { <-wait }))
	r.Open("gone", Limit{}, cut(func() { gone.Add(1) }))
	r.Open("slow", Limit{now.now().Add(1), Lifetime}, cut(func() { timed.Add(1) }))
	ended(t, &gone, 2)
	now.Add(1)
	ended(t, &timed, 2)
	if stuck.Load() != 0 {
		t.Error("a stream was cut of which nothing is known")
	}
}

// TestCloseRaces: whatever ends a stream first, no cut is under way once it is closed.
func TestCloseRaces(t *testing.T) {
	var retired retirement
	retired.Store("p", true)
	r := New(retired.has, time.Now)
	var group sync.WaitGroup
	for range 200 {
		group.Go(func() {
			var closed atomic.Bool
			first := make(chan struct{})
			begun := sync.OnceFunc(func() { close(first) })
			s := r.Open("p", Limit{}, cut(func() {
				if closed.Load() {
					t.Error("cut after it was closed")
				}
				begun()
				runtime.Gosched()
				if closed.Load() {
					t.Error("closed while it was cut")
				}
			}))
			<-first
			if s.Close() != Rotated {
				t.Error("no reason")
			}
			closed.Store(true)
		})
	}
	group.Wait()
}

func TestLimits(t *testing.T) {
	one, two := Limit{time.Unix(1, 0), Expired}, Limit{time.Unix(2, 0), Lifetime}
	for _, c := range []struct{ a, b, want Limit }{
		{one, two, one}, {two, one, one}, {Limit{}, two, two}, {two, Limit{}, two}, {Limit{}, Limit{}, Limit{}},
	} {
		if got := c.a.Earlier(c.b); got != c.want {
			t.Errorf("%v or %v: %v", c.a, c.b, got)
		}
	}
}

// layered is a connection above another, as one with TLS is.
type layered struct {
	net.Conn
	below net.Conn
}

func (l layered) NetConn() net.Conn { return l.below }
func (l layered) Close() error      { select {} }

func TestCloseConn(t *testing.T) {
	a, b := net.Pipe()
	CloseConn(layered{a, layered{a, a}})
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

// TestInterrupt: an exchange of which neither side does anything is over.
func TestInterrupt(t *testing.T) {
	writing := make(chan error)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go Interrupt(wrapped{w})
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				writing <- err
				return
			}
		}
	}))
	defer server.Close()
	response, err := http.Get(server.URL)
	if err == nil {
		defer response.Body.Close() // which nobody reads
	}
	if err := <-writing; err == nil {
		t.Error("no error")
	}
}

// wrapped is a writer around another.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w wrapped) SetWriteDeadline(time.Time) error {
	panic("a writer was asked that is not the server's")
}
