package redisledger

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// marker is the ledger's memory in Redis: "<random id> <since> <run id> <ledger's id>
// <max_age> <skew> <narrow> <extended>", in milliseconds and by the server's clock. Since is 0
// until the first loss. The run id is the [identity] of the server on which it was written:
// one that was restarted or promoted since may lack the last moments. The random id changes
// with each loss, the ledger's only if the marker itself is lost.
type marker struct {
	id, run, ledger string
	ledger.Memory
}

// byServer stands for the server's time in a marker to be written.
var byServer = time.UnixMilli(-1)

// parseMarker returns nil if the text is not a marker.
func parseMarker(text string) *marker {
	parts := strings.Split(text, " ")
	if len(parts) != 8 {
		return nil
	}
	var n [8]int64
	for _, i := range [...]int{1, 4, 5, 6, 7} {
		var err error
		if n[i], err = strconv.ParseInt(parts[i], 10, 64); err != nil || n[i] < 0 {
			return nil
		}
	}
	m := &marker{id: parts[0], run: parts[2], ledger: parts[3]}
	m.MaxAge, m.Skew, m.Narrow = time.Duration(n[4])*time.Millisecond, time.Duration(n[5])*time.Millisecond, time.Duration(n[6])*time.Millisecond
	if n[1] != 0 {
		m.Since = time.UnixMilli(n[1])
	}
	if n[7] != 0 {
		m.Extended = time.UnixMilli(n[7])
	}
	return m
}

// text returns the marker for the script, in which the server fills in its time and run id.
func (m *marker) text() string {
	at := func(t time.Time) string {
		switch {
		case t.IsZero():
			return "0"
		case t.Equal(byServer):
			return "@now"
		}
		return strconv.FormatInt(t.UnixMilli(), 10)
	}
	return fmt.Sprintf("%s %s @run %s %d %d %d %s", m.id, at(m.Since), m.ledger,
		m.MaxAge.Milliseconds(), m.Skew.Milliseconds(), m.Narrow.Milliseconds(), at(m.Extended))
}

// extend returns the marker to write for the window, nil if this one suffices. A nil marker
// is followed by the first one.
func (m *marker) extend(w ledger.Window, clock time.Time) *marker {
	if m == nil {
		return &marker{id: rand.Text(), ledger: rand.Text(), Memory: ledger.Memory{Window: w}}
	}
	next, longer := *m, false
	if next.Memory, longer = m.Extend(w, clock); !longer {
		return nil
	}
	if !next.Extended.Equal(m.Extended) {
		next.Extended = byServer
	}
	return &next
}
