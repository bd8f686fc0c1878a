// Package ledgertest checks that an implementation of [ledger.Ledger] keeps the
// promises of that interface.
package ledgertest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// Storage is where one test's ledgers keep their entries: a file, or a database.
type Storage struct {
	// Open returns a ledger on the storage that takes the time from now. Where
	// the storage is not Shared, the ledger before has been closed.
	Open func(now func() time.Time) ledger.Ledger
	// Shared says that several ledgers may be open at a time, as in a fleet.
	Shared bool
	// Pass, if not nil, is called when the ledgers' time has advanced by d. A
	// storage that ends entries by a clock of its own has to advance that.
	Pass func(d time.Duration)
	// Slack is how far that clock may run ahead of the ledgers' during a test.
	Slack time.Duration
}

// Run runs the tests. Each gets an empty storage of its own from the function.
func Run(t *testing.T, storage func(t *testing.T) Storage) {
	with := func(name string, test func(b *bed)) {
		t.Run(name, func(t *testing.T) {
			test(&bed{T: t, Storage: storage(t), time: start})
		})
	}
	for _, c := range cases {
		with(c.name, func(b *bed) { b.play(c.calls) })
	}
	with("one of many holders wins", oneWins)
	with("a share under contention", contendedShare)
	with("keys as locks", mutualExclusion)
	with("what is refused is not used", refusedIsNotUsed)
	with("forget", forget)
	with("tokens", tokens)
	with("close", closed)
	for _, c := range windowCases {
		with("a longer window, "+c.name, func(b *bed) {
			if b.Shared || !c.shared {
				longerWindow(b, c)
			}
		})
	}
}

// start is when every test begins: years away from any clock that does not take
// part in it.
var start = time.Unix(1_900_000_000, 0)

func key(name string) ledger.Key       { return sha256.Sum256([]byte("key " + name)) }
func holder(name string) ledger.Holder { return sha256.Sum256([]byte("holder " + name)) }

// bed is one test with its storage and its time.
type bed struct {
	*testing.T
	Storage
	mu   sync.Mutex
	time time.Time
}

func (b *bed) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.time
}

func (b *bed) in(d time.Duration) time.Time { return b.now().Add(d) }

func (b *bed) pass(d time.Duration) {
	b.mu.Lock()
	b.time = b.time.Add(d)
	b.mu.Unlock()
	if b.Storage.Pass != nil {
		b.Storage.Pass(d)
	}
}

// open returns a ledger that is closed at the end of the test.
func (b *bed) open() ledger.Ledger {
	l := b.Storage.Open(b.now)
	b.Cleanup(func() { b.close(l) })
	return l
}

// fleet returns as many ledgers as can be open at a time, up to three.
func (b *bed) fleet() []ledger.Ledger {
	if !b.Shared {
		return []ledger.Ledger{b.open()}
	}
	return []ledger.Ledger{b.open(), b.open(), b.open()}
}

func (b *bed) close(l ledger.Ledger) {
	b.Helper()
	if err := l.Close(); err != nil {
		b.Errorf("close: %v", err)
	}
}

// restart closes the ledger and returns another one on the same storage.
func (b *bed) restart(l ledger.Ledger) ledger.Ledger {
	b.Helper()
	b.close(l)
	return b.open()
}

// id opens the ledger for a window.
func (b *bed) id(l ledger.Ledger, w ledger.Window) string {
	b.Helper()
	id, err := l.Open(b.Context(), w)
	if err != nil || id == "" {
		b.Fatalf("open: id %q, %v", id, err)
	}
	return id
}

var errUsed = errors.New("it was used before")

// spend uses a signature, as a request does. The error is errUsed where another
// one did before.
func (b *bed) spend(l ledger.Ledger, name string, signed time.Time, w ledger.Window) error {
	return b.spendSigned(l, name, ledger.Signed{At: signed}, w)
}

func (b *bed) spendSigned(l ledger.Ledger, name string, signed ledger.Signed, w ledger.Window) error {
	me := holder(fmt.Sprint(name, time.Now().UnixNano()))
	e, err := l.Spend(b.Context(), key(name), me, signed, w)
	if err == nil && e.Holder != me {
		err = errUsed
	}
	return err
}

func (b *bed) spends(l ledger.Ledger, name string, signed time.Time, w ledger.Window, want error) {
	b.Helper()
	if err := b.spend(l, name, signed, w); !errors.Is(err, want) || want == nil && err != nil {
		b.Errorf("%s: %v, want %v", name, err, want)
	}
}

// holds fails unless that entry is in force.
func (b *bed) holds(l ledger.Ledger, k ledger.Key, want ledger.Entry) {
	b.Helper()
	if e, err := l.Held(b.Context(), k); err != nil || !same(e, want) {
		b.Errorf("held by %x until %v, %v; want %x until %v", e.Holder[:4], e.Until, err, want.Holder[:4], want.Until)
	}
}

// same compares two entries. Where nobody has the key, there is no time, either.
func same(a, b ledger.Entry) bool {
	return a.Holder == b.Holder && (a.Until.Equal(b.Until) || a.Holder == ledger.Holder{})
}
