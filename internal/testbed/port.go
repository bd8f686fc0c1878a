// Package testbed gives tests what they share: TCP ports, and the built gateway.
package testbed

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are taken in blocks, from below those that the system gives to
// connections and to listeners without a port of their own; 10,000 above, where a
// node of a Redis cluster listens, too, nothing is handed out. The first port of
// a block is listened on for as long as the process runs, which keeps other
// processes from handing out the rest.
const (
	first, last = 10_000, 20_000
	block       = 50
)

var (
	mu         sync.Mutex
	next, left int
	held       []net.Listener
)

// FreePort returns a port that nobody listens on, and that no other call in this or
// another process returns before long.
func FreePort(t testing.TB) int {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	for range last - first {
		if left == 0 {
			start := first + block*rand.IntN((last-first)/block)
			l, err := net.Listen("tcp", address(start))
			if err != nil {
				continue
			}
			held, next, left = append(held, l), start+1, block-1
		}
		port := next
		next, left = next+1, left-1
		if l, err := net.Listen("tcp", address(port)); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
