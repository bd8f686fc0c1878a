package redisledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var errContended = unfit("contended", "the marker keeps changing", "two servers may answer in turn, so give the address of one")

// unfit says why a server must not be used.
func unfit(code, what, advice string) error {
	return &redislink.Fault{Code: code, What: what, Advice: advice}
}

// markerReply is what the marking script returns.
type markerReply struct {
	text  string // the marker
	clock time.Time
	serverInfo
	writable bool
}

// serverInfo is what a server says about itself.
type serverInfo struct{ run, promoted, role, version, policy, mode string }

// wrote reports whether it had a marker with that identity written, see [identity].
func (s *serverInfo) wrote(run string) bool {
	id, promoted, _ := strings.Cut(run, "-")
	return id == s.run && (promoted == s.promoted || s.promoted == "")
}

// syncMarker determines whether the ledger still has everything since the last look, and
// keeps it for long enough. If not, the first gateway to notice replaces the marker. With
// probe, it also determines whether the server accepts writes.
func (l *Ledger) syncMarker(ctx context.Context, known *serverState, probe bool) (found *serverState, writable bool, err error) {
	var old, next string
	var id string // of a marker that this gateway has written for a loss
	l.mu.Lock()
	window, orders := l.window, l.orders
	l.mu.Unlock()
	for range 5 {
		found := &serverState{began: time.Now()}
		r, err := l.mark(ctx, old, next, probe)
		if err != nil {
			return nil, false, err
		}
		if err := r.fit(l.link.Cluster); err != nil {
			return nil, false, err
		}
		m := parseMarker(r.text)
		if r.text != "" && m == nil {
			return nil, false, unfit("marker", "the value of the marker's key is not a marker", "something else writes under this prefix")
		}
		reason := ""
		if m == nil || id == "" || m.id != id {
			reason = reasonToForget(known, r, m)
			if ordered := orders > 0 && (known == nil || known.orders < orders); reason == "" && ordered {
				reason = "it replaces another ledger"
			}
		}
		found.marker, found.clock = r.text, r.clock
		follows := m.extend(window, r.clock)
		if reason != "" {
			if r.text != old || id == "" {
				l.log.Warn("the ledger may have lost entries: one-time signatures from before are not accepted, and conversations may be free to claim",
					zap.String("reason", reason))
			}
			if follows == nil {
				again := *m
				follows = &again
			}
			id = rand.Text()
			follows.id, follows.Since = id, byServer
		}
		if follows == nil {
			found.orders = orders
			l.adopt(known, found, m)
			return found, r.writable, nil
		}
		old, next = r.text, follows.text()
	}
	return nil, false, errContended
}

// mark runs the marking script.
func (l *Ledger) mark(ctx context.Context, old, next string, probe bool) (r markerReply, err error) {
	client, err := l.link.Client(ctx)
	if err != nil {
		return r, err
	}
	write := ""
	if probe {
		write = "write"
	}
	parts, err := lua().mark.Exec(ctx, client, []string{l.markerKey()}, []string{old, next, write}).AsStrSlice()
	if err != nil {
		return r, err
	}
	if len(parts) != 4 {
		return r, errRecord
	}
	r.text, r.writable = parts[0], parts[3] == ""
	info := redislink.Info(parts[2])
	r.serverInfo = serverInfo{
		info["run_id"], info["master_replid2"], info["role"], info["redis_version"], info["maxmemory_policy"],
		cmp.Or(info["redis_mode"], info["server_mode"]), // Valkey's name for it
	}
	if strings.Trim(r.promoted, "0") == "" {
		r.promoted = ""
	}
	clock, err := strconv.ParseInt(parts[1], 10, 64)
	r.clock = time.UnixMilli(clock)
	return r, err
}

// fit returns an [unfit] error if the server must not be used.
func (s *serverInfo) fit(cluster bool) error {
	major, _, _ := strings.Cut(s.version, ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil || n < 6:
		return unfit("version", fmt.Sprintf("the server is Redis %q", s.version), "use Redis 6 or later, or Valkey")
	case s.run == "" || s.policy == "":
		return unfit("info", "the server's INFO has no run_id or no maxmemory_policy, so it is unknown whether it drops entries", "use another")
	case s.role != "master":
		return unfit("role", fmt.Sprintf("the server's role is %q", s.role), "name the primary in the URL, or its Sentinels")
	case s.policy != "noeviction":
		return unfit("policy", fmt.Sprintf("the server's maxmemory-policy is %s, with which it drops entries when its memory is full", s.policy),
			"CONFIG SET maxmemory-policy noeviction, in its configuration too, or use a server of its own")
	case s.mode == "cluster" && !cluster:
		return unfit("mode", "this is a node of a cluster", "begin the URL with redis+cluster")
	}
	return nil
}

// reasonToForget returns why the marker does not vouch for the data, "" if it does. A missing
// marker is no reason if nothing was known before.
func reasonToForget(known *serverState, r markerReply, m *marker) string {
	switch {
	case m == nil && known == nil:
		return ""
	case m == nil:
		return "the marker is gone: the server was flushed, or restarted without its data"
	case !r.wrote(m.run):
		return "the server was restarted or replaced, or its data"
	case known == nil:
		return ""
	}
	if before := parseMarker(known.marker); before == nil || m.id != before.id {
		// A gateway that has just started takes an empty server for a new one. One that
		// knew its data knows better.
		if m.Since.Before(known.clock) {
			return "the marker was written by a gateway that could not know the data before"
		}
		return ""
	}
	elapsed := time.Since(known.began)
	if r.clock.Sub(known.clock) > elapsed+elapsed/1000+time.Second {
		return "the server's clock was set forward, so entries may have ended early"
	}
	return ""
}

// adopt makes the marker the current one. It converts times to the callers' clock by their
// age, since the two clocks may differ.
func (l *Ledger) adopt(known, found *serverState, m *marker) {
	found.ledger = m.ledger
	if known != nil && known.marker == found.marker {
		found.memory = known.memory
		return
	}
	var before ledger.Memory
	if known != nil {
		before = known.memory
	}
	now := l.now()
	local := func(t, before time.Time) time.Time {
		// Rounded up: the server cuts its time to milliseconds.
		if at := now.Add(min(0, time.Millisecond-found.clock.Sub(t))); !t.IsZero() && at.After(before) {
			return at
		}
		return before
	}
	found.memory = m.Memory
	l.widen(m.Window) // other gateways' windows outlive a marker that is lost
	found.memory.Since, found.memory.Extended = local(m.Since, before.Since), local(m.Extended, before.Extended)
}
