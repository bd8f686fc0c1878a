package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rotations are the secrets of one widget, by generation.
type rotations struct {
	mu      sync.Mutex
	secrets []string
	begun   atomic.Int64 // the generation of the rotation that has begun
	done    atomic.Int64 // the generation of the last rotation that was answered
}

func (r *rotations) secret(generation int64) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.secrets[generation]
}

func (r *rotations) append(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secrets = append(r.secrets, secret)
	r.done.Store(int64(len(r.secrets) - 1))
}

// stress is many clients that send messages of one widget.
type stress struct {
	g      *gateway
	client *http.Client
	sent   atomic.Int64
}

func newStress(g *gateway, clients int) *stress {
	return &stress{g: g, client: manyClients(clients)}
}

// send reports whether a message that is signed with the secret was verified.
func (s *stress) send(t *testing.T, secret string) (verified bool) {
	user := fmt.Sprintf("user-%d", s.sent.Add(1))
	body := fmt.Sprintf(`{"user_id":"%s","user_hash":"%s"}`, user, signWith(secret, user))
	r, err := http.NewRequest("POST", s.g.url+"/chat", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return false
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "X-Widget-Key": {"shop"}}
	response, err := s.client.Do(r)
	if err != nil {
		t.Errorf("a request failed: %v", err)
		return false
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	switch {
	case response.StatusCode == 200 && string(text) == user:
		return true
	case response.StatusCode == 401:
		return false
	}
	t.Errorf("%d %s", response.StatusCode, text)
	return false
}

// run has clients send as busy does.
func (s *stress) run(t *testing.T, clients int, turn func(i int)) (end func()) {
	return busy(t, clients, func(_, i int) { turn(i) })
}

// busy has clients take turns until the returned function is called, or the test
// ends; each is given its number and that of the turn. It returns once each has had one.
func busy(t *testing.T, clients int, turn func(client, i int)) (end func()) {
	group, stop, ready := new(sync.WaitGroup), make(chan struct{}), new(sync.WaitGroup)
	end = sync.OnceFunc(func() {
		close(stop)
		group.Wait()
	})
	t.Cleanup(end)
	ready.Add(clients)
	for client := range clients {
		group.Go(func() {
			begun := sync.OnceFunc(ready.Done)
			defer begun()
			for i := 0; ; i++ {
				turn(client, i)
				begun()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	ready.Wait()
	return end
}

// echo answers who was verified.
const echo = "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nrespond {http.chat_identity.user}"

// TestRotationsUnderLoad: from the moment a rotation has answered, no request
// is verified by the secret before, and every one by the new.
func TestRotationsUnderLoad(t *testing.T) { testRotationsUnderLoad(t, 20, 16) }

func testRotationsUnderLoad(t *testing.T, count int64, clients int) {
	g := live(t, "", echo)
	r := new(rotations)
	r.append("the-secret-that-came-with-the-widget")
	g.create(t, `{"id":"shop","secret":"`+r.secret(0)+`"}`)
	r.append(g.rotate(t, "shop", ""))
	r.begun.Store(1)

	s := newStress(g, clients)
	var current, retired atomic.Int64
	end := s.run(t, clients, func(i int) {
		generation := r.done.Load()
		if i%2 == 1 {
			if s.send(t, r.secret(generation-1)) {
				t.Errorf("a request that began after rotation %d was verified by the secret before", generation)
			}
			retired.Add(1)
			return
		}
		// A rotation that began meanwhile may have retired it.
		if !s.send(t, r.secret(generation)) && r.begun.Load() == generation {
			t.Errorf("the secret of rotation %d does not verify", generation)
		}
		current.Add(1)
	})
	for generation := int64(2); generation <= count && !t.Failed(); generation++ {
		before := s.sent.Load()
		r.begun.Store(generation)
		r.append(g.rotate(t, "shop", ""))
		for s.sent.Load() < before+20 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	end()
	if current.Load() < count || retired.Load() < count {
		t.Errorf("%d requests with the current and %d with a retired secret prove nothing", current.Load(), retired.Load())
	}
}

// TestRotationsInGrace: with a grace, neither the old secret fails nor the new.
func TestRotationsInGrace(t *testing.T) { testRotationsInGrace(t, 20, 8) }

func testRotationsInGrace(t *testing.T, count int64, clients int) {
	g := live(t, "", echo)
	r := new(rotations)
	r.append(g.create(t, `{"id":"shop"}`))
	s := newStress(g, clients)
	end := s.run(t, clients, func(i int) {
		generation := r.done.Load()
		if i%2 == 1 && generation > 0 {
			generation = int64(i) % generation
		}
		if !s.send(t, r.secret(generation)) {
			t.Errorf("the secret of rotation %d fails in its grace", generation)
		}
	})
	for generation := int64(1); generation <= count && !t.Failed(); generation++ {
		before := s.sent.Load()
		r.append(g.rotate(t, "shop", `{"grace":"1h"}`))
		for s.sent.Load() < before+10 && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	end()
	// A rotation without a grace ends them all.
	g.rotate(t, "shop", "")
	for _, generation := range []int64{0, count / 2, count} {
		if s.send(t, r.secret(generation)) {
			t.Errorf("the secret of rotation %d outlives a rotation without grace", generation)
		}
	}
}

// TestConcurrentRotations: none is lost. With a grace every secret that was
// answered verifies.
// TestEndGrace: what was in grace stops verifying at once, and the current secret stays.
func TestEndGrace(t *testing.T) {
	g := live(t, "encryption_key {env.TEST_KEY}", strings.Replace(liveSite, "chat_identity {", "chat_identity required {", 1))
	g.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Verified-User"))
	}
	first := g.create(t, `{"id":"shop"}`)
	second := g.rotate(t, "shop", `{"grace":"1h"}`)
	current := g.rotate(t, "shop", `{"grace":"1h"}`)
	var ended atomic.Bool
	s := newStress(g, 8)
	stop := s.run(t, 8, func(i int) {
		over := ended.Load()
		if s.send(t, []string{first, second}[i%2]) && over {
			t.Error("a secret that was in grace still verifies")
		}
		if !s.send(t, current) {
			t.Error("the current secret does not verify")
		}
	})
	for _, want := range []int{2, 0} { // the second finds nothing to end
		c := g.call(t, "POST", "widgets/shop/rotate", `{"end_grace":true}`)
		ended.Store(true)
		if c.status != 200 || c.Secret != "" || len(c.Secrets) != 1 || !strings.Contains(c.body, fmt.Sprintf(`"ended":%d`, want)) {
			t.Errorf("%d %s", c.status, c.body)
		}
	}
	sent := s.sent.Load()
	eventually(t, "no requests", func() bool { return s.sent.Load() > sent+100 })
	stop()
	if c := g.call(t, "POST", "widgets/shop/rotate", `{"end_grace":true,"grace":"1h"}`); c.status != 400 {
		t.Errorf("with a grace: %d %s", c.status, c.body)
	}
	if c := g.call(t, "POST", "widgets/nobody/rotate", `{"end_grace":true}`); c.status != 404 {
		t.Errorf("of nobody: %d %s", c.status, c.body)
	}
}

func TestConcurrentRotations(t *testing.T) {
	const count = 16
	g := live(t, "", echo)
	g.create(t, `{"id":"shop"}`)
	secrets := make([]string, count)
	var group sync.WaitGroup
	for i := range secrets {
		group.Go(func() {
			if c, err := g.tryCall("POST", "widgets/shop/rotate", `{"grace":"1h"}`); err == nil {
				secrets[i] = c.Secret
			}
		})
	}
	group.Wait()
	s := newStress(g, 1)
	for i, secret := range secrets {
		if len(secret) != 64 || !s.send(t, secret) {
			t.Errorf("rotation %d was lost", i)
		}
	}
	if c := g.call(t, "GET", "widgets/shop", ""); len(c.Secrets) != count+1 {
		t.Errorf("%d secrets, want %d", len(c.Secrets), count+1)
	}
}

// TestSlowBody: a request that begins before a rotation and ends after it is not
// verified by the retired secret.
func TestSlowBody(t *testing.T) {
	for name, retire := range map[string]func(g *gateway){
		"rotated":  func(g *gateway) { g.rotate(t, "shop", "") },
		"deleted":  func(g *gateway) { g.call(t, "DELETE", "widgets/shop", "") },
		"stricter": func(g *gateway) { g.rotate(t, "shop", ""); g.call(t, "PATCH", "widgets/shop", `{"mode":"required"}`) },
		"redone": func(g *gateway) {
			g.call(t, "DELETE", "widgets/shop", "")
			g.create(t, `{"id":"shop"}`)
		},
		"another dialect": func(g *gateway) { g.call(t, "PATCH", "widgets/shop", `{"dialect":"nextcap"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			g := live(t, "", liveSite)
			secret := g.create(t, `{"id":"shop"}`)
			body := fmt.Sprintf(`{"user_id":"user-1","user_hash":"%s"}`, signWith(secret, "user-1"))
			c := g.begin(t, "/chat", body, jsonType, "X-Widget-Key: shop")
			c.write(body[:len(body)-1]) // the handler has the head, and waits
			retire(g)
			c.write(body[len(body)-1:])
			_, answer := c.answer()
			seen := g.upstream.take()
			if seen != nil && seen.user() != "" {
				t.Errorf("verified as %s", seen.user())
			}
			if refused := strings.Contains(answer, `"reason":"invalid"`); seen == nil && !refused {
				t.Errorf("neither forwarded nor refused: %s", answer)
			}
		})
	}
}
