package boltledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// model is what a ledger promises, in a map.
type model struct {
	entries   map[ledger.Key]*record
	forgotten int64
	memory    ledger.Memory
}

func (m *model) spend(now int64, k ledger.Key, h ledger.Holder, signed ledger.Signed, w ledger.Window) (record, error) {
	if h == (ledger.Holder{}) {
		return record{}, ledger.ErrUnavailable
	}
	r, err := m.held(now, k)
	if err != nil || r.holder != (ledger.Holder{}) {
		return r, err
	}
	m.memory, _ = m.memory.Extend(w, after(now))
	if err := m.memory.Vouch(signed, time.Unix(now, 0)); err != nil {
		return record{}, err
	}
	m.entries[k] = &record{key: k, holder: h, until: seconds(m.memory.Until(signed))}
	return *m.entries[k], nil
}

func (m *model) reserve(now int64, k ledger.Key, h ledger.Holder, until int64, share ledger.Share) (record, error) {
	if until <= now || h == (ledger.Holder{}) {
		return record{}, ledger.ErrUnavailable
	}
	r, err := m.held(now, k)
	if err != nil || r.holder != (ledger.Holder{}) {
		return r, err
	}
	if share.Owner != noOwner {
		n := 0
		for _, r := range m.entries {
			if r.owner == share.Owner && now < r.until {
				n++
			}
		}
		if n >= share.Limit {
			return record{}, ledger.ErrShare
		}
	}
	m.entries[k] = &record{k, h, until, share.Owner}
	return *m.entries[k], nil
}

func (m *model) keep(now int64, k ledger.Key, h ledger.Holder, until int64) (record, error) {
	if until <= now || h == (ledger.Holder{}) {
		return record{}, ledger.ErrUnavailable
	}
	r, err := m.held(now, k)
	if err == nil && r.holder == h {
		m.entries[k].until = until
		r.until = until
	}
	return r, err
}

func (m *model) release(now int64, k ledger.Key, h ledger.Holder, until int64) error {
	if h == (ledger.Holder{}) {
		return ledger.ErrUnavailable
	}
	if r := m.entries[k]; r != nil && now < r.until && r.holder == h && r.until == until {
		delete(m.entries, k)
	}
	return nil
}

func (m *model) held(now int64, k ledger.Key) (record, error) {
	if r := m.entries[k]; r != nil && now < r.until {
		return *r, nil
	}
	if now < m.forgotten {
		return record{}, ledger.ErrUnavailable
	}
	return record{}, nil
}

func (m *model) sweep(until int64) {
	for k, r := range m.entries {
		if r.until <= until {
			m.forgotten = max(m.forgotten, r.until)
			delete(m.entries, k)
		}
	}
}

// answerer is what is compared with the model.
type answerer interface {
	Spend(context.Context, ledger.Key, ledger.Holder, ledger.Signed, ledger.Window) (ledger.Entry, error)
	Reserve(context.Context, ledger.Key, ledger.Holder, time.Time, ledger.Share) (ledger.Entry, error)
	Keep(context.Context, ledger.Key, ledger.Holder, time.Time) (ledger.Entry, error)
	Release(context.Context, ledger.Key, ledger.Holder, time.Time) error
	Held(context.Context, ledger.Key) (ledger.Entry, error)
	sweepUntil(testing.TB, int64) error
}

// sweepUntil removes everything that ended by then.
func (l *Ledger) sweepUntil(t testing.TB, until int64) error {
	_, err := l.Open(t.Context(), ledger.Window{})
	if err == nil {
		l.sweep(t, until)
	}
	return err
}

// compare makes one call of both: what, on which key by whom, and for how long.
func compare(t testing.TB, a answerer, m *model, clock *handClock, c [3]byte) (what string, err error) {
	k, h := key(fmt.Sprint(c[1]%8)), ledger.Holder{c[1] >> 3 % 4}
	now := clock.now().Unix()
	until := time.Unix(now+int64(c[2])-8, int64(c[2]%2)) // some end in the past, some between seconds
	share := ledger.Share{Owner: ledger.Key{c[1] >> 5 % 4}, Limit: 2}
	var got, want ledger.Entry
	var gotErr, wantErr error
	expect := func(r record, err error) {
		if wantErr = err; err == nil && r.holder != (ledger.Holder{}) {
			want = r.entry()
		}
	}
	switch c[0] % 8 {
	case 0:
		what = "spend"
		signed := ledger.Signed{At: time.Unix(now+16-int64(c[2]/2), int64(c[2]))}
		if c[2]%3 == 0 { // a token
			signed.Expires = signed.At.Add(time.Duration(c[2]) * time.Second)
		}
		w := ledger.Window{MaxAge: time.Duration(c[1]) * time.Second / 4, Skew: time.Duration(c[1]%16) * time.Second}
		got, gotErr = a.Spend(t.Context(), k, h, signed, w)
		expect(m.spend(now, k, h, signed, w))
	case 1:
		what = "reserve"
		got, gotErr = a.Reserve(t.Context(), k, h, until, share)
		expect(m.reserve(now, k, h, seconds(until), share))
	case 2:
		what = "keep"
		got, gotErr = a.Keep(t.Context(), k, h, until)
		expect(m.keep(now, k, h, seconds(until)))
	case 3:
		what = "held"
		got, gotErr = a.Held(t.Context(), k)
		expect(m.held(now, k))
	case 4:
		what = "release"
		if r := m.entries[k]; r != nil && c[2]%2 == 0 {
			until = time.Unix(r.until, 0)
		}
		gotErr, wantErr = a.Release(t.Context(), k, h, until), m.release(now, k, h, seconds(until))
	case 5:
		what = "sweep"
		until := now - int64(c[2]%16)
		gotErr = a.sweepUntil(t, until)
		m.sweep(until)
	case 6:
		what = "time passes"
		clock.pass(time.Duration(c[2]) * time.Second / 4)
	case 7:
		what = "the clock is set back"
		clock.step(-time.Duration(c[2]) * time.Second / 16)
	}
	if !errors.Is(gotErr, wantErr) || wantErr == nil && gotErr != nil {
		return what, fmt.Errorf("got error %v, want %v", gotErr, wantErr)
	}
	if got != want {
		return what, fmt.Errorf("got %v, want %v", got, want)
	}
	return what, nil
}

// TestModel has a ledger and the model do the same at random, and compares each
// answer. Now and then the ledger is opened again.
func TestModel(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(7, seed))
		path, clock := filepath.Join(t.TempDir(), "ledger.db"), newClock()
		open := func() *Ledger {
			l := at(t, path, clock)
			l.noSync = true
			return l
		}
		l, m := open(), &model{entries: make(map[ledger.Key]*record)}
		for i := range 200 {
			r := random.Uint32()
			if r>>24%50 == 0 {
				l.close(t)
				l = open()
			}
			if what, err := compare(t, l, m, clock, [3]byte{byte(r), byte(r >> 8), byte(r >> 16)}); err != nil {
				t.Fatalf("seed %d, call %d, %s: %v", seed, i, what, err)
			}
		}
		l.close(t)
	}
}

// within answers within one transaction, as the writer does in a batch: without
// the disk and other goroutines, so that a fuzzer learns something.
type within struct {
	tables
	clock *handClock
}

func (w within) do(o *operation) (ledger.Entry, error) {
	if o.kind.claims() && o.holder == (ledger.Holder{}) {
		return ledger.Entry{}, ledger.ErrUnavailable
	}
	a, err := o.decide(w.tables, w.clock.now().Unix())
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("the file: %w", err)
	}
	if a.err != nil && !errors.Is(a.err, ledger.ErrShare) && !errors.Is(a.err, ledger.ErrTooOld) {
		a.err = fmt.Errorf("%w: %w", ledger.ErrUnavailable, a.err)
	}
	return a.entry, a.err
}

func (w within) Spend(_ context.Context, k ledger.Key, h ledger.Holder, signed ledger.Signed, window ledger.Window) (ledger.Entry, error) {
	return w.do(&operation{kind: spend, key: k, holder: h, signed: signed, window: window})
}

func (w within) Reserve(_ context.Context, k ledger.Key, h ledger.Holder, until time.Time, share ledger.Share) (ledger.Entry, error) {
	return w.do(&operation{kind: reserve, key: k, holder: h, until: seconds(until), share: share})
}

func (w within) Keep(_ context.Context, k ledger.Key, h ledger.Holder, until time.Time) (ledger.Entry, error) {
	return w.do(&operation{kind: keep, key: k, holder: h, until: seconds(until)})
}

func (w within) Release(_ context.Context, k ledger.Key, h ledger.Holder, until time.Time) error {
	_, err := w.do(&operation{kind: release, key: k, holder: h, until: seconds(until)})
	return err
}

func (w within) Held(_ context.Context, k ledger.Key) (ledger.Entry, error) {
	return w.do(&operation{kind: held, key: k})
}

func (w within) sweepUntil(_ testing.TB, until int64) error {
	for {
		if n, err := w.sweep(until, 2); n < 2 || err != nil {
			return err
		}
	}
}

// FuzzLedger compares with the model, too. Three bytes are a call.
func FuzzLedger(f *testing.F) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 8 {
		calls := make([]byte, 3*100)
		for i := range calls {
			calls[i] = byte(random.Uint32())
		}
		f.Add(calls)
	}
	path := filepath.Join(f.TempDir(), "ledger.db")
	if err := create(path); err != nil {
		f.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = db.Close() })
	f.Fuzz(func(t *testing.T, calls []byte) {
		tx, err := db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		b, err := tablesOf(tx)
		if err != nil {
			t.Fatal(err)
		}
		clock, m := newClock(), &model{entries: make(map[ledger.Key]*record)}
		w := within{b, clock}
		for i := 0; i+3 <= len(calls); i += 3 {
			if what, err := compare(t, w, m, clock, [3]byte(calls[i:])); err != nil {
				t.Fatalf("call %d, %s: %v", i/3, what, err)
			}
		}
		// The indexes name what is there, and nothing else.
		owned := 0
		for _, r := range m.entries {
			if r.owner != noOwner {
				owned++
			}
		}
		for bucket, count := range map[*bbolt.Bucket]int{b.entries: len(m.entries), b.byExpiry: len(m.entries), b.byOwner: owned} {
			n, c := 0, bucket.Cursor()
			for k, _ := c.First(); k != nil; k, _ = c.Next() {
				n++
			}
			if n != count {
				t.Fatalf("%d rows, and %d in the model", n, count)
			}
		}
	})
}
