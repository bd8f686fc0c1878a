package caddymodule

import (
	"github.com/prometheus/client_golang/prometheus"
)

// appMetrics shows the key cache, the store and the ledger. They count for
// themselves and outlive configurations.
type appMetrics struct{ app *App }

var (
	cacheHits = prometheus.NewDesc("caddy_chat_identity_cache_hits_total",
		"Secrets that were found opened in the cache.", nil, nil)
	cacheMisses = prometheus.NewDesc("caddy_chat_identity_cache_misses_total",
		"Secrets that were not in the cache and had to be opened.", nil, nil)
	cacheCost = prometheus.NewDesc("caddy_chat_identity_cache_cost_bytes",
		"Memory that the opened secrets in the cache take, about.", nil, nil)
	cacheSize = prometheus.NewDesc("caddy_chat_identity_cache_size_bytes",
		"Memory that opened secrets may take.", nil, nil)
	storeReachable = prometheus.NewDesc("caddy_chat_identity_store_reachable",
		"Whether the store of widgets can be read and written: 1 or 0.", nil, nil)
	ledgerReachable = prometheus.NewDesc("caddy_chat_identity_ledger_reachable",
		"Whether the ledger can be asked: 1 or 0. Where no handler needs it, it is not asked.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (appMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- cacheHits
	descs <- cacheMisses
	descs <- cacheCost
	descs <- cacheSize
	descs <- storeReachable
	descs <- ledgerReachable
}

// Collect implements [prometheus.Collector].
func (m appMetrics) Collect(metrics chan<- prometheus.Metric) {
	app := m.app
	if active, err := activeApp(); err == nil {
		app = active // after a reload that failed, Caddy shows the registry of what never ran
	}
	stats := app.opener.Stats()
	metrics <- prometheus.MustNewConstMetric(cacheHits, prometheus.CounterValue, float64(stats.Hits))
	metrics <- prometheus.MustNewConstMetric(cacheMisses, prometheus.CounterValue, float64(stats.Misses))
	metrics <- prometheus.MustNewConstMetric(cacheCost, prometheus.GaugeValue, float64(stats.Cost))
	metrics <- prometheus.MustNewConstMetric(cacheSize, prometheus.GaugeValue, float64(stats.Size))
	metrics <- prometheus.MustNewConstMetric(storeReachable, prometheus.GaugeValue, reachable(app.store.Err()))
	if app.recorded {
		metrics <- prometheus.MustNewConstMetric(ledgerReachable, prometheus.GaugeValue, reachable(app.ledger.Err()))
	}
}

func reachable(err error) float64 {
	if err != nil {
		return 0
	}
	return 1
}
