//go:build soak

package soak_test

import (
	"context"
	"fmt"
	random "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// life is a widget whose secret is replaced all the time, in all ways.
type life struct {
	mu     sync.Mutex
	id     string
	secret string
	old    string               // in grace
	over   map[string]time.Time // by secret, when its retirement began
}

// retiring returns when the retirement of a secret began, zero if it did not.
func (l *life) retiring(secret string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over[secret]
}

// retirement is a secret that must not verify any more.
type retirement struct {
	widget, secret, session, how string
	at                           time.Time
}

func (f *fleet) newLife(t *testing.T, i int) *life {
	l := &life{id: fmt.Sprintf("life-%d", i), over: map[string]time.Time{}}
	if err := f.createLife(l, f.gateways[0]); err != nil {
		t.Fatal(err)
	}
	return l
}

func (f *fleet) createLife(l *life, g *gateway) error {
	secret, err := g.secret("POST", "/chat_identity/widgets", fmt.Sprintf(`{"id":%q}`, l.id))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secret = secret
	return err
}

// secret makes a change and returns the secret that is created.
func (g *gateway) secret(method, path, body string) (string, error) {
	var created struct{ Secret string }
	err := g.change(method, path, "application/json", strings.NewReader(body), &created)
	return created.Secret, err
}

// live retires the widget's secrets: by a rotation without a grace, by the end of one, by
// deletion.
func (f *fleet) live(ctx context.Context, l *life, i int) {
	draw := random.New(random.NewPCG(3, uint64(i)))
	for n := 0; ctx.Err() == nil; n++ {
		pause(ctx, draw)
		began := time.Now()
		// A gateway that cannot reach Redis goes on with what it knows: that is documented.
		f.retirements.RLock()
		if f.quiet.since(began) {
			f.retirements.RUnlock()
			continue
		}
		g := f.gateways[f.gateway(draw)]
		err := f.retire(ctx, l, g, n%3)
		f.retirements.RUnlock()
		if err != nil && !f.quiet.since(began) && !g.reloading.since(began) { // which opens the admin endpoint anew, too
			f.count("failed", err)
		} else if err != nil { // whatever came of it
			l.mu.Lock()
			l.over[l.secret], l.over[l.old] = time.Now(), time.Now()
			l.id, l.old = fmt.Sprintf("life-%d-%d", i, n), ""
			l.mu.Unlock()
			f.again(ctx, func() error { return f.createLife(l, f.gateways[0]) })
		}
	}
}

// again tries until it succeeds.
func (f *fleet) again(ctx context.Context, try func() error) {
	for try() != nil && ctx.Err() == nil {
		time.Sleep(200 * time.Millisecond)
	}
}

func (f *fleet) retire(ctx context.Context, l *life, g *gateway, how int) error {
	l.mu.Lock()
	first := l.secret
	rotate := "/chat_identity/widgets/" + l.id + "/rotate"
	l.mu.Unlock()
	began := func() { // from here on, requests may be signed too late
		l.mu.Lock()
		l.over[first], l.old = time.Now(), ""
		l.mu.Unlock()
	}
	replaced := func(next, old string) {
		l.mu.Lock()
		l.secret, l.old = next, old
		l.mu.Unlock()
	}
	gone := retirement{widget: l.id, secret: first}
	if session, _, err := f.session(0, l.id, first); err == nil {
		gone.session = session
	}
	switch how {
	case 0:
		began()
		next, err := g.secret("POST", rotate, "{}")
		if err != nil {
			return err
		}
		gone.how = "a rotation"
		replaced(next, "")
	case 1:
		next, err := g.secret("POST", rotate, `{"grace":"1h"}`)
		if err != nil {
			return err
		}
		replaced(next, first) // both verify
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
		began()
		gone.how = "the end of a grace"
		if err := g.change("POST", rotate, "application/json", strings.NewReader(`{"end_grace":true}`), nil); err != nil {
			return err
		}
	case 2:
		began()
		gone.how = "a deletion"
		if err := g.change("DELETE", "/chat_identity/widgets/"+l.id, "application/json", nil, nil); err != nil {
			return err
		}
	}
	gone.at = time.Now()
	for i := range 6 {
		if f.gateways[i%2].up.Load() {
			f.tooLate(gone, i%2)
		}
	}
	f.mu.Lock()
	f.retired = append(f.retired, gone)
	f.mu.Unlock()
	f.count("retirements", nil)
	if how == 2 {
		return f.createLife(l, g)
	}
	return nil
}

// honestLife sends a request of a widget whose secret is replaced all the time. One that was
// signed before its secret was retired, and was late, is none that was refused.
func (f *fleet) honestLife(ctx context.Context, draw *random.Rand) {
	l := f.lives[draw.IntN(len(f.lives))]
	l.mu.Lock()
	id, secret := l.id, l.secret
	if l.old != "" && draw.IntN(2) == 0 {
		secret = l.old
	}
	l.mu.Unlock()
	r := f.message(id, secret).at(f.gateway(draw))
	began := time.Now()
	a, err := f.ask(r)
	switch {
	case err == nil && a.Status == 200 && a.User == r.user:
		f.took("rotated", time.Since(began))
	case !l.retiring(secret).IsZero():
		f.count("overtaken", nil)
	case err != nil && f.broken(r.gateway, began):
	case err == nil && a.Status == 503 && f.away.since(began):
		f.count("again", nil)
	default:
		f.count("refused", fmt.Errorf("a message of %s at gateway %d: %+v, %v", id, r.gateway, a, err))
	}
}
