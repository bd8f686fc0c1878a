package body

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
)

// DefaultMaxSpool is what temporary files may take together unless configured.
const DefaultMaxSpool = 4 << 30

// ClientShare is the part of it that one client may take: an eighth.
const ClientShare = 8

// Spool is where bodies lie that are too large for memory: a folder, and how
// much its files may take. All handlers of a process share one. The zero value
// has the system's temporary folder and [DefaultMaxSpool].
type Spool struct {
	// Pace is how fast a body must arrive. It must be set before the first.
	Pace Pace

	mu      sync.Mutex
	dir     string
	max     int64
	used    int64
	clients map[netip.Prefix]int64 // what each has used
}

// Configure names the folder, "" for the system's, and how many bytes the files
// in it may take together, 0 for [DefaultMaxSpool]. Files that there are stay
// where they are, and count.
func (s *Spool) Configure(dir string, max int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir, s.max = dir, max
}

// Dir returns the folder.
func (s *Spool) Dir() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		return os.TempDir()
	}
	return s.dir
}

// Used returns what the files take now.
func (s *Spool) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// clientOf returns under what a client counts: an IPv6 client has a /64 to
// itself. The zero prefix, of an address that is not known, has no share.
func clientOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	client, _ := addr.Prefix(bits)
	return client
}

// room reports whether a client may have n bytes more.
func (s *Spool) room(client netip.Prefix, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked(client, n)
}

func (s *Spool) roomLocked(client netip.Prefix, n int64) error {
	max := s.max
	if max == 0 {
		max = DefaultMaxSpool
	}
	switch {
	case n > max-s.used:
		return &NoRoomError{fmt.Errorf("%d bytes more do not fit: temporary files take %d of %d", n, s.used, max), "raise max_spool, or lower max_upload"}
	case client.IsValid() && n > max/ClientShare-s.clients[client]:
		return &NoRoomError{fmt.Errorf("%d bytes more do not fit: of client %v temporary files take %d of %d, an eighth of max_spool", n, client, s.clients[client], max/ClientShare),
			"raise max_spool to eight times max_upload at least; if the address is a proxy's, name it in Caddy's trusted_proxies"}
	}
	return nil
}

// take takes n bytes for a client.
func (s *Spool) take(client netip.Prefix, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.roomLocked(client, n); err != nil {
		return err
	}
	s.used += n
	if client.IsValid() {
		if s.clients == nil {
			s.clients = make(map[netip.Prefix]int64)
		}
		s.clients[client] += n
	}
	return nil
}

// give gives them back.
func (s *Spool) give(client netip.Prefix, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= n
	if !client.IsValid() {
		return
	}
	if s.clients[client] -= n; s.clients[client] == 0 {
		delete(s.clients, client)
	}
}
