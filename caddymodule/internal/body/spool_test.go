package body

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestSpoolBounds(t *testing.T) {
	const mib = 1 << 20
	s := testSpool(t)
	s.Configure(s.Dir(), 80*mib) // so that a client may take 10
	type held struct{ b *Body }
	var all []held
	upload := func(client string, size int64, declared bool) error {
		var addr netip.Addr
		if client != "" {
			addr = netip.MustParseAddr(client)
		}
		length := int64(-1)
		if declared {
			length = size
		}
		b, _ := received(bytes.NewReader(make([]byte, size)), length)
		err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: addr})
		if err == nil {
			all = append(all, held{b})
		}
		return err
	}
	for i, c := range []struct {
		client string
		size   int64
		room   bool
		remedy string
	}{
		{"192.0.2.1", 6 * mib, true, ""},
		{"192.0.2.1", 5 * mib, false, "one client"},
		{"::ffff:192.0.2.1", 5 * mib, false, "one client"},
		{"192.0.2.1", 4 * mib, true, ""},
		{"192.0.2.1", mib, true, ""}, // in memory
		{"192.0.2.2", 10 * mib, true, ""},
		{"192.0.2.3", 10*mib + 1, false, "one client"},
		{"2001:db8::1", 10 * mib, true, ""},
		{"2001:db8::ffff:1", 2 * mib, false, "one client"},
		{"2001:db8:0:1::1", 10 * mib, true, ""},
		{"fe80::1%eth0", 10 * mib, true, ""},
		{"fe80::2%eth1", 2 * mib, false, "one client"},
		{"", 25 * mib, true, ""}, // nobody knows who
		{"", 6 * mib, false, "raise max_spool"},
		{"192.0.2.9", 6 * mib, false, "raise max_spool"},
		{"192.0.2.9", 5 * mib, true, ""},
	} {
		for _, declared := range []bool{true, false} {
			if c.room && declared {
				continue // taken once
			}
			used := s.Used()
			err := upload(c.client, c.size, declared)
			var noRoom *NoRoomError
			if c.room && err != nil || !c.room && (!errors.Is(err, ErrNoRoom) || !errors.As(err, &noRoom) || !strings.Contains(noRoom.Remedy, c.remedy)) {
				t.Errorf("%d: %s, %d bytes: %v", i, c.client, c.size, err)
			}
			if !c.room && s.Used() != used {
				t.Errorf("%d: %d bytes are taken by what was refused", i, s.Used()-used)
			}
		}
	}
	if s.Used() != 80*mib {
		t.Errorf("%d MiB are taken", s.Used()/mib)
	}
	// A smaller spool takes nothing more until there is room in it.
	s.Configure(s.Dir(), 40*mib)
	for _, h := range all[:4] {
		if err := upload("198.51.100.1", 2*mib, true); !errors.Is(err, ErrNoRoom) {
			t.Errorf("%d MiB are taken of 40, and there is room: %v", s.Used()/mib, err)
		}
		h.b.End()
	}
	for _, h := range all[4:] {
		h.b.End()
	}
	if err := upload("192.0.2.1", 5*mib, true); err != nil {
		t.Errorf("an empty spool: %v", err)
	}
	for _, h := range all {
		h.b.End() // twice is as good as once
	}
}

func TestSpoolDefaults(t *testing.T) {
	s := new(Spool)
	if s.Dir() == "" || s.room(clientOf(testClient), DefaultMaxSpool/8) != nil || s.room(clientOf(testClient), DefaultMaxSpool/8+1) == nil {
		t.Errorf("an unconfigured spool in %q", s.Dir())
	}
	b, _ := received(bytes.NewReader(make([]byte, 2*MemoryLimit)), -1)
	if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30}); err != nil {
		t.Error(err)
	}
	b.End()
}
