package testbed

import (
	"net"
	"testing"
)

func TestFreePort(t *testing.T) {
	seen := map[int]bool{}
	for range 3 * block {
		port := FreePort(t)
		if seen[port] || port < first || port >= last {
			t.Errorf("%d, after %d others", port, len(seen))
		}
		seen[port] = true
	}
	for _, l := range held {
		if seen[l.Addr().(*net.TCPAddr).Port] {
			t.Errorf("%v was handed out, too", l.Addr())
		}
	}
}
