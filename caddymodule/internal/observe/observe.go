// Package observe counts and times the operations of stores and ledgers, and adds them to
// the request's trace.
package observe

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// The results of an operation.
const (
	resultOK    = "ok"
	resultHeld  = "held" // by somebody else
	resultError = "error"
)

var (
	store = newOperations("store", "Operations of the store of widgets", []string{"lookup", "update", "list"},
		[]string{resultOK, resultError})
	ledgers = newOperations("ledger", "Operations of the ledger", []string{"reserve", "keep", "release", "held"},
		[]string{resultOK, resultHeld, resultError})

	// Metrics are those of all stores and ledgers in the process.
	Metrics = []prometheus.Collector{store.total, store.seconds, ledgers.total, ledgers.seconds}
)

type operations struct {
	kind    string // store or ledger
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// newOperations creates all series at once, so that a rate counts their first operations.
func newOperations(kind, help string, names, results []string) *operations {
	prefix := "caddy_chat_identity_" + kind
	o := &operations{
		kind: kind,
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "_operations_total", Help: help + ", by result.",
		}, []string{"operation", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "_operation_duration_seconds", Help: help + ": how long it took.",
			Buckets: []float64{25e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1, 1.5, 2.5, 5}, // a rotation in Redis takes a second by design,
		}, []string{"operation"}),
	}
	for _, name := range names {
		o.seconds.WithLabelValues(name)
		for _, result := range results {
			o.total.WithLabelValues(name, result)
		}
	}
	return o
}

// asking is an operation under way.
type asking struct {
	*operations
	name  string
	began time.Time
	span  trace.Span // nil if the request is not traced
}

// begin begins an operation that started at that time.
func (o *operations) begin(ctx context.Context, name string, at time.Time) (context.Context, asking) {
	a := asking{operations: o, name: name, began: at}
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		tracer := span.TracerProvider().Tracer("github.com/chatidentity/caddy-chat-identity")
		ctx, a.span = tracer.Start(ctx, "chat_identity."+o.kind+" "+name,
			trace.WithTimestamp(at), trace.WithSpanKind(trace.SpanKindClient))
	}
	return ctx, a
}

// end counts the operation by its result.
func (a *asking) end(result string) {
	a.seconds.WithLabelValues(a.name).Observe(time.Since(a.began).Seconds())
	a.total.WithLabelValues(a.name, result).Inc()
	if a.span == nil {
		return
	}
	if result == resultError {
		a.span.SetStatus(codes.Error, a.kind+" unavailable")
	}
	a.span.SetAttributes(attribute.String("chat_identity.result", result))
	a.span.End()
}
