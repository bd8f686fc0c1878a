package observability_test

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// series is what a panel draws as one line.
type series struct {
	labels map[string]string
	values []float64 // without those that are no number
}

func (s series) latest() float64 { return s.values[len(s.values)-1] }

// ask sends a target's query to Prometheus, as Grafana does for the last minutes.
func ask(t *testing.T, prometheus, expression string) (all []series) {
	t.Helper()
	now := time.Now()
	query := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "20s").Replace(expression)
	response, err := http.PostForm(prometheus+"/api/v1/query_range", url.Values{
		"query": {query}, "step": {"2"}, "end": {fmt.Sprint(now.Unix())}, "start": {fmt.Sprint(now.Add(-15 * time.Minute).Unix())},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != "" {
		t.Fatalf("%s: %s %v", query, answer.Error, err)
	}
	for _, r := range answer.Data.Result {
		s := series{labels: r.Metric}
		for _, pair := range r.Values {
			value, err := strconv.ParseFloat(fmt.Sprint(pair[1]), 64)
			if err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			if !math.IsNaN(value) && !math.IsInf(value, 0) {
				s.values = append(s.values, value)
			}
		}
		if len(s.values) > 0 {
			all = append(all, s)
		}
	}
	return all
}

// create creates a widget with a secret and one with a public key.
func (g *gateway) create(t *testing.T) (sign func(text string) []byte, secret string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	g.send(t, 201, "POST", "/chat_identity/widgets", fmt.Sprintf(`{"id":"club","public_keys":[%q]}`, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	var created struct{ Secret string }
	if err := json.Unmarshal([]byte(g.send(t, 201, "POST", "/chat_identity/widgets", `{"id":"boutique"}`)), &created); err != nil {
		t.Fatal(err)
	}
	return func(text string) []byte {
		digest, signature := sha256.Sum256([]byte(text)), make([]byte, 64)
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature
	}, created.Secret
}

func claim(secret, user string) string {
	return fmt.Sprintf(`{"user_id":%q,"user_hash":%q}`, user, testbed.Sign(secret, user))
}

// TestDashboardInPrometheus asks a Prometheus what Grafana asks it. `make soak` names the one
// that watches its fleet. Otherwise it watches a gateway that has all kinds of visitors.
func TestDashboardInPrometheus(t *testing.T) {
	prometheus, visit := os.Getenv("CHAT_IDENTITY_PROMETHEUS"), func() {}
	if prometheus == "" {
		g := newGateway(t)
		g.stock(t)
		private, secret := g.create(t)
		gone := newGateway(t)
		visit = func() {
			g.visit(t)
			g.send(t, 200, "POST", "/widgets/messages", claim(secret, "ada"), "X-Widget-Key", "boutique")
			token := jwt("ES256", "ada", private)
			for range 2 {
				g.send(t, 200, "POST", "/partners/messages", `{}`, "X-Widget-Key", "club", "Authorization", "Bearer "+token)
			}
		}
		config, err := os.ReadFile("prometheus.yml")
		if err != nil {
			t.Fatal(err)
		}
		prometheus = testbed.Prometheus(t, strings.NewReplacer("15s", "1s", "localhost:2019", "localhost:"+g.admin+", localhost:"+gone.admin, "  - alerts.yml\n", "", "rule_files:\n", "").Replace(string(config)))
		testGateways(t, prometheus, 2, 0)
		gone.Stop(t)
		testGateways(t, prometheus, 1, 1)
	}
	found := map[string][]series{} // by the panel's title
	for _, p := range readDashboard(t).charts() {
		for _, target := range p.Targets {
			testbed.Until(t, "a value of "+p.Title+": "+target.Expr, func() bool {
				s := ask(t, prometheus, target.Expr)
				if len(s) == 0 {
					visit()
					time.Sleep(time.Second) // until it is scraped
				}
				found[p.Title] = append(found[p.Title], s...)
				return len(s) > 0
			})
		}
	}

	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| question | panels |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	questions := strings.Split(strings.TrimSpace(table), "\n")
	if len(questions) != 3 {
		t.Fatalf("the README has these questions: %q", questions)
	}
	for _, row := range questions {
		question, panels, _ := strings.Cut(strings.Trim(row, "| "), " | ")
		var answers []string
		for title := range strings.SplitSeq(panels, ", ") {
			if len(found[title]) == 0 {
				t.Errorf("%s: there is no panel %s", question, title)
			}
			for _, s := range found[title] {
				label := cmp.Or(s.labels["reason"], s.labels["status"], strings.TrimPrefix(s.labels["__name__"], prefix))
				answers = append(answers, strings.Join(strings.Fields(title+" "+label+" "+s.labels["instance"]), " ")+fmt.Sprintf(" %.3g", s.latest()))
			}
		}
		t.Logf("answered: %s %s", question, strings.Join(answers, ", "))
	}

	for _, title := range []string{"Store", "Ledger"} {
		if v := found[title][0].latest(); v != 1 {
			t.Errorf("%s: %v, although it can be reached", title, v)
		}
	}
	shown := func(want string, values func([]float64) bool) {
		testbed.Until(t, "the dashboard to show: "+want, func() bool {
			for _, p := range readDashboard(t).charts() {
				for _, target := range p.Targets {
					if want != p.Title && !strings.HasPrefix(want, p.Title+" ") {
						continue
					}
					for _, s := range ask(t, prometheus, target.Expr) {
						if strings.TrimSpace(p.Title+" "+s.labels["reason"]) == want && values(s.values) {
							return true
						}
					}
				}
			}
			visit() // its first request of a kind is no increase of the counter that appears with it
			time.Sleep(time.Second)
			return false
		})
	}
	for _, want := range []string{"Not verified missing", "Not verified invalid", "Possible forgery attempts invalid",
		"Possible forgery attempts replayed", "Possible forgery attempts conversation_claimed", "Possible forgery attempts ambiguous"} {
		shown(want, func(rates []float64) bool { return slices.Max(rates) > 0 })
	}
	shown("Verified", func(shares []float64) bool {
		return slices.ContainsFunc(shares, func(share float64) bool { return share > 0 && share < 1 })
	})
}

// testGateways waits until the panel shows that so many gateways answer and do not.
func testGateways(t *testing.T, prometheus string, answer, doNot float64) {
	t.Helper()
	charts := readDashboard(t).charts()
	targets := charts[slices.IndexFunc(charts, func(p panel) bool { return p.Title == "Gateways" })].Targets
	testbed.Until(t, fmt.Sprintf("%v gateways to answer and %v not", answer, doNot), func() bool {
		for i, want := range map[int]float64{0: answer, 1: doNot} {
			if s := ask(t, prometheus, targets[i].Expr); len(s) != 1 || s[0].latest() != want {
				return false
			}
		}
		return true
	})
}
