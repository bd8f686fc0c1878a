// Package observability_test checks the sample configurations against what a
// gateway shows.
package observability_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// promtool is Prometheus' own judge. It fails the test where it has complaints.
func promtool(t *testing.T, input string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("this test asks promtool, which is not installed: run `make deps`, or install Debian's package prometheus")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestAgainstGateway scrapes a gateway that has found everything that
// verification can find, and looks for what panels and rules name.
func TestAgainstGateway(t *testing.T) {
	g := newGateway(t)
	g.stock(t)
	g.visit(t)
	hash := testbed.Sign(chatSecret, "ada")
	for _, d := range verifier.Dialects {
		for _, p := range d.AllPlaces() {
			switch {
			case p.Field != verifier.Signature && p.Field != verifier.TokenField:
			case p.Location == "header":
				g.send(t, 200, "GET", "/widgets/messages", "", p.Name, hash)
			default:
				g.send(t, 200, "GET", "/widgets/messages?user_id=ada&"+p.Key()+"="+hash, "")
			}
		}
	}
	scrape := g.scrape(t)
	found := metrics(t, scrape)

	requests := found[prefix+"requests_total"]
	for label, values := range map[string][]string{
		"outcome": {"verified", "anonymous", "invalid", "expired", "replayed", "unavailable", "malformed", "disabled"},
		"reason": {"missing", "partial", "invalid", "ambiguous", "expired", "replayed", "conversation_claimed",
			"widget_unknown", "unavailable", "malformed", "too_large", "unsupported"},
		"proof": {"signature", "token", "session", "none"},
	} {
		for _, value := range values {
			if !slices.Contains(requests.labels[label], value) {
				t.Errorf("the visit has not brought %s %q, but %q", label, value, requests.labels[label])
			}
		}
	}
	t.Run("panels", func(t *testing.T) { testPanels(t, found) })
	t.Run("rules", func(t *testing.T) { testRules(t, found) })
	t.Run("all are shown", func(t *testing.T) {
		var named strings.Builder
		for _, p := range readDashboard(t).charts() {
			for _, target := range p.Targets {
				named.WriteString(target.Expr)
			}
		}
		for name := range found {
			if strings.HasPrefix(name, prefix) && !strings.Contains(named.String(), name) {
				t.Errorf("no panel shows %s", name)
			}
		}
	})
	t.Run("promtool", func(t *testing.T) {
		if out := promtool(t, scrape, "check", "metrics"); strings.Contains(out, prefix) {
			t.Error(out)
		}
	})
	t.Run("a missing key shows", func(t *testing.T) {
		if !strings.Contains(scrape, "\n"+prefix+"missing_encryption_keys 1\n") {
			t.Error(scrape)
		}
	})

	g.Stop(t)
	log := g.Log.String()
	if strings.Contains(log, hash) || strings.Contains(log, chatSecret) || strings.Contains(log, "eyJ") {
		t.Error("a signature, a token or a secret is in the log")
	}
	if !strings.Contains(log, `"chat_identity":{"outcome":"verified"`) {
		t.Errorf("the access log does not say what was found:\n%s", log)
	}
}
