//go:build linux || darwin

package boltledger

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

func init() { parts["fill"] = fillUntilFull }

// fillUntilFull reserves until the file may not get any larger, and looks
// whether anything of that is forgotten: while it is so, when there is room
// again, and after that.
func fillUntilFull(path string) {
	ctx := context.Background()
	signal.Ignore(syscall.SIGXFSZ) // so that writing fails with EFBIG, as a full disk would make it fail
	limit := func(bytes uint64) {
		var l syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			panic(err)
		}
		l.Cur = min(bytes, l.Max)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			panic(err)
		}
	}
	l := New(Options{Path: path})
	l.sweepInterval = 10 * time.Millisecond
	reserved := func(name string) error {
		e, err := l.Reserve(ctx, key(name), holder(name), farAway(), ledger.Share{})
		if err == nil && e.Holder != holder(name) {
			return errors.New("another holds " + name)
		}
		return err
	}
	var mu sync.Mutex
	var acknowledged []string
	fill := func(round int) {
		var group sync.WaitGroup
		for g := range 16 {
			group.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprint(round, g, i)
					if err := reserved(name); err != nil {
						if !tooLarge(err) {
							panic(err)
						}
						return
					}
					mu.Lock()
					acknowledged = append(acknowledged, name)
					mu.Unlock()
				}
			})
		}
		group.Wait()
	}
	check := func() {
		for _, name := range acknowledged {
			e, err := l.Held(ctx, key(name))
			if err != nil || e.Holder != holder(name) {
				panic(fmt.Sprint(name, " is not held: ", e, err))
			}
			e, err = l.Reserve(ctx, key(name), holder("a stranger"), farAway(), ledger.Share{})
			if err != nil || e.Holder != holder(name) {
				panic(fmt.Sprint(name, " was accepted again: ", e, err))
			}
		}
	}
	for round := range 3 {
		limit(uint64(200<<10) << round)
		fill(round)
		check()
	}
	limit(0)
	if err := reserved("no more"); !tooLarge(err) {
		panic(err)
	}
	for range 100 { // of the sweeper's attempts, some come between
		if err := l.Err(); !errors.Is(err, ledger.ErrUnavailable) {
			panic(fmt.Sprint("Err is ", err))
		}
		time.Sleep(time.Millisecond)
	}
	check()
	limit(1 << 30)
	// Nobody asks, and yet it is found out that there is room.
	for deadline := time.Now().Add(time.Minute); l.Err() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			panic(l.Err())
		}
	}
	if err := reserved("one more"); err != nil {
		panic(err)
	}
	if err := l.Close(); err != nil {
		panic(err)
	}
	l = New(Options{Path: path})
	check()
	if err := l.Close(); err != nil {
		panic(err)
	}
	fmt.Println("nothing was forgotten of", len(acknowledged))
}

// tooLarge asks the text, since bolt does not wrap every cause.
func tooLarge(err error) bool {
	return errors.Is(err, ledger.ErrUnavailable) && strings.Contains(err.Error(), syscall.EFBIG.Error())
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	c := start(t, "fill", filepath.Join(t.TempDir(), "ledger.db"))
	t.Log(c.line(t))
}
