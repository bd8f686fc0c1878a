package caddymodule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// scrape reads the gateway's metrics as Prometheus does: each of this module's
// by name and labels, as in `requests_total{dialect="bookbag",…}`.
func (g *gateway) scrape(t testing.TB) map[string]float64 {
	t.Helper()
	text := g.page(t, "/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	series := make(map[string]float64)
	for name, family := range families {
		name, ours := strings.CutPrefix(name, metricPrefix)
		if !ours {
			continue
		}
		if family.GetHelp() == "" {
			t.Errorf("%s says not what it is", name)
		}
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			full := name + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.Counter != nil:
				series[full] = m.Counter.GetValue()
			case m.Gauge != nil:
				series[full] = m.Gauge.GetValue()
			case m.Histogram != nil:
				series[full] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return series
}

// grown returns by how much each series has grown.
func grown(before, after map[string]float64) map[string]float64 {
	by := make(map[string]float64)
	for name, value := range after {
		if d := value - before[name]; d != 0 {
			by[name] = d
		}
	}
	return by
}

func TestRequestMetrics(t *testing.T) {
	g := live(t, "", strings.Replace(liveSite, "chat_identity {", "chat_identity /chat {", 1)+`
chat_identity /nextcap required {
	secret {env.TEST_SECRET}
	dialect nextcap
}
chat_identity /custom off {
	secret {env.TEST_SECRET}
	message {user_id}!
}`)
	secret := g.create(t, `{"id":"shop"}`)
	first := g.scrape(t)
	zeros := 0
	for series, value := range first {
		if !strings.HasPrefix(series, "requests_total{") {
			continue
		}
		zeros++
		if value != 0 || strings.Contains(series, `mode="off"`) ||
			!strings.Contains(series, `outcome="verified",proof="signature",reason=""`) && !strings.Contains(series, `outcome="verified",proof="token",reason=""`) &&
				!strings.Contains(series, `outcome="unavailable",proof="none",reason="unavailable"`) {
			t.Errorf("before any request there is %s %v", series, value)
		}
	}
	if want := 3 * 2 * len(traffic.Dialects()); zeros != want { // findings, modes
		t.Errorf("before any request there are %d series, want %d", zeros, want)
	}
	g.outcome(t, "shop", secret)
	g.outcome(t, "shop", testSecret)
	g.outcome(t, "shop", testSecret)
	g.do(t, "POST", "/nextcap", `{}`, jsonType)
	g.do(t, "POST", "/custom", `{}`, jsonType)
	by := grown(first, g.scrape(t))
	for series, want := range map[string]float64{
		`requests_total{dialect="bookbag",mode="optional",outcome="verified",proof="signature",reason=""}`:    1,
		`requests_total{dialect="bookbag",mode="optional",outcome="invalid",proof="none",reason="invalid"}`:   2,
		`requests_total{dialect="nextcap",mode="required",outcome="anonymous",proof="none",reason="missing"}`: 1,
		`requests_total{dialect="custom",mode="off",outcome="disabled",proof="none",reason=""}`:               1,
		`verification_duration_seconds{}`: 4, // in mode off nothing is verified
	} {
		if by[series] != want {
			t.Errorf("%s grew by %v, want %v", series, by[series], want)
		}
	}

	// What was counted survives a reload.
	before := g.scrape(t)
	load(t, strings.Replace(g.config, "grace_period 1s", "grace_period 2s", 1))
	after := g.scrape(t)
	for series, value := range before {
		if strings.Contains(series, "_total{") && after[series] < value {
			t.Errorf("%s fell from %v to %v by a reload", series, value, after[series])
		}
	}
}

// TestMetricsAfterFailedReload: the running configuration keeps its metrics when a new
// one fails to load, whichever app fails.
func TestMetricsAfterFailedReload(t *testing.T) {
	const verified = `requests_total{dialect="bookbag",mode="optional",outcome="verified",proof="signature",reason=""}`
	g := live(t, "", liveSite)
	secret := g.create(t, `{"id":"shop"}`)
	requests := 1.0
	g.outcome(t, "shop", secret)
	before := g.scrape(t)
	for name, broken := range map[string][2]string{
		"the app":     {"chat_identity {", "chat_identity {\nwidget broken {\nsecret {env.NOT_SET}\n}"},
		"another app": {"grace_period 1s", "grace_period 1s\nlocal_certs\npki {\nca {\nroot {\ncert /not/there\nkey /not/there\n}\n}\n}"},
	} {
		config, err := adapt(strings.Replace(g.config, broken[0], broken[1], 1))
		if err != nil {
			t.Fatal(name, err)
		}
		for range 8 { // the apps come in any order
			if err := activate(config); err == nil {
				t.Fatalf("%s: it was loaded", name)
			}
			g.outcome(t, "shop", secret)
			requests++
			if after := g.scrape(t); len(after) < len(before) || after[verified] != requests {
				t.Errorf("%s: %d series of %d are left, %v requests of %v", name, len(after), len(before), after[verified], requests)
			}
		}
	}
}

// TestSeriesAreFixed: the number of series is limited, or clients could grow it.
func TestSeriesAreFixed(t *testing.T) {
	if each := int(traffic.Findings) * int(widgets.ModeRequired); each > 80 { // of those dialects that are sent
		t.Errorf("%d series of requests_total for each dialect", each)
	}
	registry := prometheus.NewPedanticRegistry()
	must(t, registry.Register(appMetrics{}))
}

func TestOperationMetrics(t *testing.T) {
	const body = `{"user_id":"user-1","hmacNonce":"%s","hmacTimestamp":"%d","hmacSignature":"%s"}`
	g := live(t, "ledger bolt "+t.TempDir()+"/ledger.db", `chat_identity required {
	secret {env.TEST_SECRET}
	dialect snapengage
	one_time
}
reverse_proxy UPSTREAM`)
	first := g.scrape(t)
	g.create(t, `{"id":"shop"}`)
	g.call(t, "POST", "widgets", `{"id":"shop"}`) // there is one, which is no error of the store's
	g.call(t, "GET", "widgets", "")
	nonce, now := strings.Repeat("n", 32), time.Now().Unix()
	token := fmt.Sprintf(body, nonce, now, sign(fmt.Sprint("user-1", nonce, now)))
	for _, want := range []int{200, 403} {
		equal(t, g.post(t, token).StatusCode, want, "status")
	}
	by := grown(first, g.scrape(t))
	for series, want := range map[string]float64{
		`store_operations_total{operation="update",result="ok"}`:      2,
		`store_operation_duration_seconds{operation="update"}`:        2,
		`store_operations_total{operation="lookup",result="ok"}`:      0, // the file is in memory
		`ledger_operations_total{operation="reserve",result="ok"}`:    1,
		`ledger_operations_total{operation="reserve",result="held"}`:  1,
		`ledger_operations_total{operation="reserve",result="error"}`: 0,
		`ledger_operation_duration_seconds{operation="reserve"}`:      2,
	} {
		if by[series] != want {
			t.Errorf("%s grew by %v, want %v", series, by[series], want)
		}
	}
	if by[`store_operations_total{operation="list",result="ok"}`] < 1 {
		t.Error("the list was not counted")
	}
}
