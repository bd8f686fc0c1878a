package observability_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what Grafana imports, as far as the tests look at it.
type dashboard struct {
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type, Query string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []target
}

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                struct{ UID string }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	// The variables' queries are objects, but for the data source's.
	text = regexp.MustCompile(`"query": \{\s*"qryType": 1,\s*"query": ("(?:[^"\\]|\\.)*"),[^}]*\}`).ReplaceAll(text, []byte(`"query": $1`))
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// charts are the panels, without the rows' headings.
func (d dashboard) charts() (charts []panel) {
	for _, p := range d.Panels {
		if p.Type != "row" {
			charts = append(charts, p)
		}
	}
	return charts
}

func TestDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 39 {
		t.Errorf("uid %q, title %q, schema %d", d.UID, d.Title, d.SchemaVersion)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name+" "+v.Type)
	}
	if want := []string{"datasource datasource", "job query", "instance query"}; !slices.Equal(variables, want) {
		t.Errorf("variables %q, want %q", variables, want)
	}
	if n := len(d.charts()); n < 20 {
		t.Fatalf("%d panels", n)
	}
	ids, titles, taken := map[int]bool{}, map[string]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.Title == "" || titles[p.Title] || ids[p.ID] {
			t.Errorf("panel %d, %q: the title is missing, or a panel has the same one", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("%s is at %+v, outside of the grid of 24 columns", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, p := range d.charts() {
		if len(p.Description) < 10 || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s lacks a description, a unit, the chosen data source or a target", p.Title)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: target %q", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			selectors := strings.Count(target.Expr, prefix) + strings.Count(target.Expr, "(up{")
			if strings.Count(target.Expr, `{job=~"$job", instance=~"$instance"`) != selectors {
				t.Errorf("%s shows more than the chosen gateways: %s", p.Title, target.Expr)
			}
		}
	}
}

// TestDashboardExpressions checks the syntax: Prometheus takes every target as
// the expression of a rule.
func TestDashboardExpressions(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, p := range readDashboard(t).charts() {
		for _, target := range p.Targets {
			fmt.Fprintf(&rules, "      - {record: 'panel:%d', expr: %q}\n", n, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			n++
		}
	}
	file := t.TempDir() + "/rules.yml"
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := promtool(t, "", "check", "rules", file); !strings.Contains(out, fmt.Sprintf("SUCCESS: %d rules found", n)) {
		t.Error(out)
	}
}

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

func testPanels(t *testing.T, found map[string]metric) {
	for _, p := range readDashboard(t).charts() {
		t.Run(p.Title, func(t *testing.T) {
			for _, target := range p.Targets {
				labels := checkExpression(t, found, target.Expr)
				for _, l := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
					if !slices.Contains(labels, l[1]) {
						t.Errorf("the legend %q has a label of its own: %s", target.LegendFormat, target.Expr)
					}
				}
			}
		})
	}
}
