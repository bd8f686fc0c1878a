package caddymodule

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// cacheMetrics shows the key cache, which counts for itself and outlives
// configurations.
type cacheMetrics struct{ keys *widgets.Keys }

var (
	cacheHits = prometheus.NewDesc("caddy_chat_identity_cache_hits_total",
		"Secrets that were found opened in the cache.", nil, nil)
	cacheMisses = prometheus.NewDesc("caddy_chat_identity_cache_misses_total",
		"Secrets that were not in the cache and had to be opened.", nil, nil)
	cacheCost = prometheus.NewDesc("caddy_chat_identity_cache_cost_bytes",
		"Memory that the opened secrets in the cache take, about.", nil, nil)
	cacheSize = prometheus.NewDesc("caddy_chat_identity_cache_size_bytes",
		"Memory that opened secrets may take.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c cacheMetrics) Describe(descs chan<- *prometheus.Desc) {
	descs <- cacheHits
	descs <- cacheMisses
	descs <- cacheCost
	descs <- cacheSize
}

// Collect implements [prometheus.Collector].
func (c cacheMetrics) Collect(metrics chan<- prometheus.Metric) {
	keys := c.keys
	if app, err := activeApp(); err == nil {
		keys = app.opener // after a reload that failed, Caddy shows the registry of what never ran
	}
	stats := keys.Stats()
	metrics <- prometheus.MustNewConstMetric(cacheHits, prometheus.CounterValue, float64(stats.Hits))
	metrics <- prometheus.MustNewConstMetric(cacheMisses, prometheus.CounterValue, float64(stats.Misses))
	metrics <- prometheus.MustNewConstMetric(cacheCost, prometheus.GaugeValue, float64(stats.Cost))
	metrics <- prometheus.MustNewConstMetric(cacheSize, prometheus.GaugeValue, float64(stats.Size))
}
