package deploytests

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// manifests returns what each sample gives the Caddyfile by its environment.
func manifests(t *testing.T, dir string) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{"compose": {}, "kubernetes": {}, "systemd": unitEnvironment(t, dir)}
	for key, value := range project(t, dir).Services["gateway"].Environment {
		found["compose"][key] = *value
	}
	for _, variable := range newCluster(t, dir).pods["gateway"].Spec.Containers[0].Env {
		found["kubernetes"][variable.Name] = variable.Value
	}
	return found
}

// TestForwarded: only where nothing but the ingress controller reaches the gateway does it
// believe who the client is said to be.
func TestForwarded(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"), " ", r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(backend.Close)
	dir := newFolder(t)
	for sample, environment := range manifests(t, dir) {
		want := "http 127.0.0.1"
		if sample == "kubernetes" {
			want = "https 203.0.113.7, 127.0.0.1"
		}
		g := alone(t, dir, backend.Listener.Addr().String(), "TRUSTED_PROXIES="+environment["TRUSTED_PROXIES"])
		request, err := http.NewRequest(http.MethodGet, "http://"+g.site, nil)
		must(t, err)
		request.Header = http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"}}
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		defer response.Body.Close()
		if said, err := io.ReadAll(response.Body); err != nil || string(said) != want {
			t.Errorf("%s: the backend is told %q, want %q; %v", sample, said, want, err)
		}
	}
}

// TestLog: the line about a request that the backend did not answer holds no signature.
func TestLog(t *testing.T) {
	nobody := net.JoinHostPort("127.0.0.1", fmt.Sprint(testbed.FreePort(t)))
	g := alone(t, newFolder(t), nobody)
	request, err := http.NewRequest(http.MethodGet, "http://"+g.site+"/messages?user_hash=0123abcd", nil)
	must(t, err)
	request.Header.Set("X-Munin-User-Hash", "4567ef89")
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	testbed.Until(t, "a line about the request", func() bool { return strings.Contains(g.log.String(), `"uri":"/messages"`) }, g.log)
	if said := g.log.String(); response.StatusCode != http.StatusBadGateway || strings.Contains(said, "0123abcd") || strings.Contains(said, "4567ef89") {
		t.Errorf("%s\n%s", response.Status, said)
	}
}

// alone starts a gateway of the Caddyfile that has no Redis.
func alone(t *testing.T, dir, backend string, environment ...string) *gateway {
	t.Helper()
	g := &gateway{site: net.JoinHostPort("127.0.0.1", fmt.Sprint(testbed.FreePort(t)))}
	g.process = exec.Command(testbed.Gateway(t), "run", "--config", filepath.Join(dir, "Caddyfile"))
	g.process.Env = slices.Concat(g.process.Environ(), []string{
		"SITE=http://" + g.site, "BIND=127.0.0.1", "METRICS_ADDRESS=127.0.0.4", "BACKEND=" + backend,
		"REDIS=" + net.JoinHostPort("127.0.0.1", fmt.Sprint(testbed.FreePort(t))), "CREDENTIALS_DIRECTORY=" + filepath.Join(dir, "secrets"),
		"CADDY_ADMIN=unix/" + filepath.Join(t.TempDir(), "admin.sock"), "XDG_DATA_HOME=" + t.TempDir(), "HOME=" + t.TempDir(),
	}, environment)
	g.log = start(t, g.process, syscall.SIGQUIT)
	testbed.Until(t, "connections to be accepted", func() bool {
		conn, err := net.Dial("tcp", g.site)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, g.log)
	return g
}

// TestAddresses: under systemd, plain HTTP and metrics are for the machine alone. In a
// container, all may reach them whom the network lets in.
func TestAddresses(t *testing.T) {
	dir := newFolder(t)
	for sample, environment := range manifests(t, dir) {
		cmd := exec.Command(testbed.Gateway(t), "adapt", "--config", filepath.Join(dir, "Caddyfile"))
		for key, value := range environment {
			cmd.Env = append(cmd.Environ(), key+"="+value)
		}
		var config struct {
			Apps struct {
				HTTP struct {
					Servers map[string]struct{ Listen []string }
				}
			}
		}
		must(t, json.Unmarshal([]byte(output(t, cmd)), &config))
		var got []string
		for _, server := range config.Apps.HTTP.Servers {
			got = append(got, server.Listen...)
		}
		slices.Sort(got)
		want := []string{":8080", ":9180"}
		if sample == "systemd" {
			want = []string{"127.0.0.1:8080", "127.0.0.1:9180"}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the gateway listens at %q, want %q", sample, got, want)
		}
	}
}
