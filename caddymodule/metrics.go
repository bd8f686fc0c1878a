package caddymodule

import (
	"cmp"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// metricPrefix begins the name of every metric of this module.
const metricPrefix = "caddy_chat_identity_"

// appMetrics shows what is counted. All counters outlive configurations, and
// every label is an enumeration of ours: clients cannot make series.
type appMetrics struct{}

// registerMetrics has a configuration show the metrics, of which it may be
// asked twice.
func registerMetrics(ctx caddy.Context) error {
	err := ctx.GetMetricsRegistry().Register(appMetrics{})
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); twice {
		return nil
	}
	return err
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
}

var (
	requestsTotal = desc("requests_total",
		"Requests by what was found, why they were not verified, and the mode and dialect they were under.", "outcome", "reason", "mode", "dialect")
	cacheHits       = desc("cache_hits_total", "Decrypted keys found in the cache.")
	cacheMisses     = desc("cache_misses_total", "Keys that were not in the cache and had to be decrypted.")
	cacheCost       = desc("cache_cost_bytes", "The approximate memory that decrypted keys take.")
	cacheLimit      = desc("cache_limit_bytes", "The maximum memory that decrypted keys may take.")
	storeReachable  = desc("store_reachable", "Whether the store of widgets can be read and written: 1 or 0.")
	ledgerReachable = desc("ledger_reachable", "Whether the ledger can be asked: 1 or 0. Where no handler needs it, it is not asked.")
	ledgerLost      = desc("ledger_lost", "Whether the ledger was lost and nobody has accepted that yet: 1 or 0. Only where a handler needs it.")
	widgetsByMode   = desc("widgets", "Stored widgets by their own mode; handler is none of its own.", "mode")
	secretsInGrace  = desc("secrets_in_grace", "Stored secrets that still verify after a rotation.")
	oldestSecret    = desc("oldest_secret_age_seconds", "Age of the oldest current secret that is stored.")
	missingKeys     = desc("missing_encryption_keys", "Encryption keys that stored secrets need and that are not configured.")
	censusTime      = desc("census_timestamp_seconds", "When the stored widgets and secrets were last counted.")
)

// verificationSeconds is how long it takes from the claim's text to the outcome.
var verificationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
	Name: metricPrefix + "verification_duration_seconds",
	Help: "Time from a claim's text being there to the outcome, the ledger's answer included and the client's sending not.",
	Buckets: []float64{
		5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1,
	},
})

// lasting are the metrics that count by themselves.
var lasting = append([]prometheus.Collector{verificationSeconds}, observe.Metrics...)

// Describe implements [prometheus.Collector].
func (appMetrics) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		requestsTotal, cacheHits, cacheMisses, cacheCost, cacheLimit, storeReachable, ledgerReachable,
		ledgerLost, widgetsByMode, secretsInGrace, oldestSecret, missingKeys, censusTime,
	} {
		descs <- d
	}
	for _, c := range lasting {
		c.Describe(descs)
	}
}

// Collect implements [prometheus.Collector].
func (appMetrics) Collect(metrics chan<- prometheus.Metric) {
	// After a reload that failed, Caddy shows the registry of what never ran.
	app, err := activeApp()
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	eachCell(app.traffic, func(n uint64, labels ...string) { counter(requestsTotal, n, labels...) })
	for _, c := range lasting {
		c.Collect(metrics)
	}
	stats := app.opener.Stats()
	counter(cacheHits, stats.Hits)
	counter(cacheMisses, stats.Misses)
	gauge(cacheCost, float64(stats.Cost))
	gauge(cacheLimit, float64(stats.Size))
	gauge(storeReachable, reachable(app.store.Err()))
	if app.usesLedger {
		err, lost := app.ledger.Err(), 0.0
		gauge(ledgerReachable, reachable(err))
		if app.ledger.Loss() != "" || errors.Is(err, ledger.ErrGone) {
			lost = 1
		}
		gauge(ledgerLost, lost)
	}
	gauge(missingKeys, float64(len(app.missingKeys())))
	if found := app.census.Load(); found != nil {
		for mode, n := range found.widgets {
			gauge(widgetsByMode, float64(n), cmp.Or(widgets.Mode(mode).String(), "handler"))
		}
		gauge(secretsInGrace, float64(found.inGrace(time.Now())))
		gauge(oldestSecret, found.oldestAge(time.Now()).Seconds())
		gauge(censusTime, float64(found.at.UnixMilli())/1000)
	}
}

// eachCell visits the requests that there were, by outcome, reason, mode and dialect.
// Verified and unavailable ones are visited before there are any: a counter that
// begins with its first requests has not grown by them, and those of an outage
// would raise no alert.
func eachCell(counts *traffic.Traffic, visit func(n uint64, labels ...string)) {
	dialects := traffic.Dialects()
	unavailable := traffic.FindingOf(judgment.OutcomeUnavailable, judgment.Unavailable)
	for f := range traffic.Findings {
		for mode := widgets.ModeOff; mode <= widgets.ModeRequired; mode++ {
			awaited := mode != widgets.ModeOff && (f == traffic.Verified || f == unavailable)
			for dialect, dialectName := range dialects {
				if n := counts.Cell(f, mode, dialect); n > 0 || awaited {
					visit(n, string(f.Outcome()), string(f.Reason()), mode.String(), dialectName)
				}
			}
		}
	}
}

func reachable(err error) float64 {
	if err != nil {
		return 0
	}
	return 1
}
