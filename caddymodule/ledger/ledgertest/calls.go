package ledgertest

import (
	"errors"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const (
	m = time.Minute
	h = time.Hour
)

// call is one call and its answer. Times count from the start.
type call struct {
	do     string // reserve, keep, release, held, or the time is: before, at
	key    string
	holder string
	until  time.Duration
	owner  string
	limit  int
	want   string // who holds the key then, "" for nobody
	ends   time.Duration
	err    error
}

var cases = []struct {
	name  string
	calls []call
}{
	{"nobody holds what nobody reserved", []call{
		{do: "held", key: "k"},
		{do: "keep", key: "k", holder: "a", until: m},
		{do: "release", key: "k", holder: "a", until: m},
		{do: "held", key: "k"},
	}},
	{"the first one holds it, whoever asks", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "a", ends: m},
		{do: "held", key: "k", want: "a", ends: m},
		{do: "reserve", key: "other", holder: "b", until: m, want: "b", ends: m},
	}},
	{"reserving again changes nothing", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "reserve", key: "k", holder: "a", until: 2 * m, want: "a", ends: m},
		{do: "held", key: "k", want: "a", ends: m},
	}},
	{"the end is rounded up", []call{
		{do: "reserve", key: "k", holder: "a", until: m + 1, want: "a", ends: m + time.Second},
		{do: "before", until: m + time.Second},
		{do: "held", key: "k", want: "a", ends: m + time.Second},
		{do: "at", until: m + time.Second},
		{do: "held", key: "k"},
	}},
	{"what has ended is free", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "reserve", key: "l", holder: "a", until: m, want: "a", ends: m},
		{do: "before", until: m},
		{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "a", ends: m},
		{do: "at", until: m},
		{do: "held", key: "k"},
		{do: "keep", key: "k", holder: "a", until: 2 * m},
		{do: "release", key: "k", holder: "a", until: m},
		{do: "reserve", key: "k", holder: "b", until: 2 * m, want: "b", ends: 2 * m},
		{do: "held", key: "k", want: "b", ends: 2 * m},
		{do: "reserve", key: "l", holder: "b", until: 2 * m, want: "b", ends: 2 * m},
	}},
	{"the holder moves the end, both ways", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "keep", key: "k", holder: "a", until: 4 * m, want: "a", ends: 4 * m},
		{do: "keep", key: "k", holder: "a", until: 4 * m, want: "a", ends: 4 * m},
		{do: "at", until: 2 * m},
		{do: "held", key: "k", want: "a", ends: 4 * m},
		{do: "keep", key: "k", holder: "a", until: 3 * m, want: "a", ends: 3 * m},
		{do: "at", until: 3 * m},
		{do: "held", key: "k"},
	}},
	{"nobody else moves it", []call{
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "keep", key: "k", holder: "b", until: 3 * m, want: "a", ends: m},
		{do: "held", key: "k", want: "a", ends: m},
	}},
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
	}},
	{"nobody reserves, and nothing ends before it begins", []call{
		{do: "reserve", key: "k", until: m, err: ledger.ErrUnavailable},
		{do: "keep", key: "k", until: m, err: ledger.ErrUnavailable},
		{do: "release", key: "k", until: m, err: ledger.ErrUnavailable},
		{do: "reserve", key: "k", holder: "a", err: ledger.ErrUnavailable},
		{do: "reserve", key: "k", holder: "a", until: -m, err: ledger.ErrUnavailable},
		{do: "reserve", key: "k", holder: "a", until: -100 * 365 * 24 * h, err: ledger.ErrUnavailable}, // before 1970
		{do: "held", key: "k"},
		{do: "reserve", key: "k", holder: "a", until: m, want: "a", ends: m},
		{do: "keep", key: "k", holder: "a", err: ledger.ErrUnavailable},
		{do: "held", key: "k", want: "a", ends: m},
	}},
	{"far away", []call{
		{do: "reserve", key: "1", holder: "a", until: 200 * 365 * 24 * h, want: "a", ends: 200 * 365 * 24 * h},
		{do: "held", key: "1", want: "a", ends: 200 * 365 * 24 * h},
	}},
	{"a share has a limit", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: 2, want: "a", ends: m},
		{do: "reserve", key: "2", holder: "a", until: 3 * m, owner: "o", limit: 2, want: "a", ends: 3 * m},
		{do: "reserve", key: "3", holder: "a", until: 3 * m, owner: "o", limit: 2, err: ledger.ErrShare},
		{do: "held", key: "3"},
		{do: "reserve", key: "3", holder: "b", until: 3 * m, owner: "p", limit: 1, want: "b", ends: 3 * m}, // another's share
		{do: "reserve", key: "4", holder: "b", until: 3 * m, want: "b", ends: 3 * m},                       // none
		{do: "reserve", key: "1", holder: "a", until: 3 * m, owner: "o", limit: 2, want: "a", ends: m},     // his already
		{do: "reserve", key: "3", holder: "a", until: 3 * m, owner: "o", limit: 2, want: "b", ends: 3 * m}, // another's already
		{do: "at", until: m}, // frees 1
		{do: "reserve", key: "5", holder: "a", until: 4 * m, owner: "o", limit: 2, want: "a", ends: 4 * m},
		{do: "reserve", key: "1", holder: "a", until: 4 * m, owner: "o", limit: 2, err: ledger.ErrShare},
		{do: "release", key: "2", holder: "a", until: 3 * m},
		{do: "reserve", key: "1", holder: "a", until: 4 * m, owner: "o", limit: 2, want: "a", ends: 4 * m},
		{do: "reserve", key: "6", holder: "a", until: 4 * m, owner: "o", limit: 2, err: ledger.ErrShare},
	}},
	{"a key that its holder reserves again counts once", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: 2, want: "a", ends: m},
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: 2, want: "a", ends: m},
		{do: "keep", key: "1", holder: "a", until: 2 * m, want: "a", ends: 2 * m},
		{do: "reserve", key: "2", holder: "a", until: m, owner: "o", limit: 2, want: "a", ends: m},
		{do: "reserve", key: "3", holder: "a", until: m, owner: "o", limit: 2, err: ledger.ErrShare},
	}},
	{"what is kept for longer counts for longer", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: 1, want: "a", ends: m},
		{do: "keep", key: "1", holder: "a", until: 3 * m, want: "a", ends: 3 * m},
		{do: "at", until: 2 * m},
		{do: "reserve", key: "2", holder: "a", until: 3 * m, owner: "o", limit: 1, err: ledger.ErrShare},
		{do: "at", until: 3 * m},
		{do: "reserve", key: "2", holder: "a", until: 5 * m, owner: "o", limit: 1, want: "a", ends: 5 * m},
	}},
	{"what is kept for less counts for less", []call{
		{do: "reserve", key: "1", holder: "a", until: 5 * m, owner: "o", limit: 1, want: "a", ends: 5 * m},
		{do: "keep", key: "1", holder: "a", until: m, want: "a", ends: m},
		{do: "at", until: m},
		{do: "reserve", key: "2", holder: "a", until: 3 * m, owner: "o", limit: 1, want: "a", ends: 3 * m},
	}},
	{"what another holds does not count", []call{
		{do: "reserve", key: "1", holder: "b", until: m, want: "b", ends: m},
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: 1, want: "b", ends: m},
		{do: "keep", key: "1", holder: "a", until: m, want: "b", ends: m},
		{do: "reserve", key: "2", holder: "a", until: m, owner: "o", limit: 1, want: "a", ends: m},
	}},
	{"a share of nothing", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: 0, err: ledger.ErrShare},
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: -1, err: ledger.ErrShare},
		{do: "held", key: "1"},
	}},
	{"a key that has ended goes to another's share", []call{
		{do: "reserve", key: "1", holder: "a", until: m, owner: "o", limit: 1, want: "a", ends: m},
		{do: "at", until: m},
		{do: "reserve", key: "1", holder: "b", until: 3 * m, owner: "p", limit: 1, want: "b", ends: 3 * m},
		{do: "reserve", key: "2", holder: "a", until: 3 * m, owner: "o", limit: 1, want: "a", ends: 3 * m},
		{do: "reserve", key: "3", holder: "b", until: 3 * m, owner: "p", limit: 1, err: ledger.ErrShare},
		{do: "held", key: "1", want: "b", ends: 3 * m},
	}},
}

// play makes the calls. A ledger that is opened afterwards gives the same answers.
func (b *bed) play(calls []call) {
	l := b.open()
	for i, c := range calls {
		got, err := c.make(b, l)
		var want ledger.Entry
		if c.want != "" {
			want = ledger.Entry{Holder: holder(c.want), Until: start.Add(c.ends)}
		}
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			b.Fatalf("call %d, %s %s: error %v, want %v", i+1, c.do, c.key, err, c.err)
		}
		if !same(got, want) {
			b.Fatalf("call %d, %s %s: got %x until %v, want %q until %v", i+1, c.do, c.key, got.Holder[:4], got.Until, c.want, want.Until)
		}
	}
	held := make(map[string]ledger.Entry)
	for _, c := range calls {
		var err error
		if held[c.key], err = l.Held(b.Context(), key(c.key)); err != nil {
			b.Error(err)
		}
	}
	if err := l.Err(); err != nil {
		b.Error(err)
	}
	l = b.restart(l)
	for name, want := range held {
		b.holds(l, key(name), want)
	}
}

func (c call) make(b *bed, l ledger.Ledger) (got ledger.Entry, err error) {
	var who ledger.Holder
	if c.holder != "" {
		who = holder(c.holder)
	}
	until := start.Add(c.until)
	switch c.do {
	case "reserve":
		var share ledger.Share
		if c.owner != "" {
			share = ledger.Share{Owner: key("owner " + c.owner), Limit: c.limit}
		}
		return l.Reserve(b.Context(), key(c.key), who, until, share)
	case "keep":
		return l.Keep(b.Context(), key(c.key), who, until)
	case "release":
		return got, l.Release(b.Context(), key(c.key), who, until)
	case "held":
		return l.Held(b.Context(), key(c.key))
	case "before":
		b.pass(until.Add(-1 - b.Slack).Sub(b.now()))
	case "at":
		b.pass(until.Add(b.Slack).Sub(b.now()))
	default:
		b.Fatalf("there is no call %q", c.do)
	}
	return got, nil
}
