package testport

import (
	"net"
	"testing"
)

func TestFree(t *testing.T) {
	seen := map[int]bool{}
	for range 3 * block {
		port := Free(t)
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
