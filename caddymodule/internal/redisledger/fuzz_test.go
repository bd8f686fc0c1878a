package redisledger

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// model is what a ledger promises, in a map.
type model map[ledger.Key]*record

func (m model) pass(now int64) {
	maps.DeleteFunc(m, func(_ ledger.Key, r *record) bool { return r.until <= now })
}

func (m model) reserve(now int64, k ledger.Key, h ledger.Holder, until int64, share ledger.Share) (ledger.Entry, error) {
	if until <= now || h == (ledger.Holder{}) {
		return ledger.Entry{}, ledger.ErrUnavailable
	}
	if m[k] != nil {
		return m.held(k), nil
	}
	if share.Owner != noOwner {
		n := 0
		for _, r := range m {
			if r.owner == share.Owner {
				n++
			}
		}
		if n >= share.Limit {
			return ledger.Entry{}, ledger.ErrShare
		}
	}
	m[k] = &record{holder: h, until: until, owner: share.Owner}
	return m.held(k), nil
}

func (m model) keep(now int64, k ledger.Key, h ledger.Holder, until int64) (ledger.Entry, error) {
	if until <= now || h == (ledger.Holder{}) {
		return ledger.Entry{}, ledger.ErrUnavailable
	}
	if r := m[k]; r != nil && r.holder == h {
		r.until = until
	}
	return m.held(k), nil
}

func (m model) release(k ledger.Key, h ledger.Holder, until int64) error {
	if h == (ledger.Holder{}) {
		return ledger.ErrUnavailable
	}
	if r := m[k]; r != nil && r.holder == h && r.until == until {
		delete(m, k)
	}
	return nil
}

func (m model) held(k ledger.Key) ledger.Entry {
	if r := m[k]; r != nil {
		return r.entry()
	}
	return ledger.Entry{}
}

// FuzzLedger has two gateways and the model do the same, and compares each
// answer. Three bytes are a call: what, on which key by whom, and for how long.
func FuzzLedger(f *testing.F) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 24 {
		calls := make([]byte, 3*120)
		for i := range calls {
			calls[i] = byte(random.Uint32())
		}
		f.Add(calls)
	}
	server := redistest.Start(f, volatile...)
	client := clientOf(f, server)
	f.Fuzz(func(t *testing.T, calls []byte) {
		if len(calls) > 3*300 {
			return
		}
		if err := client.Do(t.Context(), client.B().Flushall().Build()).Error(); err != nil {
			t.Fatal(err)
		}
		clock := &handClock{wall: time.Unix(base, 0)}
		var gateways [2]*Ledger
		for i := range gateways {
			gateways[i] = opened(t, at(t, server, func(o *Options) { o.Now = clock.now }))
		}
		m := make(model)
		for i := 0; i+3 <= len(calls); i += 3 {
			if what, err := compare(t, gateways[i%2], m, client, clock, [3]byte(calls[i:])); err != nil {
				t.Fatalf("call %d, %s: %v", i/3, what, err)
			}
		}
		for k := range 8 {
			if what, err := compare(t, gateways[0], m, client, clock, [3]byte{3, byte(k)}); err != nil {
				t.Fatalf("at the end, %s: %v", what, err)
			}
		}
	})
}

// compare makes one call of both. Entries end ten seconds beside every time
// that the clock stands at, so that the server's clock may go on.
func compare(t *testing.T, l *Ledger, m model, client rueidis.Client, clock *handClock, c [3]byte) (what string, err error) {
	k, h := key(fmt.Sprint(c[1]%8)), ledger.Holder{c[1] >> 3 % 4}
	now := clock.now().Unix()
	until := time.Unix(now+20*(int64(c[2]%32)-4)+10, -int64(c[2]%2)) // some end in the past, some between seconds
	seconds := until.Add(time.Second - 1).Unix()
	share := ledger.Share{Owner: ledger.Key{c[1] >> 5 % 4}, Limit: 2}
	var got, want ledger.Entry
	var gotErr, wantErr error
	switch c[0] % 8 {
	case 0, 1, 7:
		what = "reserve"
		got, gotErr = l.Reserve(t.Context(), k, h, until, share)
		want, wantErr = m.reserve(now, k, h, seconds, share)
	case 2, 6:
		what = "keep"
		got, gotErr = l.Keep(t.Context(), k, h, until)
		want, wantErr = m.keep(now, k, h, seconds)
	case 3:
		what = "held"
		got, gotErr = l.Held(t.Context(), k)
		want = m.held(k)
	case 4:
		what = "release"
		if r := m[k]; r != nil && c[2]%2 == 0 {
			until, seconds = time.Unix(r.until, 0), r.until
		}
		gotErr, wantErr = l.Release(t.Context(), k, h, until), m.release(k, h, seconds)
	case 5:
		what = "time passes"
		d := time.Duration(c[2]%8) * 20 * time.Second
		clock.pass(d)
		elapse(t, client, d)
		m.pass(clock.now().Unix())
	}
	if !errors.Is(gotErr, wantErr) || wantErr == nil && gotErr != nil {
		return what, fmt.Errorf("got error %v, want %v", gotErr, wantErr)
	}
	if got != want {
		return what, fmt.Errorf("got %v, want %v", got, want)
	}
	return what, nil
}
