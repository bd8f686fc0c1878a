// Package guard lets a backend believe nobody but its gateway.
package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// ErrRefused is that a request has no valid assertion. Any other error is that the keys
// could not be read, which says nothing about the request.
var ErrRefused = errors.New("this request has no valid assertion of the gateway")

// Guard reads the assertions of a gateway, for one backend.
type Guard struct {
	KeysURL, Issuer, Audience string

	mu   sync.Mutex
	keys jose.JSONWebKeySet
	read time.Time
}

// Assertion is what the gateway says about a request.
type Assertion struct {
	jwt.Claims
	Outcome    string         `json:"outcome"`
	Reason     string         `json:"reason"`
	Widget     string         `json:"widget"`
	Email      string         `json:"email"` // this and what follows only if a token signed it
	Name       string         `json:"name"`
	Attributes map[string]any `json:"attributes"`
}

// User returns the user, which is widget and id together, or nil for anybody else.
func (a *Assertion) User() []string {
	if a.Outcome != "verified" {
		return nil
	}
	return []string{a.Widget, a.Subject}
}

// Read reads a request's assertion.
func (g *Guard) Read(r *http.Request) (*Assertion, error) {
	token, err := jwt.ParseSigned(r.Header.Get("X-Verified-Assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	key, err := g.key(r.Context(), token.Headers[0].KeyID)
	if err != nil {
		return nil, err
	}
	var a Assertion
	expected := jwt.Expected{Issuer: g.Issuer, AnyAudience: jwt.Audience{g.Audience}}
	if err = token.Claims(key, &a); err == nil {
		err = a.ValidateWithLeeway(expected, 30*time.Second)
	}
	if err == nil && a.Expiry == nil {
		err = errors.New("it has no exp")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return &a, nil
}

// key returns a key of the set, which is kept for 5 minutes. One that is not there is looked
// for every 10 seconds at most.
func (g *Guard) key(ctx context.Context, id string) (*jose.JSONWebKey, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	keep := 10 * time.Second
	if len(g.keys.Key(id)) > 0 {
		keep = 5 * time.Minute
	}
	if time.Since(g.read) > keep {
		// Otherwise clients that hang up could have it read all the time.
		keys, err := fetch(context.WithoutCancel(ctx), g.KeysURL)
		if err != nil {
			return nil, fmt.Errorf("the keys of the gateway cannot be read: %w", err)
		}
		g.keys, g.read = keys, time.Now()
	}
	if keys := g.keys.Key(id); len(keys) > 0 {
		return &keys[0], nil
	}
	return nil, fmt.Errorf("%w: no key of the set has its kid", ErrRefused)
}

func fetch(ctx context.Context, url string) (keys jose.JSONWebKeySet, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return keys, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return keys, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return keys, errors.New(response.Status)
	}
	if err = json.NewDecoder(response.Body).Decode(&keys); err == nil && keys.Keys == nil {
		err = errors.New("there are none")
	}
	return keys, err
}
