package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
)

// signer is the key of the gateway of these tests, and keySite where it is published.
var signer = sync.OnceValue(func() jose.JSONWebKey {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: "test", Algorithm: string(jose.ES256)}
})

var keySite = sync.OnceValue(func() string {
	key := signer()
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	})).URL
})

func testBackend() http.Handler { return newBackend(testSecrets, keySite()) }

// assert signs what a gateway's headers say.
func assert(t *testing.T, header http.Header) string {
	t.Helper()
	user, err := url.PathUnescape(header.Get("X-Verified-User"))
	if err != nil {
		t.Fatal(err)
	}
	sign, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: signer()}, new(jose.SignerOptions).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(sign).Claims(guard.Assertion{
		Claims:  jwt.Claims{Issuer: "chat-identity", Audience: jwt.Audience{"quickstart"}, Subject: user, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))},
		Outcome: header.Get("X-Identity-Outcome"), Reason: header.Get("X-Identity-Reason"), Widget: header.Get("X-Verified-Widget"),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestPastTheGateway: the headers alone make nobody a user, also where the gateway is off.
func TestPastTheGateway(t *testing.T) {
	h := testBackend()
	ask := func(header http.Header) (int, map[string]any) {
		r := httptest.NewRequest("POST", "/chat/messages", strings.NewReader(`{"conversation":"c1","visitor":"`+visitorA+`","text":"hi"}`))
		r.Header = header
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return w.Code, answer
	}
	for name, header := range map[string]http.Header{
		"a user": from("w", "a"), "a visitor": anonymous(), "nothing": {},
		"another assertion": with(from("w", "a"), "X-Verified-Assertion", "x.y.z"), "one beside a gateway that is off": {"X-Identity-Outcome": {"disabled"}, "X-Verified-Assertion": {"x.y.z"}},
	} {
		if status, answer := ask(header); status != http.StatusUnauthorized || answer["code"] != "no_assertion" {
			t.Errorf("%s: answered %d %v", name, status, answer)
		}
	}
	status, answer := ask(with(from("w", "a"), "X-Identity-Outcome", "disabled"))
	if got := answer["received"].(map[string]any); status != http.StatusOK || got["outcome"] != "disabled" || got["user"] != nil || got["widget"] != nil {
		t.Errorf("with the gateway off: answered %d %v", status, answer)
	}
	away := newBackend(testSecrets, "http://127.0.0.1:1")
	if status, answer, _ := call(t, away, "POST", "/calls", `{}`, from(callsWidget, "usr_ada")); status != http.StatusServiceUnavailable || answer["code"] != "unavailable" {
		t.Errorf("without keys: answered %d %v", status, answer)
	}
}
