package observability_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type rule struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (rules []rule) {
	t.Helper()
	text, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) < 10 {
		t.Fatalf("%d rules", len(rules))
	}
	return rules
}

// TestAlertsSayWhatToDo checks what somebody who was woken reads.
func TestAlertsSayWhatToDo(t *testing.T) {
	for _, r := range readRules(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for name, least := range map[string]int{"summary": 20, "description": 60, "runbook": 100} {
			if len(r.Annotations[name]) < least {
				t.Errorf("%s: %s is %q", r.Alert, name, r.Annotations[name])
			}
		}
	}
}

// TestAlerts runs the rules' own tests. Each alert has one in which it fires;
// that it does not in all others, each of them checks.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readRules(t) {
		if !strings.Contains(string(text), `alertname="`+r.Alert+`"`) {
			t.Errorf("no test makes %s fire", r.Alert)
		}
	}
	promtool(t, "", "check", "rules", "alerts.yml")
	promtool(t, "", "test", "rules", "alerts_test.yml")
}

func TestPrometheusConfiguration(t *testing.T) {
	promtool(t, "", "check", "config", "prometheus.yml")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, kubernetes, _ := strings.Cut(string(readme), "```yaml\n")
	kubernetes, _, found := strings.Cut(kubernetes, "```")
	// Some builds, Debian's among them, leave the discovery in Kubernetes out.
	kubernetes = strings.Replace(kubernetes, "kubernetes_sd_configs: [{role: pod}]", "static_configs: [{targets: [localhost]}]", 1)
	file := t.TempDir() + "/kubernetes.yml"
	if err := os.WriteFile(file, []byte(kubernetes), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := promtool(t, "", "check", "config", file); !found {
		t.Errorf("the README has no configuration for Kubernetes: %s", out)
	}
	for _, file := range []string{"prometheus.yml", "Caddyfile"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`localhost:(2019|\{\$ADMIN_PORT:2019\})\W`).Match(text) {
			t.Errorf("%s has another admin endpoint", file)
		}
	}
}

var annotationLabel = regexp.MustCompile(`\$labels\.(\w+)`)

func testRules(t *testing.T, found map[string]metric) {
	for _, r := range readRules(t) {
		t.Run(r.Alert, func(t *testing.T) {
			labels := checkExpression(t, found, r.Expr)
			for _, text := range r.Annotations {
				for _, l := range annotationLabel.FindAllStringSubmatch(text, -1) {
					if !slices.Contains(labels, l[1]) {
						t.Errorf("%q has a label that the expression has not: %s", text, r.Expr)
					}
				}
			}
		})
	}
}
