package redisledger

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errMarker = errors.New("what is held under the marker's key is no marker: something else writes under this prefix")
	errServer = errors.New("two servers answer by turns: give the address of one")
)

// sight is what the marking script returns.
type sight struct {
	text    string
	clock   int64
	run     string
	trouble string // why it could not be written
}

// agree finds out whether the ledger remembers everything since it was last
// looked at, and whether it remembers for long enough. If not, the first gateway
// to notice replaces the marker.
func (l *Ledger) agree(ctx context.Context, known, found *standing, write bool) error {
	var old, next string
	var id string // of a marker that this gateway has written for a loss
	window, orders := l.wanted()
	for range 5 {
		found.began = time.Now()
		s, err := l.mark(ctx, old, next, write)
		if err != nil {
			return err
		}
		if !strings.Contains(found.runs, s.run) || s.run == "" {
			return errServer
		}
		m := parseMarker(s.text)
		if s.text != "" && m == nil {
			return &refusal{"marker", errMarker.Error()}
		}
		reason := ""
		if m == nil || id == "" || m.id != id {
			reason = reasonToForget(known, found, s, m)
			if ordered := orders > 0 && (known == nil || known.orders < orders); reason == "" && ordered {
				reason = "it takes the place of another ledger"
			}
		}
		found.marker, found.clock, found.trouble = s.text, s.clock, s.trouble
		follows := m.extend(window, s.clock)
		if reason != "" {
			if s.text != old || id == "" {
				l.log.Warn("the ledger may have forgotten what it knew: one-time signatures from before are refused, and conversations may be free to take",
					zap.String("prefix", l.prefix), zap.String("reason", reason))
			}
			if follows == nil {
				again := *m
				follows = &again
			}
			id = rand.Text()
			follows.id, follows.since = id, byServer
		}
		if follows == nil {
			found.orders = orders
			l.adopt(known, found, m)
			return nil
		}
		old, next = s.text, follows.text()
	}
	return errServer
}

func (l *Ledger) mark(ctx context.Context, old, next string, write bool) (s sight, err error) {
	writing := ""
	if write {
		writing = "write"
	}
	reply := lua().mark.Exec(ctx, l.client, []string{l.markerKey()}, []string{old, next, writing})
	parts, err := reply.AsStrSlice()
	if err != nil {
		return s, err
	}
	if len(parts) < 3 {
		return s, errMarker
	}
	if len(parts) > 3 {
		s.trouble = parts[3]
	}
	s.text, s.run = parts[0], parts[2]
	s.clock, err = strconv.ParseInt(parts[1], 10, 64)
	return s, err
}

// reasonToForget returns why the marker does not vouch for the data, or "". That
// there is none is no reason where nothing is known.
func reasonToForget(known, found *standing, s sight, m *marker) string {
	if m == nil {
		if known == nil {
			return ""
		}
		return "the marker is gone: the server was flushed, or restarted without its data"
	}
	if m.run != s.run {
		return "the server was restarted, or a replica was promoted"
	}
	if known == nil {
		return ""
	}
	for address, run := range found.primaries {
		if !strings.Contains(known.runs, run) {
			return "a server of the cluster was restarted or promoted, or is new: " + address
		}
	}
	if before := parseMarker(known.marker); before == nil || m.id != before.id {
		// A gateway that has just been started takes an empty server for a new
		// one. Who knew what was there before knows better.
		if m.since < known.clock {
			return "the marker is of a gateway that could not know what was there before"
		}
		return ""
	}
	elapsed := time.Since(known.began)
	if s.clock-known.clock > (elapsed + elapsed/1000 + time.Second).Milliseconds() {
		return "the server's clock was set forward, so entries may have ended early"
	}
	return ""
}

// adopt goes by the marker from now on. Its times are turned into the callers'
// clock by their age: the two clocks may differ.
func (l *Ledger) adopt(known, found *standing, m *marker) {
	found.ledger = m.ledger
	if known != nil && known.marker == found.marker {
		found.memory = known.memory
		return
	}
	now := l.now()
	local := func(ms int64, before time.Time) time.Time {
		if ms == 0 {
			return before
		}
		if t := now.Add(-time.Duration(found.clock-ms) * time.Millisecond); t.After(before) {
			return t
		}
		return before
	}
	var before ledger.Memory
	if known != nil {
		before = known.memory
	}
	found.memory = m.memory()
	found.memory.Since = local(m.since, before.Since)
	found.memory.Extended = local(m.extended, before.Extended)
}
