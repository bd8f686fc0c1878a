// Command go is a backend that believes nobody but its gateway.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/chatidentity/caddy-chat-identity/examples/backends/go/guard"
)

func main() {
	gateway := &guard.Guard{KeysURL: os.Getenv("KEYS_URL"), Issuer: "chat-identity", Audience: os.Getenv("AUDIENCE")}
	address := net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "127.0.0.1"), os.Getenv("PORT"))
	log.Fatal(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assertion, err := gateway.Read(r)
		switch {
		case errors.Is(err, guard.ErrRefused):
			answer(w, http.StatusUnauthorized, map[string]any{"error": err.Error()})
		case err != nil:
			answer(w, http.StatusServiceUnavailable, map[string]any{"error": "the keys of the gateway cannot be read"})
		default:
			answer(w, http.StatusOK, map[string]any{"user": assertion.User()})
		}
	})))
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
