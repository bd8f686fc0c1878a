package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// span is a span as OpenTelemetry's console exporter prints it.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ SpanID string }
	Attributes  []struct {
		Key   string
		Value struct{ Value any }
	}
	Status struct{ Code string }
}

func (s *span) attributes() map[string]string {
	all := make(map[string]string)
	for _, a := range s.Attributes {
		if name, ours := strings.CutPrefix(a.Key, "chat_identity."); ours {
			all[name] = fmt.Sprint(a.Value.Value)
		}
	}
	return all
}

// traced runs a gateway whose spans Caddy's own tracing prints, and
// returns a way to stop it and read them.
func traced(t *testing.T, options, site string) (*gateway, func() []span) {
	t.Helper()
	t.Setenv("OTEL_TRACES_EXPORTER", "console")
	p := newProcess(t, options, site)
	p.run(t)
	return p.gateway, func() (spans []span) {
		t.Helper()
		must(t, p.cmd.Process.Signal(os.Interrupt))
		_ = p.cmd.Wait()
		for line := range strings.Lines(p.log.String()) {
			var s span
			if !strings.HasPrefix(line, `{"Name":`) {
				continue // of the log
			}
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			spans = append(spans, s)
		}
		return spans
	}
}

// TestTraces: Caddy's span has the outcome, and below it are the questions to a store
// or a ledger, without those that they could answer by themselves.
func TestTraces(t *testing.T) {
	server := redistest.Start(t)
	g, spans := traced(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr, `tracing {
	span chat
}
chat_identity required {
	widget {header.X-Widget-Key}
	dialect snapengage
	one_time
}
reverse_proxy UPSTREAM`)
	secret := g.createInRedis(t)
	nonce, now := strings.Repeat("n", 32), time.Now().Unix()
	token := fmt.Sprintf(`{"user_id":"user-1","hmacNonce":"%s","hmacTimestamp":"%d","hmacSignature":"%s"}`, nonce, now, signWith(secret, fmt.Sprint("user-1", nonce, now)))
	for _, want := range []int{200, 403} {
		equal(t, g.post(t, token, "X-Widget-Key: shop").StatusCode, want, "status")
	}
	g.post(t, `{"user_id":"<img src=x onerror=alert(1)>"}`, "X-Widget-Key: <script>")

	var roots []map[string]string
	parents, children := map[string]bool{}, []string{}
	all := spans()
	for _, s := range all {
		if strings.HasPrefix(s.Name, "chat_identity.") {
			children = append(children, s.Name+" "+s.attributes()["result"])
			continue
		}
		parents[s.SpanContext.SpanID] = true
		roots = append(roots, s.attributes())
	}
	want := []map[string]string{
		{"outcome": "verified", "reason": "", "widget": "shop", "dialect": "snapengage", "mode": "required", "proof": "signature"},
		{"outcome": "replayed", "reason": "replayed", "widget": "shop", "dialect": "snapengage", "mode": "required", "proof": ""},
		{"outcome": "anonymous", "reason": "partial", "widget": "", "dialect": "snapengage", "mode": "required", "proof": ""},
	}
	if fmt.Sprint(roots) != fmt.Sprint(want) {
		t.Errorf("spans %v, want %v", roots, want)
	}
	// The last request's log line has the ids that are nearest to the one that it names.
	if got, want := strings.Join(children, ", "), "chat_identity.ledger reserve ok, chat_identity.ledger reserve held, chat_identity.store list ok"; !strings.HasSuffix(got, want) {
		t.Errorf("below them %s, want %s", got, want)
	}
	for _, s := range all {
		if strings.HasPrefix(s.Name, "chat_identity.") && !parents[s.Parent.SpanID] {
			t.Errorf("%s belongs to no request", s.Name)
		}
	}
}

// A lookup shows in the trace of the request for which Redis was asked, and in
// no other's.
func TestTracedLookup(t *testing.T) {
	server := redistest.Start(t)
	g, spans := traced(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr, "tracing\n"+liveSite)
	g.createInRedis(t)
	first := g.scrape(t)
	asked := func() float64 {
		return grown(first, g.scrape(t))[`store_operations_total{operation="lookup",result="ok"}`]
	}
	eventually(t, "every request asks Redis", func() bool { // each does while the store has no lease
		before := asked()
		g.outcome(t, "shop", testSecret)
		return before > 0 && asked() == before
	})
	lookups := asked()
	below := 0
	for _, s := range spans() {
		if s.Name == "chat_identity.store lookup" {
			below++
		}
	}
	equal(t, below, int(lookups), "spans of lookups")
}

// accessLog runs a site with an access log, and returns a way to read its
// entries once there are so many.
func accessLog(t *testing.T, site string) (*gateway, func(n int) []map[string]any) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "access.log")
	g := start(t, "", "log {\noutput file "+file+"\nformat json\n}\n"+site)
	return g, func(n int) (entries []map[string]any) {
		t.Helper()
		eventually(t, "the access log lacks entries", func() bool {
			text := read(t, file)
			entries = nil
			for line := range strings.Lines(string(text)) {
				var entry map[string]any
				if err := json.Unmarshal([]byte(line), &entry); err != nil {
					t.Fatalf("%v in %s", err, line)
				}
				entries = append(entries, entry)
			}
			return len(entries) >= n
		})
		return entries
	}
}

func TestAccessLogField(t *testing.T) {
	g, entries := accessLog(t, `chat_identity /chat required {
	secret {env.TEST_SECRET}
}
chat_identity /off off {
	secret {env.TEST_SECRET}
}
reverse_proxy UPSTREAM`)
	g.post(t, claim("user-1"))
	g.post(t, `{"user_id":"<b onclick=alert(1)>","user_hash":"`+sign("zoe")+`"}`)
	g.do(t, "POST", "/off", `{}`, jsonType)
	g.do(t, "GET", "/elsewhere", "")
	g.post(t, claim("zoë"))
	var got []string
	for _, entry := range entries(5) {
		// Caddy's own field is an operator's.
		if entry["user_id"] != "" || strings.Contains(fmt.Sprint(entry), "onclick") {
			t.Errorf("%v", entry)
		}
		text, err := json.Marshal(entry["chat_identity"])
		must(t, err)
		got = append(got, string(text))
	}
	want := []string{
		`{"outcome":"verified","reason":"","user":"user-1","widget":"default"}`,
		`{"outcome":"invalid","reason":"invalid","user":"","widget":"default"}`,
		`{"outcome":"disabled","reason":"","user":"","widget":"default"}`,
		`null`,
		`{"outcome":"verified","reason":"","user":"zoë","widget":"default"}`,
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s, want %s", got, want)
	}
}

// recording records the outcome of a request, again and again.
func recording(t testing.TB, logs *caddyhttp.ServerLogConfig) func() {
	extra := new(caddyhttp.ExtraLogFields)
	ctx := context.WithValue(t.Context(), caddyhttp.ServerCtxKey, &caddyhttp.Server{Logs: logs})
	ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, extra)
	x := &exchange{oneRequest: oneRequest{
		h: new(Handler), r: httptest.NewRequestWithContext(ctx, "GET", "/", nil), s: new(state),
		target: target{plan: new(plan), mode: widgets.ModeRequired, widget: &widget{id: "shop"}}, began: time.Now(), ruling: ruling{claim: verifier.ErrMissing},
	}}
	return func() {
		*extra = caddyhttp.ExtraLogFields{} // each request has its own
		x.recordOutcome()
	}
}

// TestTellingAllocates: recording metrics and traces allocates nothing, and recording
// for an access log what Caddy's list of fields takes.
func TestTellingAllocates(t *testing.T) {
	for _, test := range []struct {
		name string
		logs *caddyhttp.ServerLogConfig
		want float64
	}{{"no access log", nil, 0}, {"an access log", new(caddyhttp.ServerLogConfig), 3}} {
		got := testing.AllocsPerRun(200, recording(t, test.logs))
		if got > test.want {
			t.Errorf("%s: %v allocations, want %v at most", test.name, got, test.want)
		}
	}
}

func BenchmarkTelling(b *testing.B) {
	for _, logs := range []*caddyhttp.ServerLogConfig{nil, {}} {
		b.Run(fmt.Sprintf("log=%v", logs != nil), func(b *testing.B) {
			record := recording(b, logs)
			b.ReportAllocs()
			for b.Loop() {
				record()
			}
		})
	}
}
