package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// askInto decodes an answer of the admin API, which must be 200.
func (g *gateway) askInto(t testing.TB, path string, into any) {
	t.Helper()
	c := g.call(t, "GET", path, "")
	if c.status != http.StatusOK {
		t.Fatalf("%s: %d: %s", path, c.status, c.body)
	}
	if err := json.Unmarshal([]byte(c.body), into); err != nil {
		t.Fatalf("%s: %v: %s", path, err, c.body)
	}
}

func idsOf(v *adminapi.Overview) (ids []string) {
	for _, w := range v.Widgets {
		ids = append(ids, w.ID)
	}
	return ids
}

// threeKinds has widgets of the store, of the configuration and of handlers.
const threeKinds = liveSite + `
chat_identity /own {
	widget own
	secret {env.TEST_SECRET}
}
chat_identity /bare {
	secret {env.TEST_SECRET}
}`

func TestOverview(t *testing.T) {
	g := live(t, "widget declared {\nsecret {env.TEST_SECRET}\nmode required\n}", strings.Replace(threeKinds, "chat_identity {", "chat_identity /chat {", 1))
	for _, id := range []string{"a1", "a2", "b1"} {
		g.create(t, `{"id":"`+id+`","dialect":"bookbag"}`)
	}
	g.outcome(t, "a2", testSecret)
	g.outcome(t, "declared", testSecret)
	g.outcome(t, "declared", testSecret)
	g.do(t, "POST", "/bare", claim("user-1"), jsonType)
	g.outcome(t, "nobody", testSecret)

	var v adminapi.Overview
	g.askInto(t, "overview", &v)
	if got, want := idsOf(&v), []string{"declared", "a2", "default", "a1", "b1", "own"}; !slices.Equal(got, want) {
		t.Errorf("busiest first, then by id: %v, want %v", got, want)
	}
	sources := map[string]string{"declared": "inline", "default": "handler", "own": "handler", "a1": "stored"}
	for _, w := range v.Widgets {
		if want := sources[w.ID]; want != "" && w.Source != want {
			t.Errorf("%s is %s, want %s", w.ID, w.Source, want)
		}
		if (w.Source == "stored") != (!w.Created.IsZero() && len(w.Secrets) == 1) {
			t.Errorf("%+v", w.Widget)
		}
	}
	first := v.Widgets[0]
	if first.Mode != "required" || first.Day.Requests != 2 || first.Minute.Verified != 2 || first.Hour.Rate != 1 || len(first.Day.Reasons) != 0 {
		t.Errorf("%+v", first)
	}
	if second := v.Widgets[1]; second.Day.Verified != 0 || second.Day.Reasons["invalid"] != 1 {
		t.Errorf("%+v", second)
	}
	if v.Total.Day.Requests != 5 || v.Total.Day.Verified != 3 || v.Unknown.Day.Requests != 1 || v.Unknown.Minute.Reasons["widget_unknown"] != 1 {
		t.Errorf("total %+v, unknown %+v", v.Total.Day, v.Unknown.Day)
	}
	if !v.Store.Reachable || !v.Writable || !v.Ledger.Reachable || v.Ledger.Used || v.AllowReveal || len(v.MissingKeys) != 0 || v.Found.Matches != 6 || v.Since.IsZero() {
		t.Errorf("%+v", v)
	}

	g.call(t, "POST", "widgets/b1/rotate", `{"grace":"1h"}`)
	g.call(t, "PATCH", "widgets/a1", `{"mode":"off"}`)
	for _, test := range []struct{ query, want string }{
		{"sort=id", "1 of 6: a1 a2 b1 declared default own"},
		{"sort=id&limit=2", "1 of 6: a1 a2"},
		{"sort=id&limit=2&from=3", "3 of 6: b1 declared"},
		{"sort=id&limit=4&from=41", "5 of 6: default own"}, // as many as there were once
		{"sort=id&after=b1", "1 of 3: declared default own"},
		{"sort=id&prefix=a", "1 of 2: a1 a2"},
		{"sort=id&prefix=a2", "1 of 1: a2"},
		{"sort=id&prefix=d&limit=1", "1 of 2: declared"},
		{"sort=id&prefix=d&after=declared", "1 of 1: default"},
		{"prefix=a", "1 of 2: a2 a1"},
		{"limit=2", "1 of 6: declared a2"},
		{"limit=5", "1 of 6: declared a2 default a1 b1"},
		{"limit=2&from=3", "3 of 6: default a1"},
		{"prefix=zzz", "0 of 0:"},
		{"sort=rate", "1 of 6: a2 declared default a1 b1 own"},
		{"sort=newest", "1 of 6: b1 a2 a1 declared default own"},
		{"sort=oldest", "1 of 6: a1 a2 b1 declared default own"},
		{"mode=off", "1 of 1: a1"},
		{"mode=required&sort=id", "1 of 1: declared"},
		{"filter=failing", "1 of 1: a2"},
		{"filter=grace", "1 of 1: b1"},
		{"filter=unavailable", "0 of 0:"},
		{"filter=grace&mode=off", "0 of 0:"},
		{"widget=own", "0 of 0: own"},
		{"widget=a22", "0 of 0: near a2"},
		{"widget=decleared", "0 of 0: near declared"},
	} {
		var page adminapi.Overview
		g.askInto(t, "overview?"+test.query, &page)
		got := append([]string{fmt.Sprintf("%d of %d:", page.Found.From, page.Found.Matches)}, idsOf(&page)...)
		if len(page.Nearest) > 0 {
			got = append(append(got, "near"), page.Nearest...)
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.query, got, test.want)
		}
		if page.Found.Stopped != "" {
			t.Errorf("%s: stopped at %s", test.query, page.Found.Stopped)
		}
	}
}

// TestOverviewStops: one search reads a bounded part of a large store, says where it
// stopped, and can go on there. What is busy is found wherever it is.
func TestOverviewStops(t *testing.T) {
	g := live(t, "", liveSite)
	app := g.fill(t, 10_500)
	counted, err := app.takeCensus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	app.census.Store(counted)
	g.outcome(t, "w-10400", testSecret)
	var first, rest adminapi.Overview
	g.askInto(t, "overview?limit=2", &first)
	if first.Found.Searched != 10_000 || first.Found.Matches != 10_001 || first.Found.Stopped != "w-09998" || first.Found.Stored != 10_501 || first.Found.Counted.IsZero() {
		t.Errorf("%+v", first.Found)
	}
	if got := idsOf(&first); !slices.Equal(got, []string{"w-10400", "first"}) {
		t.Errorf("the busiest: %v", got)
	}
	g.askInto(t, "overview?sort=id&limit=2&after="+first.Found.Stopped, &rest)
	if got := idsOf(&rest); rest.Found.Matches != 501 || rest.Found.Stopped != "" || !slices.Equal(got, []string{"w-09999", "w-10000"}) {
		t.Errorf("the rest: %v of %+v", got, rest.Found)
	}
}

func TestTrafficCallsRefuse(t *testing.T) {
	g := live(t, "", liveSite)
	g.create(t, `{"id":"shop"}`)
	for _, test := range []struct {
		path   string
		status int
		want   string
	}{
		{"overview?sort=some", 400, "busiest, id, rate, newest or oldest"},
		{"overview?filter=some", 400, "failing, grace or unavailable"},
		{"overview?mode=some", 400, "off, optional or required"},
		{"overview?mode=", 400, "off, optional or required"},
		{"overview?from=0", 400, "from must be a number from 1"},
		{"overview?widget=..", 400, "the id of one"},
		{"overview?widget=shop&limit=1", 400, "the only parameter"},
		{"overview?limit=0", 400, "1 to 200"},
		{"overview?limit=201", 400, "1 to 200"},
		{"overview?limit=", 400, "1 to 200"},
		{"overview?prefix=%3Cimg%3E", 400, "a widget id"},
		{"overview?after=..", 400, "a widget id"},
		{"overview?page=2", 400, "this call takes widget, prefix, mode, filter, sort, after, from, limit"},
		{"overview?limit=1&limit=2", 400, "more than once"},
		{"overview?limit=%zz", 400, "malformed"},
		{"stats?top=0", 400, "1 to 1000"},
		{"stats?top=1001", 400, "1 to 1000"},
		{"stats?of=shop", 400, "this call takes top"},
		{"widgets/shop/readiness?day=1", 400, "no query parameters"},
		{"widgets/nobody/readiness", 404, "there is no widget with that id"},
		{"widgets/default/readiness", 404, "cannot be created here"},
	} {
		c := g.call(t, "GET", test.path, "")
		if c.status != test.status || !strings.Contains(c.Error, test.want) {
			t.Errorf("%s: %d %s, want %d and %q", test.path, c.status, c.body, test.status, test.want)
		}
	}
}

func TestReadiness(t *testing.T) {
	g := live(t, "", strings.Replace(liveSite, "chat_identity {", "chat_identity /chat {", 1)+"\nchat_identity /bare {\nsecret {env.TEST_SECRET}\nreject expired 401\ndialect snapengage\n}")
	secret := g.create(t, `{"id":"shop"}`)
	for range 3 {
		g.outcome(t, "shop", secret)
	}
	of := func(body string) { g.do(t, "POST", "/chat", body, jsonType, "X-Widget-Key: shop") }
	of(`{"user_id":"user-1","email":"e@example.com","user_metadata":{"email":"e@example.com"},"user_hash":"` + signWith(secret, "e@example.com") + `"}`)
	of(`{"user_id":"user-1","user_metadata":{"email":"e@example.com"},"user_hash":"` + signWith(secret, "e@example.com") + `"}`)
	g.outcome(t, "shop", testSecret)
	of(`{"user_id":"user-1"}`)
	of(`{"text":"hi"}`)
	of(`{"user_id":["<img src=x>"]}`)

	var v adminapi.Readiness
	g.askInto(t, "widgets/shop/readiness", &v)
	if v.Widget != "shop" || v.Mode != "optional" || v.Requests != 9 || v.Verified != 3 || v.Refused != 6 || v.Disabled != 0 || v.From.After(v.Now) || v.From.IsZero() {
		t.Errorf("%+v", v.Readiness)
	}
	reasons := map[judgment.Reason]traffic.ReasonCounts{}
	for _, r := range v.Refusals {
		reasons[r.Reason] = r
		if uint64(len(r.Examples)) != r.Count || r.Always != (r.Reason == "malformed") {
			t.Errorf("%+v", r)
		}
		for _, e := range r.Examples {
			if len(e.RequestID) != 36 || time.Since(e.At) > time.Minute || e.Hint == "" || strings.Contains(e.Hint, "<") {
				t.Errorf("%s: %+v", r.Reason, e)
			}
		}
	}
	if len(v.Refusals) != 4 || v.Refusals[0].Reason != "invalid" || v.Refusals[0].Count != 3 {
		t.Fatalf("%+v", v.Refusals)
	}
	if hints := reasons["invalid"].Hints; len(hints) != 2 || hints[0].ID != "email_signed" || hints[0].Count != 2 || hints[1].ID != "none_known" {
		t.Errorf("%+v", hints)
	}
	if hints := reasons["partial"].Hints; len(hints) != 1 || hints[0].ID != "no_signature" || !strings.Contains(hints[0].Text, "no user_hash") {
		t.Errorf("%+v", hints)
	}

	stale := fmt.Sprint(time.Now().Add(-time.Hour).Unix())
	nonce := strings.Repeat("n", 32)
	g.do(t, "POST", "/bare", `{"user_id":"user-1","hmacNonce":"`+nonce+`","hmacTimestamp":"`+stale+`","hmacSignature":"`+sign("user-1"+nonce+stale)+`"}`, jsonType)
	g.askInto(t, "widgets/default/readiness", &v)
	if v.Widget != defaultWidget || v.Mode != "optional" || len(v.Refusals) != 1 || v.Refusals[0].Reason != "expired" || !v.Refusals[0].Always {
		t.Fatalf("%+v", v.Readiness)
	}
	if r := v.Refusals[0]; r.Hints[0].ID != "too_old" || !strings.HasPrefix(r.Examples[0].Hint, "the timestamp is 1h") {
		t.Errorf("%+v", r)
	}

	// The page says why it cannot be changed.
	if c := g.call(t, "PATCH", "widgets/default", `{"mode":"required"}`); c.status != http.StatusConflict || !strings.Contains(c.Error, "defined in the configuration") {
		t.Errorf("%d %s", c.status, c.body)
	}

	// A mode counts before the first request under it.
	for _, mode := range []string{"required", "optional"} {
		g.call(t, "PATCH", "widgets/shop", `{"mode":"`+mode+`"}`)
		if g.askInto(t, "widgets/shop/readiness", &v); v.Mode != mode {
			t.Errorf("mode %s, want %s", v.Mode, mode)
		}
	}
}

// TestReadinessWithoutStore: a known widget's requests while its store was away count
// against required mode; those that name another widget count for none.
func TestReadinessWithoutStore(t *testing.T) {
	server := redistest.Start(t)
	g := live(t, "encryption_key {env.TEST_KEY}\nstale_if_error 0\nwidgets redis redis://"+server.Addr, liveSite)
	secret := g.createInRedis(t)
	equal(t, g.outcome(t, "shop", secret), "verified", "at first")
	server.Kill()
	eventually(t, "Redis is still there", func() bool { return g.outcome(t, "shop", secret) != "verified" })
	for range 3 {
		equal(t, g.outcome(t, "shop", secret), "unavailable unavailable", "at first")
	}
	g.outcome(t, "stranger", secret)
	server.Restart()
	eventually(t, "Redis is not reached again", func() bool { return g.outcome(t, "shop", secret) == "verified" })

	var v adminapi.Readiness
	g.askInto(t, "widgets/shop/readiness", &v)
	if v.Refused < 4 || v.Verified < 2 || v.Requests != v.Verified+v.Refused || len(v.Refusals) != 1 || v.Refusals[0].Reason != judgment.Unavailable {
		t.Errorf("%+v", v.Readiness)
	}
	var stats traffic.Stats
	g.askInto(t, "stats", &stats)
	if len(stats.Widgets) != 1 || stats.Unknown == nil || stats.Unknown.Requests != 1 {
		t.Errorf("of widgets %+v, of no widget %+v", stats.Widgets, stats.Unknown)
	}
}

// TestReadinessOfAnotherDialect: a handler that cannot speak a widget's dialect
// would refuse its requests in required mode.
func TestReadinessOfAnotherDialect(t *testing.T) {
	g := live(t, "", `chat_identity /plain {
	widget {header.X-Widget-Key}
}
chat_identity /custom {
	widget {header.X-Widget-Key}
	claim user_id body /id
}
reverse_proxy UPSTREAM`)
	secret := g.create(t, `{"id":"next","dialect":"nextcap"}`)
	hash := signWith(secret, "user-1")
	body := `{"id":"user-1","user_hash":"` + hash + `","userId":"user-1","userHash":"` + hash + `"}`
	for path, want := range map[string]string{"/plain": "verified next", "/custom": "invalid "} {
		for range 2 {
			a := g.do(t, "POST", path, body, jsonType, "X-Widget-Key: next")
			if a.seen == nil || a.seen.Header.Get("X-Identity-Outcome")+" "+a.seen.Header.Get("X-Verified-Widget") != want {
				t.Fatalf("%s: %d %+v", path, a.StatusCode, a.seen)
			}
		}
	}
	var v adminapi.Readiness
	g.askInto(t, "widgets/next/readiness", &v)
	if v.Requests != 4 || v.Refused != 2 || len(v.Refusals) != 1 || v.Refusals[0].Reason != judgment.WidgetUnknown {
		t.Fatalf("%+v", v.Readiness)
	}
	if r := v.Refusals[0]; len(r.Hints) != 1 || r.Hints[0].ID != "other_dialect" {
		t.Errorf("%+v", r)
	}
}

// TestReadinessMode: a widget is not required while some handler is laxer, whatever its
// requests were. A reload can change that, and a widget that is created again has no requests.
func TestReadinessMode(t *testing.T) {
	g := live(t, "", `chat_identity /optional {
	widget {header.X-Widget-Key}
}
chat_identity /required required {
	widget {header.X-Widget-Key}
}
respond 204`)
	g.create(t, `{"id":"shop"}`)
	check := func(path, want string) {
		t.Helper()
		if path != "" {
			g.do(t, "POST", path, claim("user-1"), jsonType, "X-Widget-Key: shop")
		}
		var v adminapi.Readiness
		if g.askInto(t, "widgets/shop/readiness", &v); v.Mode != want {
			t.Errorf("after a request of %q the mode is %q, want %q", path, v.Mode, want)
		}
	}
	check("", "optional")
	check("/required", "optional")
	load(t, strings.Replace(g.config, "chat_identity /optional {", "chat_identity /optional required {", 1))
	check("/optional", "required")
	load(t, g.config)
	check("/required", "optional")

	if c := g.call(t, "DELETE", "widgets/shop", ""); c.status != http.StatusNoContent {
		t.Fatalf("%d %s", c.status, c.body)
	}
	g.create(t, `{"id":"shop"}`)
	var v adminapi.Readiness
	if g.askInto(t, "widgets/shop/readiness", &v); v.Mode != "optional" || v.Requests != 0 || len(v.Refusals) != 0 {
		t.Errorf("created again: %+v", v.Readiness)
	}
	var stats traffic.Stats
	if g.askInto(t, "stats", &stats); stats.Rest == nil || stats.Total.Requests != stats.Rest.Requests || stats.Rest.Requests != 3 {
		t.Errorf("total %+v, of the rest %+v", stats.Total, stats.Rest)
	}
}

// TestWidgetlessIsNotCounted: requests in mode off that are no chat do not count in
// the share of the chat's requests that verify.
func TestWidgetlessIsNotCounted(t *testing.T) {
	g := live(t, "", `chat_identity /chat {
	widget {header.X-Widget-Key}
}
chat_identity /health off
error /broken 500
handle_errors {
	chat_identity off
	respond 503
}
reverse_proxy UPSTREAM`)
	secret := g.create(t, `{"id":"shop"}`)
	g.do(t, "POST", "/chat", `{"user_id":"user-1","user_hash":"`+signWith(secret, "user-1")+`"}`, jsonType, "X-Widget-Key: shop")
	for _, path := range []string{"/health", "/broken"} {
		g.do(t, "POST", path, claim("user-1"), jsonType)
	}
	var v adminapi.Overview
	if g.askInto(t, "overview", &v); v.Unknown.Day.Requests != 0 || v.Total.Day.Requests != 1 || v.Total.Day.Rate != 1 {
		t.Errorf("of no widget %+v, total %+v", v.Unknown.Day, v.Total.Day)
	}
}

// TestOverviewOfManyWidgets: ten thousand widgets and a day's traffic fit into
// one small answer.
func TestOverviewOfManyWidgets(t *testing.T) {
	const many = 10_000
	var passed atomic.Int64 // hours
	counted := countBy(t, func() time.Time { return time.Now().Add(time.Duration(passed.Load()) * time.Hour) })
	g := newLive(t, "", liveSite)
	load(t, g.config)
	g.fill(t, many)
	for hour := range 24 {
		for i := range many {
			// Some are busy all day, the others now and then.
			for range 1 + 100/(i+1) {
				reason := judgment.Reasons[(i+hour)%len(judgment.Reasons)]
				finding := traffic.FindingOf(reason.Outcome(), reason)
				if (i+hour)%3 > 0 {
					finding = traffic.Verified
				}
				counted.Count(fmt.Sprintf("w-%05d", i), finding, 1, 0)
			}
		}
		passed.Add(1)
		counted.Sample()
	}
	for _, path := range []string{"overview", "overview?sort=id", "overview?sort=id&after=w-05000&limit=200", "overview?prefix=w-09", "stats?top=50", "stats"} {
		began := time.Now()
		c := g.call(t, "GET", path, "")
		t.Logf("%s: %d bytes in %v", path, len(c.body), time.Since(began).Round(time.Millisecond))
		if c.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, c.status, c.body)
		}
		if strings.HasPrefix(path, "overview") && !strings.Contains(path, "limit") && len(c.body) > 100_000 {
			t.Errorf("%s: %d bytes", path, len(c.body))
		}
	}
	var v adminapi.Overview
	if g.askInto(t, "overview", &v); v.Widgets[0].ID != "w-00000" || len(v.Widgets) != 50 || v.Total.Day.Requests < 200_000 {
		t.Errorf("%s first of %d, %d requests", v.Widgets[0].ID, len(v.Widgets), v.Total.Day.Requests)
	}
}
