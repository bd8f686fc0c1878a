package body

import (
	"bytes"
	"errors"
	"io"
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
		{"192.0.2.1", 5 * mib, false, "eight times"},
		{"::ffff:192.0.2.1", 5 * mib, false, "eight times"},
		{"192.0.2.1", 4 * mib, true, ""},
		{"192.0.2.1", mib, true, ""}, // in memory
		{"192.0.2.2", 10 * mib, true, ""},
		{"192.0.2.3", 10*mib + 1, false, "never"},
		{"2001:db8::1", 10 * mib, true, ""},
		{"2001:db8::ffff:1", 2 * mib, false, "eight times"},
		{"2001:db8:0:1::1", 10 * mib, true, ""},
		{"fe80::1%eth0", 10 * mib, true, ""},
		{"fe80::2%eth1", 2 * mib, false, "eight times"},
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
			if c.room && err != nil || !c.room && (!errors.Is(err, ErrNoRoom) || errors.Is(err, ErrNeverFits) != (c.size > 10*mib) || !strings.Contains(err.Error(), c.remedy)) {
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
	if s.Dir() == "" || s.room(clientOf(testClient), DefaultMaxSpool/8, 0) != nil || s.room(clientOf(testClient), DefaultMaxSpool/8+1, 0) == nil {
		t.Errorf("an unconfigured spool in %q", s.Dir())
	}
	b, _ := received(bytes.NewReader(make([]byte, 2*MemoryLimit)), -1)
	if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30}); err != nil {
		t.Error(err)
	}
	b.End()
}

// TestGivenBackWhenRead: the answer to an upload may take as long as its client
// likes. The file does not: it is gone when the upstream has got the body.
func TestGivenBackWhenRead(t *testing.T) {
	for _, size := range []int{MemoryLimit / 2, 3 * MemoryLimit} {
		s := testSpool(t)
		b, r := received(bytes.NewReader(randomText(size)), int64(size))
		if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: testClient}); err != nil {
			t.Fatal(err)
		}
		b.Pass(r)
		_ = r.Body.Close() // by an upstream that could not be reached
		if n, err := io.Copy(io.Discard, r.Body); n != int64(size) || err != nil {
			t.Errorf("closed unread: %d, %v", n, err)
		}
		_ = r.Body.Close()
		if used := s.Used(); used != 0 {
			t.Errorf("%d bytes are held while the answer is read", used)
		}
		if n, err := r.Body.Read(make([]byte, 10)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("read once more: %d, %v", n, err)
		}
		b.End()
	}
}

// TestAhead: a client gets no more than twice what it has sent, whatever it says
// that it will send.
func TestAhead(t *testing.T) {
	s := testSpool(t)
	const sent, declared = 5<<20 + 12345, 60 << 20
	most := int64(0)
	text := randomText(sent)
	from := readerFunc(func(p []byte) (int, error) {
		n := copy(p, text)
		text = text[n:]
		if used, arrived := s.Used(), int64(sent-len(text)); used > 2*arrived {
			t.Errorf("%d bytes are taken for %d", used, arrived)
		}
		if most = max(most, s.Used()); n == 0 {
			return 0, io.EOF
		}
		return n, nil
	})
	b, _ := received(from, declared)
	if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: testClient}); err != ErrBroken || s.Used() != 0 || most < sent {
		t.Errorf("%v, %d bytes left, %d at most", err, s.Used(), most)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Used returns the size of all files, in bytes.
func (s *Spool) Used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}
