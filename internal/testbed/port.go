// Package testbed has what tests of several packages share: TCP ports, and running
// gateways and demos.
package testbed

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are taken in blocks, from below the system's range of ephemeral ports.
// No port that is 10,000 above another is handed out: a node of a Redis cluster
// listens there, too. The process listens on the first port of a block, which keeps
// other processes from handing out the rest.
const (
	first, last = 10_000, 20_000
	block       = 50
)

var (
	mu         sync.Mutex
	next, left int
	held       []net.Listener
)

// FreePort returns a port that nothing listens on. No other call, in this process or
// another, returns it while this process runs.
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
