package body

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"sync"
)

// DefaultMaxSpool is the default limit of all temporary files together, in bytes.
const DefaultMaxSpool = 4 << 30

// ClientShare says that one client may use one part in ClientShare of the limit.
const ClientShare = 8

// Spool is a folder for bodies that are too large for memory, with a limit. All handlers of a
// process share one. The zero value is the system's temporary folder and [DefaultMaxSpool].
type Spool struct {
	// Pace is how fast a body must arrive. It must be set before the first use.
	Pace Pace

	mu      sync.Mutex
	dir     string
	max     int64
	used    int64
	clients map[netip.Prefix]int64 // what each has used
}

// Configure sets the folder, "" for the system's, and the limit of all files together in
// bytes, 0 for [DefaultMaxSpool]. Existing files stay where they are, and count.
func (s *Spool) Configure(dir string, max int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir, s.max = dir, max
}

// Dir returns the folder.
func (s *Spool) Dir() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.dir, os.TempDir())
}

// clientOf returns the prefix by which a client is counted: an IPv6 client usually has a /64.
// The zero prefix, of an unknown address, has no share.
func clientOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	client, _ := addr.Prefix(bits)
	return client
}

// room returns an error if a client may not have n more bytes, for a body that has at least
// size.
func (s *Spool) room(client netip.Prefix, n, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked(client, n, size)
}

func (s *Spool) roomLocked(client netip.Prefix, n, size int64) error {
	max := cmp.Or(s.max, DefaultMaxSpool)
	limit := max
	if client.IsValid() {
		limit = max / ClientShare
	}
	switch {
	case size > limit:
		return fmt.Errorf("%w: it has %d bytes or more, of the %d that one client may have: raise max_spool to at least eight times max_upload, or lower max_upload",
			ErrNeverFits, size, limit)
	case n > max-s.used:
		return noRoomError(fmt.Errorf("%d bytes more do not fit: temporary files take %d of %d", n, s.used, max), "raise max_spool, or lower max_upload")
	case client.IsValid() && n > max/ClientShare-s.clients[client]:
		return noRoomError(fmt.Errorf("%d bytes more do not fit: temporary files of client %v take %d of %d, an eighth of max_spool", n, client, s.clients[client], max/ClientShare),
			"raise max_spool to at least eight times max_upload; if the address is a proxy's, name it in Caddy's trusted_proxies")
	}
	return nil
}

// take reserves n bytes for a client, for a body that has at least size.
func (s *Spool) take(client netip.Prefix, n, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomLocked(client, n, size); err != nil {
		return err
	}
	if s.clients == nil {
		s.clients = make(map[netip.Prefix]int64)
	}
	s.used, s.clients[client] = s.used+n, s.clients[client]+n
	return nil
}

// give releases n bytes of a client.
func (s *Spool) give(client netip.Prefix, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	if s.clients[client] -= n; s.clients[client] == 0 {
		delete(s.clients, client)
	}
}
