package redisledger

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

var (
	errMarker = errors.New("what is held under the marker's key is no marker: something else writes under this prefix")
	errServer = errors.New("two servers answer by turns: give the address of one")
)

// marker says since when the ledger remembers: "<random id> <since> <run id>".
// Since is in milliseconds of the server's clock, and 0 from the first start.
// The run id is that of the server that had it written: one that was restarted
// or promoted since then may lack the last moments before, marker or not.
type marker struct {
	id    string
	since int64
	run   string
}

// parseMarker returns nil for what is none.
func parseMarker(text string) *marker {
	parts := strings.Split(text, " ")
	if len(parts) != 3 {
		return nil
	}
	since, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || since < 0 {
		return nil
	}
	return &marker{parts[0], since, parts[2]}
}

// sight is what the marking script returns.
type sight struct {
	text    string
	clock   int64
	run     string
	trouble string // why it could not be written
}

// agree finds out whether the ledger remembers everything since it was last
// looked at. If not, the first gateway to notice replaces the marker.
func (l *Ledger) agree(ctx context.Context, known, found *standing, write bool) error {
	var old, id, since string
	for range 5 {
		found.began = time.Now()
		s, err := l.mark(ctx, found, old, id, since, write)
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
		}
		found.marker, found.clock, found.trouble = s.text, s.clock, s.trouble
		switch {
		case m != nil && reason == "":
			l.adopt(known, found, m)
			return nil
		case m == nil && known == nil:
			since = "0"
		default:
			since = "now"
			if s.text != old || id == "" {
				l.log.Warn("the ledger may have forgotten what it knew: one-time signatures from before are refused, and conversations may be free to take",
					zap.String("prefix", l.prefix), zap.String("reason", reason))
			}
		}
		old, id = s.text, rand.Text()
	}
	return errServer
}

func (l *Ledger) mark(ctx context.Context, found *standing, old, id, since string, write bool) (s sight, err error) {
	writing := ""
	if write {
		writing = "write"
	}
	reply := lua().mark.Exec(ctx, l.client, []string{l.markerKey()}, []string{old, id, since, writing})
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

// reasonToForget returns why the marker does not vouch for the data, or "".
func reasonToForget(known, found *standing, s sight, m *marker) string {
	if m == nil {
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
	if s.text != known.marker {
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

// adopt goes by the marker from now on. Its time is turned into the callers'
// clock by its age: the two clocks may differ.
func (l *Ledger) adopt(known, found *standing, m *marker) {
	if m.since == 0 || known != nil && known.marker == found.marker {
		return
	}
	since := l.now().Add(-time.Duration(found.clock-m.since) * time.Millisecond)
	if before := l.since.Load(); before == nil || before.Before(since) {
		l.since.Store(&since)
	}
}
