package redisledger

import (
	"crypto/rand"
	"strconv"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// marker is the ledger's memory in Redis: "<random id> <since> <run id> <ledger's id>
// <max_age> <skew> <narrow> <extended>". Times are in milliseconds, by the server's clock.
// Since is 0 until the first loss. The run id is the [identity] of the server on which it
// was written: one that was restarted or promoted since may lack the last moments. The
// random id changes with each loss, the ledger's only if the marker itself is lost. The
// rest is as in [ledger.Memory].
type marker struct {
	id, run, ledger                       string
	since, maxAge, skew, narrow, extended int64 // milliseconds
}

// byServer stands for the server's time in a marker to be written.
const byServer = -1

// parseMarker returns nil if the text is not a marker.
func parseMarker(text string) *marker {
	parts := strings.Split(text, " ")
	if len(parts) != 8 {
		return nil
	}
	m := &marker{id: parts[0], run: parts[2], ledger: parts[3]}
	for i, n := range map[int]*int64{1: &m.since, 4: &m.maxAge, 5: &m.skew, 6: &m.narrow, 7: &m.extended} {
		var err error
		if *n, err = strconv.ParseInt(parts[i], 10, 64); err != nil || *n < 0 {
			return nil
		}
	}
	return m
}

// text returns the marker for the script, in which the server fills in its time and run id.
func (m *marker) text() string {
	number := func(n int64) string {
		if n == byServer {
			return "@now"
		}
		return strconv.FormatInt(n, 10)
	}
	return strings.Join([]string{
		m.id, number(m.since), "@run", m.ledger, number(m.maxAge), number(m.skew), number(m.narrow), number(m.extended),
	}, " ")
}

// memory returns the marker's memory, by the server's clock.
func (m *marker) memory() ledger.Memory {
	return ledger.Memory{
		Window: ledger.Window{MaxAge: duration(m.maxAge), Skew: duration(m.skew)},
		Narrow: duration(m.narrow), Extended: timeOrZero(m.extended), Since: timeOrZero(m.since),
	}
}

func duration(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func timeOrZero(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// extend returns the marker to write for the window, nil if this one suffices. A nil marker
// is followed by the first one.
func (m *marker) extend(w ledger.Window, clock int64) *marker {
	if m == nil {
		return &marker{id: rand.Text(), ledger: rand.Text(), maxAge: w.MaxAge.Milliseconds(), skew: w.Skew.Milliseconds()}
	}
	next, before := *m, m.memory()
	after, longer := before.Extend(w, time.UnixMilli(clock))
	if !longer {
		return nil
	}
	if !after.Extended.Equal(before.Extended) {
		next.extended = byServer
	}
	next.maxAge, next.skew, next.narrow = after.MaxAge.Milliseconds(), after.Skew.Milliseconds(), after.Narrow.Milliseconds()
	return &next
}
