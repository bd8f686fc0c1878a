package verifier_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// chat is a small chat server: visitors post messages, and users see their own.
type chat struct {
	verifier *verifier.Verifier
	keys     []*verifier.Key // the current one, and during a rotation the former
	messages map[string][]string
}

func (c *chat) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages", c.post)
	mux.HandleFunc("GET /messages", c.list)
	return mux
}

// post takes a message with its claim in the JSON body.
func (c *chat) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	var reading verifier.Reading
	c.verifier.JSON(body, &reading)
	user, ok := c.user(w, &reading)
	if !ok {
		return
	}
	var message struct{ Message string }
	if json.Unmarshal(body, &message) != nil {
		http.Error(w, "the body is no JSON object", http.StatusBadRequest)
		return
	}
	c.messages[user] = append(c.messages[user], message.Message)
	w.WriteHeader(http.StatusNoContent)
}

// list returns a user's messages. A browser's GET has its claim in the query.
func (c *chat) list(w http.ResponseWriter, r *http.Request) {
	var reading verifier.Reading
	c.verifier.Query([]byte(r.URL.RawQuery), &reading)
	user, ok := c.user(w, &reading)
	if !ok {
		return
	}
	if user == "" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	_ = json.NewEncoder(w).Encode(c.messages[user])
}

// user returns who is there, "" for an anonymous visitor, or answers the request.
func (c *chat) user(w http.ResponseWriter, reading *verifier.Reading) (user string, ok bool) {
	identity, err := c.verifier.Verify(reading, c.keys...)
	switch {
	case err == nil:
		return identity.User(), true
	case errors.Is(err, verifier.ErrMissing):
		return "", true
	case errors.Is(err, verifier.ErrMalformed), errors.Is(err, verifier.ErrAmbiguous):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		http.Error(w, err.Error(), http.StatusForbidden)
	}
	return "", false
}

// A chat server. Its handlers read the claim as they read the rest of the request,
// and share one function that says who is there.
func Example_server() {
	server := &chat{
		verifier: mustVerifier("bookbag"),
		keys:     []*verifier.Key{exampleKey("an-example-secret-do-not-use"), exampleKey("the-former-secret-0123456789")},
		messages: map[string][]string{},
	}
	const hash = "9347386ef3c65a9b2612085c978055070d79e0a9632c63fff0f8dfde44cafdc7"
	do := func(method, target, body string) {
		w := httptest.NewRecorder()
		server.routes().ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
		fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body)))
	}
	do("POST", "/messages", `{"message":"hello","user_id":"user-123","user_hash":"`+hash+`"}`)
	do("POST", "/messages", `{"message":"anyone there?"}`)
	do("POST", "/messages", `{"message":"pay me","user_id":"victim","user_hash":"`+hash+`"}`)
	do("POST", "/messages", `{"message":"pay me","user_id":"user-123","user_hash":"`+hash+`","USER_ID":"victim"}`)
	do("GET", "/messages?user_id=user-123&user_hash="+hash, "")
	do("GET", "/messages", "")
	// Output:
	// 204
	// 204
	// 403 verifier: the signature does not match
	// 400 verifier: user_id appears more than once, in two spellings or with two values
	// 200 ["hello"]
	// 401 who are you?
}
