package caddymodule

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// TestDocsBalancer runs the balancer of docs/fleet.md before two gateways. A gateway that is killed
// costs no message, and while Redis is away and so no gateway is ready, whoever sends no claim is
// served, as before.
func TestDocsBalancer(t *testing.T) {
	sample := string(read(t, "../examples/fleet/Caddyfile"))
	_, ready, _ := strings.Cut(sample, "\t@ready {")
	ready, _, _ = strings.Cut(ready, "\thandle /chat {")
	documented := find(t, "caddyfile balancer")
	inSample := string(read(t, "../examples/fleet/balancer.Caddyfile"))
	for line := range strings.Lines(regexp.MustCompile(`.*(health_port|gateway-1|chat\.example).*\n`).ReplaceAllString(documented, "")) {
		if !strings.Contains(inSample, line) {
			t.Errorf("the balancer of examples/fleet lacks %s", line)
		}
	}
	server := redistest.Start(t)
	f := newFleet(t, 0, "")
	var addresses []string
	for range 2 {
		p := newProcess(t, "encryption_key {env.TEST_KEY}\nstale_if_error 2s\nwidgets redis redis://"+server.Addr,
			"@ready {"+ready+"\nhandle {\nchat_identity {\nwidget {header.X-Widget-Key}\n}\nrespond {http.chat_identity.outcome}\n}")
		p.config = strings.ReplaceAll(p.config, "127.0.0.1:{$ADMIN}", p.admin)
		p.run(t)
		f.gateways = append(f.gateways, p)
		addresses = append(addresses, strings.TrimPrefix(p.url, "http://"))
	}
	balancer := newProcess(t, "", "")
	balancer.config = "{\nadmin " + balancer.admin + quiet + "\n}\n" + strings.NewReplacer("gateway-1:8080 gateway-2:8080", strings.Join(addresses, " "),
		"chat.example.com", balancer.url, "\t\thealth_port 8081\n", "").Replace(documented)
	balancer.run(t)

	secret := f.gateways[0].create(t, `{"id":"shop"}`)
	signed := func() string {
		_, body := f.signed(secret)
		return f.ask(t, balancer, "/chat", "shop", body)
	}
	bothVerify := func() bool { // they are asked in turn
		first, second := signed(), signed()
		return first == "200 verified" && second == first
	}
	always := func(when, claimed string) {
		t.Helper()
		for i := range 10 {
			equal(t, f.ask(t, balancer, "/chat", "shop", "{}"), "200 anonymous", "%s: request %d without a claim", when, i)
			equal(t, signed(), claimed, "%s: request %d with a claim", when, i)
		}
	}
	eventually(t, "both gateways know the widget", bothVerify)
	always("at first", "200 verified")
	if said := f.ask(t, balancer, "/health", "", ""); strings.Contains(said, "status") {
		t.Errorf("a client reads a gateway's health: %s", said)
	}
	f.gateways[0].kill(t)
	always("a gateway was killed", "200 verified")
	f.gateways[0].run(t)
	eventually(t, "the gateway knows the widget again", func() bool {
		_, body := f.signed(secret)
		return f.ask(t, f.gateways[0], "/chat", "shop", body) == "200 verified"
	})

	server.Pause()
	for _, p := range f.gateways {
		p.healthy(t, "down", "")
	}
	from := len(balancer.log.String())
	refused := regexp.MustCompile(`status code out of tolerances.*?"host": ?"([^"]+)"`)
	eventually(t, "the balancer finds both gateways down", func() bool {
		hosts := map[string]bool{}
		for _, m := range refused.FindAllStringSubmatch(balancer.log.String()[from:], -1) {
			hosts[m[1]] = true
		}
		return len(hosts) == len(addresses)
	})
	always("without Redis", "200 unavailable")
	server.Resume()
	for _, p := range f.gateways {
		p.healthy(t, "ok", "")
	}
	eventually(t, fmt.Sprint("it verifies again at ", addresses), bothVerify)
}
