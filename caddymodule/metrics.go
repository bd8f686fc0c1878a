package caddymodule

import (
	"cmp"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/streams"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// metricPrefix begins the name of every metric of this module.
const metricPrefix = "caddy_chat_identity_"

// appMetrics collects the metrics of the active configuration. All counters outlive
// configurations, and all labels are enumerations, so that clients cannot create series.
type appMetrics struct{}

// registerMetrics registers the metrics with a configuration, unless they are already.
func registerMetrics(ctx caddy.Context) error {
	err := ctx.GetMetricsRegistry().Register(appMetrics{})
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); twice {
		return nil
	}
	return err
}

// descs are those of all that [appMetrics] computes.
var descs []*prometheus.Desc

func desc(name, help string, labels ...string) *prometheus.Desc {
	descs = append(descs, prometheus.NewDesc(metricPrefix+name, help, labels, nil))
	return descs[len(descs)-1]
}

var (
	requestsTotal = desc("requests_total",
		"Requests by outcome, the reason why they were not verified, mode, dialect and proof, which is session, too, for one that has ended.", "outcome", "reason", "mode", "dialect", "proof")
	cacheHits       = desc("cache_hits_total", "Decrypted keys found in the cache.")
	cacheMisses     = desc("cache_misses_total", "Keys that were not in the cache and had to be decrypted.")
	cacheCost       = desc("cache_cost_bytes", "The approximate memory that decrypted keys take.")
	cacheLimit      = desc("cache_limit_bytes", "The maximum memory that decrypted keys may take.")
	storeReachable  = desc("store_reachable", "Whether the store of widgets can be read and written: 1 or 0.")
	storeLost       = desc("store_lost", "Whether the store has lost the widgets that this gateway knew: 1 or 0.")
	health          = desc("health", "The gateway's health: 1 for its status, 0 for the others.", "status")
	ledgerReachable = desc("ledger_reachable", "Whether the ledger is available: 1 or 0. Only if a handler needs it.")
	ledgerLost      = desc("ledger_lost", "Whether the ledger was lost and that has not been accepted yet: 1 or 0. Only if a handler needs it.")
	keySets         = desc("key_sets", "Key sets in use: current; stale while one cannot be read and its last keys are used; unavailable after that.", "state")
	verdictHits     = desc("verdict_hits_total", "Tokens with a public key that were verified before and did not change.")
	verdictMisses   = desc("verdict_misses_total", "Tokens with a public key whose signature had to be verified.")
	widgetsByMode   = desc("widgets", "Stored widgets by their own mode; handler is for those without one.", "mode")
	secretsInGrace  = desc("secrets_in_grace", "Stored secrets that still verify after a rotation.")
	secretsUsed     = desc("secrets_used_total", "Requests that were verified, by the secret that signed them: the widget's current one, or one in grace.", "secret")
	oldestSecret    = desc("oldest_secret_age_seconds", "Age of the oldest current secret that is stored.")
	missingKeys     = desc("missing_encryption_keys", "Encryption keys that the secrets of stored widgets need and that are not configured.")
	signingKeyAge   = desc("signing_key_age_seconds", "Age of the key that signs assertions. Only once it is needed.")
	streamsOpen     = desc("streams_open", "Verified WebSockets and event streams that are open.")
	streamsEnded    = desc("streams_ended_total", "Verified WebSockets and event streams that were ended, by reason: rotated (or deleted, or removed), expired, lifetime.", "reason")
	censusTime      = desc("census_timestamp_seconds", "When the stored widgets and secrets were last counted.")
)

// verificationSeconds is the time from a claim's arrival to the outcome.
var verificationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
	Name: metricPrefix + "verification_duration_seconds",
	Help: "Time from the arrival of a claim to the outcome, the ledger's answer included.",
	Buckets: []float64{
		5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1,
	},
})

// lasting are the metrics that are counted where they occur.
var lasting = append([]prometheus.Collector{verificationSeconds}, observe.Metrics...)

// Describe implements [prometheus.Collector].
func (appMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descs {
		to <- d
	}
	for _, c := range lasting {
		c.Describe(to)
	}
}

// Collect implements [prometheus.Collector].
func (appMetrics) Collect(metrics chan<- prometheus.Metric) {
	// After a failed reload, Caddy shows the registry of the configuration that never ran.
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
	current, grace := app.traffic.UsesEver()
	counter(secretsUsed, current, "current")
	counter(secretsUsed, grace, "grace")
	for _, c := range lasting {
		c.Collect(metrics)
	}
	gauge(streamsOpen, float64(openStreams.Count()))
	for _, reason := range streams.Reasons {
		counter(streamsEnded, openStreams.Ended(reason), reason.String())
	}
	stats := app.opener.Stats()
	counter(cacheHits, stats.Hits)
	counter(cacheMisses, stats.Misses)
	gauge(cacheCost, float64(stats.Cost))
	gauge(cacheLimit, float64(stats.Size))
	gauge(storeReachable, bit(app.store.Err() == nil))
	gauge(storeLost, bit(app.store.Loss() != ""))
	if app.usesLedger {
		err := app.ledger.Err()
		gauge(ledgerReachable, bit(err == nil))
		gauge(ledgerLost, bit(app.ledger.Loss() != "" || errors.Is(err, ledger.ErrGone)))
	}
	counts := map[string]int{"current": 0, "stale": 0, "unavailable": 0}
	for _, set := range app.usedSets() {
		counts[stateOfSet(set)]++
	}
	for state, n := range counts {
		gauge(keySets, float64(n), state)
	}
	hits, misses := verdicts.Stats()
	counter(verdictHits, hits)
	counter(verdictMisses, misses)
	now := app.health().Status
	for _, status := range adminapi.Statuses {
		gauge(health, bit(status == now), string(status))
	}
	gauge(missingKeys, float64(len(app.missingKeys())))
	if key := app.signing.last().Signer(time.Now()); key != nil {
		gauge(signingKeyAge, time.Since(key.Created).Seconds())
	}
	if found := app.census.Load(); found != nil {
		for mode, n := range found.widgets {
			gauge(widgetsByMode, float64(n), cmp.Or(widgets.Mode(mode).String(), "handler"))
		}
		gauge(secretsInGrace, float64(found.inGrace(time.Now())))
		gauge(oldestSecret, found.oldestAge(time.Now()).Seconds())
		gauge(censusTime, float64(found.at.UnixMilli())/1000)
	}
}

// eachCell visits the counts of requests by outcome, reason, mode, dialect and proof, unless they
// are zero. Those of verified and unavailable requests it visits in any case: a counter
// that appears with its first requests has not grown by them, so that an outage would
// raise no alert.
func eachCell(counts *traffic.Traffic, visit func(n uint64, labels ...string)) {
	dialects := traffic.Dialects()
	unavailable := traffic.FindingOf(judgment.OutcomeUnavailable, judgment.Unavailable)
	for f := range traffic.Findings {
		for mode := widgets.ModeOff; mode <= widgets.ModeRequired; mode++ {
			awaited := mode != widgets.ModeOff && (f == traffic.Verified || f == traffic.VerifiedByToken || f == unavailable)
			for dialect, dialectName := range dialects {
				if n := counts.Cell(f, mode, dialect); n > 0 || awaited {
					visit(n, string(f.Outcome()), string(f.Reason()), mode.String(), dialectName, f.Proof())
				}
			}
		}
	}
}

func bit(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
