package observability_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const prefix = "caddy_chat_identity_"

// metric is one that the gateway has shown.
type metric struct {
	kind   string // COUNTER, GAUGE or HISTOGRAM
	labels map[string][]string
}

// metrics reads a scrape.
func metrics(t *testing.T, scrape string) map[string]metric {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]metric{}
	for name, family := range families {
		m := metric{family.GetType().String(), map[string][]string{}}
		for _, series := range family.GetMetric() {
			if name == prefix+"requests_total" && series.GetCounter().GetValue() == 0 {
				continue // shown before there are any: it is none that was found
			}
			for _, label := range series.GetLabel() {
				if values := m.labels[label.GetName()]; !slices.Contains(values, label.GetValue()) {
					m.labels[label.GetName()] = append(values, label.GetValue())
				}
			}
		}
		found[name] = m
	}
	return found
}

var (
	selector = regexp.MustCompile(`(\w+\(\s*)?\b(caddy_chat_identity_\w+)(?:\{([^}]*)\})?(\[)?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\bby\s*\(([^)]*)\)`)
)

// checkExpression checks that everything that an expression names is there, and
// is used as what it is: a counter by its rate, a gauge by its value, now or over
// a time. It returns the labels that a result may have.
func checkExpression(t *testing.T, found map[string]metric, expression string) (labels []string) {
	t.Helper()
	known := []string{"job", "instance"} // Prometheus adds them
	named := selector.FindAllStringSubmatch(expression, -1)
	if len(named) == 0 {
		t.Errorf("%s names none of our metrics", expression)
	}
	for _, s := range named {
		function, name, matchers, ranged := strings.TrimRight(s[1], "( \n"), s[2], s[3], s[4] != ""
		own := []string{"job", "instance"}
		m, exists := found[name]
		if base, isBucket := strings.CutSuffix(name, "_bucket"); !exists && isBucket {
			if m, exists = found[base]; m.kind != "HISTOGRAM" {
				t.Errorf("%s is no histogram", base)
			}
			own = append(own, "le")
		} else if m.kind == "HISTOGRAM" {
			t.Errorf("%s is a histogram", name)
		}
		if !exists {
			t.Errorf("no gateway shows %s", name)
			continue
		}
		counts := m.kind != "GAUGE"
		if counts && function != "rate" || ranged != (counts || strings.HasSuffix(function, "_over_time")) {
			t.Errorf("%s, a %s, is used as %s", name, m.kind, s[0])
		}
		for label := range m.labels {
			own = append(own, label)
		}
		for _, match := range matcher.FindAllStringSubmatch(matchers, -1) {
			label, values := match[1], match[3]
			if !slices.Contains(own, label) {
				t.Errorf("%s has no label %s", name, label)
			}
			for value := range strings.SplitSeq(values, "|") {
				if !strings.HasPrefix(value, "$") && !slices.Contains(m.labels[label], value) {
					t.Errorf("%s of %s is never %q, but %q", label, name, value, m.labels[label])
				}
			}
		}
		known = append(known, own...)
	}
	groups := grouping.FindAllStringSubmatch(expression, -1)
	for _, g := range groups {
		for label := range strings.SplitSeq(g[1], ",") {
			label = strings.TrimSpace(label)
			if !slices.Contains(known, label) {
				t.Errorf("%s groups by %s, which nothing in it has", expression, label)
			}
			labels = append(labels, label)
		}
	}
	if len(groups) == 0 {
		return known
	}
	return labels
}
