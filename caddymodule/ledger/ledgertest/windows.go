package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

var (
	short = ledger.Window{MaxAge: 2 * m, Skew: 30 * time.Second}
	long  = ledger.Window{MaxAge: h, Skew: 30 * time.Second}
)

// windowCase is who serves the longer window.
type windowCase struct {
	name   string
	shared bool // several ledgers have to be open
	opened bool // the ledger is opened for it before anything is spent
	second func(b *bed, first ledger.Ledger) ledger.Ledger
}

var windowCases = []windowCase{
	{"the same", false, false, func(_ *bed, l ledger.Ledger) ledger.Ledger { return l }},
	{"the same, opened for it", false, true, func(_ *bed, l ledger.Ledger) ledger.Ledger { return l }},
	{"after a restart", false, false, (*bed).restart},
	{"after a restart, opened for it", false, true, (*bed).restart},
	{"another gateway", true, true, func(b *bed, _ ledger.Ledger) ledger.Ledger { return b.open() }},
	{"another gateway that runs already", true, true, func(b *bed, _ ledger.Ledger) ledger.Ledger {
		l := b.open()
		b.id(l, short)
		return l
	}},
}

// longerWindow serves a longer window when what was used under a shorter one has
// ended.
func longerWindow(b *bed, c windowCase) {
	first := b.open()
	id := b.id(first, short)
	used := b.now()
	b.spends(first, "used", used, short, nil)
	b.spends(first, "used", used, short, errUsed)
	var second ledger.Ledger
	if c.shared {
		second = c.second(b, first)
	}
	b.pass(10 * m)
	if !c.shared {
		second = c.second(b, first)
		first = second
	}
	if c.opened {
		if again := b.id(second, long); again != id {
			b.Errorf("two ids: %s and %s", id, again)
		}
	}
	b.spends(second, "used", used, long, ledger.ErrTooOld)
	b.spends(first, "used", used, long, ledger.ErrTooOld)
	b.spends(second, "fresh for the shorter one, too", b.now(), long, nil)
	second = b.restart(second)
	if !c.shared {
		first = second
	}
	b.spends(second, "used", used, long, ledger.ErrTooOld)
	b.pass(10 * m)
	b.spends(second, "after it", b.now(), long, nil)

	// Who serves the shorter window still keeps what is used for the longer one.
	b.id(first, short)
	late := b.now()
	b.spends(first, "under the shorter one", late, short, nil)
	b.pass(20 * m)
	b.spends(second, "under the shorter one", late, long, errUsed)
	b.spends(second, "not used", late, long, nil)
	b.spends(b.restart(second), "under the shorter one", late, long, errUsed)
}

// refusedIsNotUsed: what the ledger does not vouch for leaves no entry, and
// neither does a call that cannot be carried out.
func refusedIsNotUsed(b *bed) {
	l := b.open()
	b.id(l, short)
	b.pass(20 * m)
	b.id(l, long)
	old := b.in(-20 * m)
	for range 2 {
		b.spends(l, "k", old, long, ledger.ErrTooOld)
	}
	b.holds(l, key("k"), ledger.Entry{})
	if _, err := l.Spend(b.Context(), key("k"), ledger.Holder{}, ledger.Signed{At: b.now()}, long); !errors.Is(err, ledger.ErrUnavailable) {
		b.Errorf("used by nobody: %v", err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	if _, err := l.Spend(ctx, key("k"), holder("a"), ledger.Signed{At: b.now()}, long); !errors.Is(err, ledger.ErrUnavailable) {
		b.Errorf("a call that was canceled before: %v", err)
	}
}

// forget: what was signed before is refused from then on, by every gateway and
// after a restart. Entries stay.
func forget(b *bed) {
	fleet := b.fleet()
	ids := make(map[string]bool)
	for _, l := range fleet {
		ids[b.id(l, long)] = true
	}
	conversation := ledger.Entry{Holder: holder("a"), Until: b.in(2 * h)}
	if _, err := fleet[0].Reserve(b.Context(), key("conversation"), holder("a"), conversation.Until, ledger.Share{}); err != nil {
		b.Fatal(err)
	}
	before := b.now()
	b.spends(fleet[0], "used", before, long, nil)
	b.pass(10 * m)
	if err := fleet[0].Forget(b.Context()); err != nil {
		b.Fatal(err)
	}
	now := b.now()
	attempt := 0
	for _, l := range fleet {
		testbed.Succeeds(b, "it is noticed", func() error {
			attempt++
			if err := b.spend(l, fmt.Sprint("before, ", attempt), before, long); !errors.Is(err, ledger.ErrForgotten) {
				return fmt.Errorf("spent: %w", err)
			}
			return nil
		})
	}
	for i, l := range fleet {
		for range 2 {
			b.spends(l, "used", before, long, errUsed)
			b.spends(l, "before", before, long, ledger.ErrForgotten)
			b.spends(l, "a skew ahead, before", now, long, ledger.ErrForgotten)
			b.holds(l, key("conversation"), conversation)
			l = b.restart(l)
			ids[b.id(l, long)] = true
		}
		b.pass(10 * m)
		b.spends(l, fmt.Sprint("after, ", i), b.now(), long, nil)
		b.close(l)
	}
	if len(ids) != 1 {
		b.Errorf("the ledger has changed its id: %v", ids)
	}
}

// tokens have an exp, up to which their use is kept whatever the windows are. The longest
// window says when one that tells no more can have been used.
func tokens(b *bed) {
	fleet := b.fleet()
	brief := fleet[len(fleet)-1]
	b.id(brief, short)
	spends := func(name string, l ledger.Ledger, signed ledger.Signed, w ledger.Window, want error) {
		b.Helper()
		if err := b.spendSigned(l, name, signed, w); !errors.Is(err, want) || want == nil && err != nil {
			b.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	early := ledger.Signed{Expires: b.in(2 * m)}
	spends("early", brief, early, short, nil)
	b.id(fleet[0], long) // a longer window refuses nothing that a shorter one took
	spends("early", fleet[0], early, long, errUsed)
	spends("another", fleet[0], early, long, nil)
	late := ledger.Signed{Expires: b.in(h)}
	spends("late", fleet[0], late, long, nil)
	b.pass(h - m)
	spends("late", brief, late, short, errUsed)
	spends("late, not used", brief, late, short, nil)
	b.pass(m + m)
	spends("late", brief, late, short, ledger.ErrTooOld)

	lost := ledger.Signed{Expires: b.in(h)}
	said := ledger.Signed{At: b.in(h - 2*m), Expires: b.in(h)}
	spends("lost", fleet[0], lost, long, nil)
	b.pass(m)
	if err := fleet[0].Forget(b.Context()); err != nil {
		b.Fatal(err)
	}
	testbed.Succeeds(b, "it is noticed", func() error {
		if err := b.spend(brief, "before", b.in(-m), short); !errors.Is(err, ledger.ErrForgotten) {
			return fmt.Errorf("spent: %w", err)
		}
		return nil
	})
	b.pass(h - 2*m)
	spends("lost, perhaps", brief, lost, short, ledger.ErrForgotten)
	spends("signed since", brief, said, short, nil)
}
