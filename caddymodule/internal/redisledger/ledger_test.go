package redisledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// base is where the hand clocks begin: years away from the server's clock,
// which must not matter.
const base = 1_900_000_000

// call is one call and what it must answer. The server's clock goes on while
// the hand clock stands, so no time that passes ends where an entry does.
type call struct {
	do     string // reserve, keep, release, held, pass
	key    string
	holder string
	until  time.Duration // since base
	owner  string
	most   int
	want   string // who holds the key then, "" for nobody
	ends   time.Duration
	err    error
}

func (c call) run(ctx context.Context, t *testing.T, l *Ledger, admin rueidis.Client, clock *handClock) error {
	until := time.Unix(base, 0).Add(c.until)
	var h ledger.Holder
	if c.holder != "" {
		h = holder(c.holder)
	}
	var got ledger.Entry
	var err error
	switch c.do {
	case "reserve":
		var share ledger.Share
		if c.owner != "" {
			share = ledger.Share{Owner: key("owner " + c.owner), Limit: c.most}
		}
		got, err = l.Reserve(ctx, key(c.key), h, until, share)
	case "keep":
		got, err = l.Keep(ctx, key(c.key), h, until)
	case "release":
		err = l.Release(ctx, key(c.key), h, until)
	case "held":
		got, err = l.Held(ctx, key(c.key))
	case "pass":
		clock.pass(c.until)
		elapse(t, admin, c.until)
	default:
		return fmt.Errorf("there is no call %q", c.do)
	}
	var want ledger.Entry
	if c.want != "" {
		want = ledger.Entry{Holder: holder(c.want), Until: time.Unix(base, 0).Add(c.ends)}
	}
	if !errors.Is(err, c.err) || c.err == nil && err != nil {
		return fmt.Errorf("%s %s: error %v, want %v", c.do, c.key, err, c.err)
	}
	if got.Holder != want.Holder || !got.Until.Equal(want.Until) && want != (ledger.Entry{}) {
		return fmt.Errorf("%s %s: got %x until %v, want %q until %v", c.do, c.key, got.Holder[:4], got.Until, c.want, want.Until)
	}
	return nil
}

const m = time.Minute

var tests = []struct {
	name  string
	calls []call
	alone bool // not so in a cluster
}{
	{"nobody has what nobody reserved", []call{
		{do: "held", key: "k"},
		{do: "keep", key: "k", holder: "a", until: m},
		{do: "release", key: "k", holder: "a", until: m},
		{do: "held", key: "k"},
	}, false},
	{"the first one has it, whoever asks", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "a", ends: m},
		{do: "held", key: "k", want: "a", ends: m},
		{do: "reserve", key: "other", holder: "b", until: m, want: "b", ends: m},
	}, false},
	{"reserving again changes nothing", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "reserve", key: "k", holder: "a", until: 2 * m, want: "a", ends: m},
		{do: "held", key: "k", want: "a", ends: m},
	}, false},
	{"until is rounded up", []call{
		{do: "reserve", key: "k", holder: "a", until: m + 1, want: "a", ends: m + time.Second},
		{do: "pass", until: m - 10*time.Second},
		{do: "held", key: "k", want: "a", ends: m + time.Second},
		{do: "pass", until: 12 * time.Second},
		{do: "held", key: "k"},
	}, false},
	{"what has ended is free", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "reserve", key: "l", holder: "a", until: m, want: "a", ends: m},
		{do: "pass", until: m - 20*time.Second},
		{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "a", ends: m},
		{do: "pass", until: 20 * time.Second},
		{do: "held", key: "k"},
		{do: "keep", key: "k", holder: "a", until: 2 * m},
		{do: "release", key: "k", holder: "a", until: m},
		{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "b", ends: 2 * m},
		{do: "held", key: "k", want: "b", ends: 2 * m},
		{do: "reserve", key: "l", holder: "b", until: 2 * m, want: "b", ends: 2 * m},
	}, false},
	{"the holder moves the end, both ways", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "keep", key: "k", holder: "a", until: 4 * m, want: "a", ends: 4 * m},
		{do: "keep", key: "k", holder: "a", until: 4 * m, want: "a", ends: 4 * m},
		{do: "pass", until: 2 * m},
		{do: "held", key: "k", want: "a", ends: 4 * m},
		{do: "keep", key: "k", holder: "a", until: 3 * m, want: "a", ends: 3 * m},
		{do: "pass", until: m},
		{do: "held", key: "k"},
	}, false},
	{"another does not", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "keep", key: "k", holder: "b", until: 3 * m, want: "a", ends: m},
		{do: "held", key: "k", want: "a", ends: m},
	}, false},
	{"only the holder frees it, and only as he knows it", []call{
		{do: "reserve", key: "k", holder: "a", until: m - 1, want: "a", ends: m},
		{do: "release", key: "k", holder: "b", until: m},
		{do: "release", key: "k", holder: "a", until: 2 * m},
		{do: "held", key: "k", want: "a", ends: m},
		{do: "keep", key: "k", holder: "a", until: 2 * m, want: "a", ends: 2 * m},
		{do: "release", key: "k", holder: "a", until: m},
		{do: "held", key: "k", want: "a", ends: 2 * m},
		{do: "release", key: "k", holder: "a", until: 2*m - 1}, // rounded as it was reserved
		{do: "held", key: "k"},
		{do: "reserve", key: "k", holder: "b", until: m, want: "b", ends: m},
	}, false},
	{"what cannot be asked", []call{
		{do: "reserve", key: "k", until: m, err: ledger.ErrUnavailable},
		{do: "keep", key: "k", until: m, err: ledger.ErrUnavailable},
		{do: "release", key: "k", until: m, err: ledger.ErrUnavailable},
		{do: "reserve", key: "k", holder: "a", err: ledger.ErrUnavailable},
		{do: "reserve", key: "k", holder: "a", until: -m, err: ledger.ErrUnavailable},
		{do: "reserve", key: "k", holder: "a", until: -2 * base * time.Second, err: ledger.ErrUnavailable},
		{do: "held", key: "k"},
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "keep", key: "k", holder: "a", err: ledger.ErrUnavailable},
		{do: "held", key: "k", want: "a", ends: m},
	}, false},
	{"a share is for so many", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
		{do: "reserve", key: "2", holder: "a", until: 2 * m, owner: "o", most: 2, want: "a", ends: 2 * m},
		{do: "reserve", key: "3", holder: "a", until: 2 * m, owner: "o", most: 2, err: ledger.ErrShare},
		{do: "held", key: "3"},
		{do: "reserve", key: "3", holder: "b", until: 2 * m, owner: "p", most: 1, want: "b", ends: 2 * m}, // another's share
		{do: "reserve", key: "4", holder: "b", until: 2 * m, want: "b", ends: 2 * m},                      // none
		{do: "reserve", key: "1", holder: "a", until: 2 * m, owner: "o", most: 2, want: "a", ends: m},     // his already
		{do: "reserve", key: "3", holder: "a", until: 2 * m, owner: "o", most: 2, want: "b", ends: 2 * m}, // another's already
		{do: "pass", until: m + 10*time.Second},                                                           // frees 1
		{do: "reserve", key: "5", holder: "a", until: 3 * m, owner: "o", most: 2, want: "a", ends: 3 * m},
		{do: "reserve", key: "1", holder: "a", until: 3 * m, owner: "o", most: 2, err: ledger.ErrShare},
		{do: "release", key: "2", holder: "a", until: 2 * m},
		{do: "reserve", key: "1", holder: "a", until: 3 * m, owner: "o", most: 2, want: "a", ends: 3 * m},
		{do: "reserve", key: "6", holder: "a", until: 3 * m, owner: "o", most: 2, err: ledger.ErrShare},
	}, false},
	{"a key reserved twice by its holder counts once", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
		{do: "keep", key: "1", holder: "a", until: 2 * m, want: "a", ends: 2 * m},
		{do: "reserve", key: "2", holder: "a", until: m, owner: "o", most: 2, want: "a", ends: m},
		{do: "reserve", key: "3", holder: "a", until: m, owner: "o", most: 2, err: ledger.ErrShare},
	}, false},
	{"what is kept counts on", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 1, want: "a", ends: m},
		{do: "keep", key: "1", holder: "a", until: 3 * m, want: "a", ends: 3 * m},
		{do: "pass", until: 2 * m},
		{do: "reserve", key: "2", holder: "a", until: 3 * m, owner: "o", most: 1, err: ledger.ErrShare},
		{do: "pass", until: m + 10*time.Second},
		{do: "reserve", key: "2", holder: "a", until: 5 * m, owner: "o", most: 1, want: "a", ends: 5 * m},
	}, false},
	{"what is kept for less counts for less", []call{
		{do: "reserve", key: "1", holder: "a", until: 5 * m, owner: "o", most: 1, want: "a", ends: 5 * m},
		{do: "keep", key: "1", holder: "a", until: m, want: "a", ends: m},
		{do: "pass", until: 2 * m},
		{do: "reserve", key: "2", holder: "a", until: 3 * m, owner: "o", most: 1, want: "a", ends: 3 * m},
	}, true},
	{"what another holds takes no place", []call{
		{do: "reserve", key: "1", holder: "b", until: m, want: "b", ends: m},
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 1, want: "b", ends: m},
		{do: "keep", key: "1", holder: "a", until: m, want: "b", ends: m},
		{do: "reserve", key: "2", holder: "a", until: m, owner: "o", most: 1, want: "a", ends: m},
	}, false},
	{"a share of none", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 0, err: ledger.ErrShare},
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: -1, err: ledger.ErrShare},
		{do: "held", key: "1"},
	}, false},
	{"an ended key goes to another's share", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", most: 1, want: "a", ends: m},
		{do: "pass", until: m + 10*time.Second},
		{do: "reserve", key: "1", holder: "b", until: 2 * m, owner: "p", most: 1, want: "b", ends: 2 * m},
		{do: "reserve", key: "2", holder: "a", until: 2 * m, owner: "o", most: 1, want: "a", ends: 2 * m},
		{do: "reserve", key: "3", holder: "b", until: 2 * m, owner: "p", most: 1, err: ledger.ErrShare},
		{do: "held", key: "1", want: "b", ends: 2 * m},
	}, false},
	{"far away", []call{
		{do: "reserve", key: "1", holder: "a", until: 200 * 365 * 24 * time.Hour, want: "a", ends: 200 * 365 * 24 * time.Hour},
		{do: "held", key: "1", want: "a", ends: 200 * 365 * 24 * time.Hour},
	}, false},
}

func TestCalls(t *testing.T) {
	s := serve(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { testCalls(t, s, false, test.calls) })
	}
}

func TestCallsInCluster(t *testing.T) {
	t.Parallel()
	s := spread(t)
	for _, test := range tests {
		if !test.alone {
			t.Run(test.name, func(t *testing.T) { testCalls(t, s, true, test.calls) })
		}
	}
}

func serveEither(t *testing.T, cluster bool) *server {
	t.Helper()
	if cluster {
		return spread(t)
	}
	return serve(t)
}

func testCalls(t *testing.T, s *server, cluster bool, calls []call) {
	clock := &handClock{wall: time.Unix(base, 0)}
	admin := s.dial(func(o *rueidis.ClientOption) { o.ForceSingleClient = !cluster })
	l := s.ledger(func(o *Options) { o.Cluster, o.Now, o.Prefix = cluster, clock.now, t.Name() })
	for i, c := range calls {
		if err := c.run(t.Context(), t, l, admin, clock); err != nil {
			t.Fatalf("call %d: %v", i+1, err)
		}
	}
	if err := l.Err(); err != nil {
		t.Error(err)
	}
}

// TestOneOfManyWins has 64 holders at three gateways want each of 500 keys at
// once, with the scripts unknown to the server at first.
func TestOneOfManyWins(t *testing.T) {
	t.Parallel()
	for _, cluster := range []bool{false, true} {
		t.Run(fmt.Sprint("cluster ", cluster), func(t *testing.T) {
			const holders, most = 64, 500
			keys := most
			if cluster { // one connection, so it takes longer
				keys = 100
			}
			s := serveEither(t, cluster)
			var gateways [3]*Ledger
			for i := range gateways {
				gateways[i] = s.ledger(func(o *Options) { o.Cluster = cluster })
			}
			var won, winner [most]atomic.Int32
			var group sync.WaitGroup
			for h := range holders {
				me, l := holder(fmt.Sprint(h)), gateways[h%3]
				group.Go(func() {
					for k := range keys {
						e, err := l.Reserve(t.Context(), key(fmt.Sprint(k)), me, soon(), ledger.Share{})
						if err != nil {
							t.Error(err)
							return
						}
						if e.Holder == me {
							won[k].Add(1)
							winner[k].Store(int32(h))
						}
					}
				})
			}
			group.Wait()
			for k := range keys {
				if n := won[k].Load(); n != 1 {
					t.Errorf("key %d has %d holders", k, n)
				}
				e, err := gateways[k%3].Held(t.Context(), key(fmt.Sprint(k)))
				if want := holder(fmt.Sprint(winner[k].Load())); err != nil || e.Holder != want {
					t.Errorf("key %d is not held by who was told so: %v", k, err)
				}
			}
		})
	}
}

// TestShareUnderContention lets many want more than their share at once, some
// of them the same keys, and looks that a place is kept for each key and for
// nothing else.
func TestShareUnderContention(t *testing.T) {
	t.Parallel()
	for _, cluster := range []bool{false, true} {
		t.Run(fmt.Sprint("cluster ", cluster), func(t *testing.T) {
			const most = 10
			s := serveEither(t, cluster)
			var gateways [3]*Ledger
			for i := range gateways {
				gateways[i] = s.ledger(func(o *Options) { o.Cluster = cluster })
			}
			share := ledger.Share{Owner: key("owner"), Limit: most}
			held := make(map[int]bool)
			var mu sync.Mutex
			var group sync.WaitGroup
			for i := range 96 {
				group.Go(func() {
					e, err := gateways[i%3].Reserve(t.Context(), key(fmt.Sprint(i/3)), holder("a"), soon(), share)
					switch {
					case err == nil && e.Holder == holder("a"):
						mu.Lock()
						held[i/3] = true
						mu.Unlock()
					case !errors.Is(err, ledger.ErrShare):
						t.Error(e, err)
					}
				})
			}
			group.Wait()
			places := s.do("ZCARD", gateways[0].shareKey(share.Owner))
			// In a cluster a key that is wanted twice at once has two places for a moment.
			if len(held) > most || !cluster && len(held) != most || places != fmt.Sprint(len(held)) {
				t.Errorf("%d keys were reserved under a share of %d, with %s places", len(held), most, places)
			}
			for i := range held {
				if e, err := gateways[0].Held(t.Context(), key(fmt.Sprint(i))); err != nil || gateways[0].Release(t.Context(), key(fmt.Sprint(i)), holder("a"), e.Until) != nil {
					t.Error(e, err)
				}
			}
			if places := s.do("ZCARD", gateways[0].shareKey(share.Owner)); places != "0" {
				t.Errorf("%s places are left", places)
			}
		})
	}
}
