package backends_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const (
	secret = "5f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c35f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c3"
	userID = `zoë@exämple.com "42" 名前`
	user   = `{"user":["shop","zoë@exämple.com \"42\" 名前"]}`
	nobody = `{"user":null}`
)

// TestBackends: every sample believes the gateway, and nobody who goes past it.
func TestBackends(t *testing.T) {
	s := newStand(t)
	home := t.TempDir()
	s.run(t, home, "issuer another\nlifetime 1h")
	anotherIssuer := s.capture(t, "/capture")
	s.gateway.Stop(t)
	s.run(t, home, "lifetime 1s")
	expired := s.capture(t, "/capture")

	// Without keys, nothing can be said of a request.
	for _, instead := range []string{"", "<html>", "[]", "{}"} {
		s.noKeys.Store(&instead)
		for _, b := range s.backends {
			b.wants(t, b.name+", without keys, but "+instead, expired, http.StatusServiceUnavailable, "")
			b.wants(t, b.name+", without keys or an assertion", "", http.StatusUnauthorized, "")
		}
	}
	s.noKeys.Store(nil)
	s.gateway.Stop(t)

	s.run(t, home, "lifetime 1h")
	good := s.capture(t, "/capture")
	bad := s.bad(t, good)
	bad["an assertion for another audience"] = s.capture(t, "/elsewhere")
	bad["an assertion of another issuer"] = anotherIssuer
	bad["nothing"] = ""
	each(t, s.backends, func(t *testing.T, b *backend) {
		start, reads := time.Now(), b.reads.Load()
		var crowd sync.WaitGroup
		for range 30 {
			crowd.Go(func() { b.wants(t, "an unknown key, in a crowd", bad["a foreign key"], http.StatusUnauthorized, "") })
		}
		crowd.Wait()
		testbed.Until(t, "the expired assertion to be refused", func() bool {
			status, _ := b.past(t, expired)
			return status == http.StatusUnauthorized
		}, &b.log)
		for what, assertion := range bad {
			b.wants(t, what, assertion, http.StatusUnauthorized, "")
		}
		testbed.Until(t, "the log to say why", func() bool { return regexp.MustCompile(`(?i)\baud`).MatchString(b.log.String()) }, &b.log)
		for what, assertion := range bad {
			if _, signed, _ := strings.Cut(assertion, "."); signed != "" && strings.Contains(b.log.String(), signed) {
				t.Errorf("the log has %s", what)
			}
		}
		for _, c := range []struct {
			who   string
			claim []byte
			want  string
		}{{"a user", claim(t, secret), user}, {"a visitor", nil, nobody}, {"a forger", claim(t, "another secret"), nobody}} {
			header := http.Header{"X-Verified-Assertion": {good}, "X-Verified-User": {"admin"}}
			if status, body := ask(t, s.url+"/"+b.name, header, c.claim); status != http.StatusOK || normal(t, body) != normal(t, c.want) {
				t.Errorf("%s: answered %d %s, want %s\n%s", c.who, status, body, c.want, b.log.String())
			}
		}
		// What an assertion does not do: it is good for whoever has it until it expires.
		b.wants(t, "a copy", good, http.StatusOK, normal(t, user))
		for range 20 {
			b.wants(t, "an unknown key", bad["a foreign key"], http.StatusUnauthorized, "")
			b.wants(t, "a copy", good, http.StatusOK, normal(t, user))
		}
		if n, most := b.reads.Load()-reads, int32(time.Since(start)/(10*time.Second))+1; n > most {
			t.Errorf("the key set was read %d times, want %d at most", n, most)
		}
	})

	// A gateway that has lost its keys has others, which are found without a restart.
	s.gateway.Stop(t)
	s.run(t, t.TempDir(), "lifetime 1h")
	each(t, s.backends, func(t *testing.T, b *backend) {
		testbed.Until(t, "the new key to be known", func() bool {
			status, body := ask(t, s.url+"/"+b.name, nil, claim(t, secret))
			return status == http.StatusOK && normal(t, body) == normal(t, user)
		}, &b.log)
		b.wants(t, "an assertion of the lost key", good, http.StatusUnauthorized, "")
	})
}

// each tests the samples at the same time.
func each(t *testing.T, backends []*backend, test func(*testing.T, *backend)) {
	var all sync.WaitGroup
	for _, b := range backends {
		all.Go(func() { t.Run(b.name, func(t *testing.T) { test(t, b) }) })
	}
	all.Wait()
}
