package ledger

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

var noon = time.Unix(1_800_000_000, 0)

// TestVouch extends windows one after the other, and asks for signatures of
// which no entry is there.
func TestVouch(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	type served struct {
		at     time.Duration // since noon
		window Window
	}
	type asked struct {
		signed, at time.Duration
		want       error
	}
	type token struct {
		exp, at time.Duration
		want    error
	}
	short, long := Window{2 * s, s}, Window{h, s}
	for _, c := range []struct {
		name   string
		begin  Memory
		served []served
		asked  []asked
		tokens []token // which do not say when they were signed
	}{
		{"a new ledger", Memory{}, []served{{0, long}}, []asked{
			{-m, 0, nil}, {-h, 0, nil}, {-h - s, 0, ErrTooOld}, {s, 0, nil},
		}, []token{{m, 0, nil}, {h + s, 0, nil}, {0, s, ErrTooOld}}},
		{"a longer window", Memory{}, []served{{0, short}, {m, long}}, []asked{
			{m - 2*s, m, nil}, // fresh for the shorter one: an entry would be there
			{m - 3*s, m, ErrTooOld},
			{m, m + 2*s, nil},
			{m, m + 3*s, ErrTooOld}, // used before the extension, a second ahead of its time
			{m + 2*s, m + h, nil},   // it cannot have been
			{m + 2*s - 1, m + h - s, ErrTooOld},
			{m + 2*s, m + h + 3*s, ErrTooOld},
		}, []token{ // an entry is kept until exp under either
			{m + s, m, nil}, {m + s - 1, m, ErrTooOld}, {h, m, nil}, {2 * m, 2*m - s + 1, ErrTooOld}, {m + h + 2*s, m + h + 2*s, nil},
		}},
		{"and a shorter one again", Memory{}, []served{{0, long}, {m, short}, {2 * m, long}}, []asked{
			{-50 * m, 2 * m, nil}, {m, 20 * m, nil},
		}, nil},
		{"a longer window, and a longer one while the first is young", Memory{},
			[]served{{0, short}, {m, Window{10 * m, s}}, {2 * m, long}}, []asked{
				{2*m - 2*s, 2 * m, nil}, {m + 30*s, 2 * m, ErrTooOld}, {2*m + 2*s, 30 * m, nil},
			}, nil},
		{"a longer window, and a longer one when the first is old", Memory{},
			[]served{{0, short}, {m, Window{10 * m, s}}, {20 * m, long}}, []asked{
				{10 * m, 20 * m, nil}, {10*m - s, 20 * m, ErrTooOld}, {20*m + 2*s, 70 * m, nil},
			}, nil},
		{"a longer skew", Memory{}, []served{{0, Window{m, s}}, {m, Window{m, 11 * s}}}, []asked{
			{m, m + 50*s, nil}, // fresh for a caller whose clock is 11 seconds behind, an entry would be there
			{m, m + 51*s, ErrTooOld}, {m + 22*s, 2*m + 22*s, nil},
		}, []token{
			{m + 51*s, m + 40*s, nil}, {m + 51*s, m + 41*s, ErrTooOld}, // that caller may ask when its entry has ended
		}},
		{"a window and a skew that are longer", Memory{}, []served{{0, short}, {m, Window{h, m}}}, []asked{
			{m + s, m + 3*s, ErrTooOld}, {3 * m, h, nil},
		}, nil},
		{"a ledger of unknown windows", Memory{Extended: noon}, []served{{0, long}}, []asked{
			{0, 0, nil}, // of this very moment: an entry of any length would be there
			{-s, 0, ErrTooOld}, {0, s, ErrTooOld}, {2 * s, 3 * s, nil},
		}, nil},
		{"a ledger that has forgotten", Memory{Since: noon}, []served{{0, long}}, []asked{
			{0, 0, ErrForgotten}, {s - 1, s, ErrForgotten}, {s, s, nil}, {-h, 0, ErrForgotten},
		}, []token{{h, 0, ErrForgotten}, {h + s - 1, s, ErrForgotten}, {h + s, s, nil}}},
		{"and serves a shorter window now", Memory{Since: noon}, []served{{0, long}, {0, short}}, nil,
			[]token{{m, 0, ErrForgotten}, {h, h - s, ErrForgotten}, {h + s, h, nil}}},
	} {
		m := c.begin
		for _, w := range c.served {
			m, _ = m.Extend(w.window, noon.Add(w.at))
		}
		for _, a := range c.asked {
			if err := m.Vouch(Signed{At: noon.Add(a.signed)}, noon.Add(a.at)); !errors.Is(err, a.want) {
				t.Errorf("%s: signed at %v, at %v: %v, want %v", c.name, a.signed, a.at, err, a.want)
			}
		}
		for _, k := range c.tokens {
			if err := m.Vouch(Signed{Expires: noon.Add(k.exp)}, noon.Add(k.at)); !errors.Is(err, k.want) {
				t.Errorf("%s: a token until %v, at %v: %v, want %v", c.name, k.exp, k.at, err, k.want)
			}
		}
		if again, longer := m.Extend(c.served[0].window, noon.Add(h)); longer || again != m {
			t.Errorf("%s: serving it again changes %+v to %+v", c.name, m, again)
		}
	}
	if !errors.Is(ErrForgotten, ErrUnavailable) || errors.Is(ErrTooOld, ErrUnavailable) {
		t.Error("what was forgotten is unavailable, and what is too old is not")
	}
}

// TestNothingIsUsedTwice has gateways of different windows and clocks, which are
// up to a skew apart, use signatures and tokens of all ages at random, in ledgers whose
// window grows now and then, and which lose their entries where the clocks agree.
func TestNothingIsUsedTwice(t *testing.T) {
	const skew = 4 * time.Second
	accepted, again := 0, 0
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(11, seed))
		second := func(n int) time.Duration { return time.Duration(random.IntN(n*1000)) * time.Millisecond }
		var m Memory
		losing := seed%2 == 0
		if seed%3 == 0 {
			m.Extended = noon
		}
		type gateway struct {
			window Window
			ahead  time.Duration
		}
		gateways := make([]gateway, 3)
		for i := range gateways {
			gateways[i] = gateway{Window{second(20), skew}, second(4)}
			if losing {
				gateways[i].ahead = 0
			}
		}
		var signed []Signed
		entries, used := make(map[int]time.Time), make(map[int]bool)
		now := noon
		for range 300 {
			now = now.Add(second(3))
			g := &gateways[random.IntN(len(gateways))]
			if random.IntN(20) == 0 {
				g.window.MaxAge = second(60) // a reload
			}
			if losing && random.IntN(60) == 0 {
				m.Since = now
				clear(entries)
			}
			clock := now.Add(g.ahead)
			m, _ = m.Extend(g.window, clock)
			n := len(signed)
			if n > 0 && random.IntN(3) > 0 {
				n = random.IntN(n)
			} else {
				next := Signed{At: now.Add(second(16) - 8*time.Second)}
				switch random.IntN(4) {
				case 0:
					next.Expires = now.Add(second(60))
				case 1:
					next = Signed{Expires: now.Add(second(60))}
				}
				signed = append(signed, next)
			}
			age, left := clock.Sub(signed[n].At), signed[n].Expires.Sub(clock)
			fresh := age <= g.window.MaxAge
			if !signed[n].Expires.IsZero() {
				fresh = left > 0 && left <= g.window.MaxAge+skew
			}
			if !fresh || age < -skew {
				continue
			}
			if until, there := entries[n]; there && now.Before(until) {
				again++
				continue
			}
			if m.Vouch(signed[n], clock) != nil {
				continue
			}
			if used[n] {
				t.Fatalf("seed %d: signed %+v, used again at %v: %+v", seed, signed[n], now, m)
			}
			used[n], entries[n] = true, now.Add(m.Until(signed[n]).Sub(clock)) // the store counts what is left
			accepted++
		}
	}
	if accepted < 10_000 || again < 10_000 {
		t.Errorf("%d were accepted and %d known: too few to prove anything", accepted, again)
	}
}
