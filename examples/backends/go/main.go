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
	gateway := &guard.Guard{KeysURL: need("KEYS_URL"), Issuer: cmp.Or(os.Getenv("ISSUER"), "chat-identity"), Audience: need("AUDIENCE")}
	address := net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "127.0.0.1"), need("PORT"))
	log.Fatal(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assertion, err := gateway.Read(r)
		if err != nil {
			log.Print(err)
		}
		switch {
		case errors.Is(err, guard.ErrRefused):
			answer(w, http.StatusUnauthorized, map[string]any{"error": guard.ErrRefused.Error()})
		case err != nil:
			answer(w, http.StatusServiceUnavailable, map[string]any{"error": "the keys of the gateway cannot be read"})
		default:
			answer(w, http.StatusOK, map[string]any{"user": assertion.User()})
		}
	})))
}

func need(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatal(name + " is not set: README.md says what it is")
	}
	return value
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
