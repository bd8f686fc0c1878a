package command

import (
	"strings"
	"testing"
)

// TestHealthDown: a gateway that is down says why, and the exit status says that it is.
func TestHealthDown(t *testing.T) {
	const down = `{"status":"down","problems":["the store is away: look after it"]}`
	for answer, want := range map[string]struct{ out, errors string }{
		"503 " + down: {"down\n- the store is away: look after it\n", "Error: the gateway is down\n"},
		`503 {"error":"the running configuration has no chat_identity"}`: {"", "Error: the running configuration has no chat_identity\n"},
		"502 " + down:             {"", "answered with status 502"},
		`503 {"status":"closed"}`: {"", "did not answer like the chat_identity API"},
		`200 {"status":"fine"}`:   {"", "did not answer like the chat_identity API"},
		"503 busy":                {"", "did not answer like the chat_identity API"},
	} {
		s := startAdmin(t, "tcp", &adminServer{answers: map[string]string{"GET /chat_identity/health": answer}})
		out, errors, err := clientRun{}.client(t, "health", "--address", s.address)
		if err == nil || out != want.out || !strings.Contains(errors, want.errors) {
			t.Errorf("%s: %q, %q, %v", answer, out, errors, err)
		}
		out, errors, err = clientRun{}.client(t, "health", "--json", "--address", s.address)
		if err == nil || want.out != "" && (out != down+"\n" || errors != "") {
			t.Errorf("%s with --json: %q, %q, %v", answer, out, errors, err)
		}
	}
}
