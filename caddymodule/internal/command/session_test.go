package command

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// TestExplainSession: a session is told from a claim, however it is passed.
func TestExplainSession(t *testing.T) {
	session := func(expires time.Time) string {
		signed := binary.BigEndian.AppendUint64([]byte{0}, uint64(expires.UnixMilli()))
		return "shop~" + base64.RawURLEncoding.EncodeToString(append(append(signed, make([]byte, 8)...), "ada"+strings.Repeat("m", 32)...))
	}
	live, over := session(time.Now().Add(time.Hour)), session(time.Now().Add(-time.Hour))
	for _, c := range []struct{ name, in, want string }{
		{"alone", live + "\n", "a session of widget shop, which expires at "},
		{"over", over, "a session of widget shop, which expired at "},
		{"in its header", "X-Chat-Session: " + live, "which expires at "},
		{"in a URL", "https://chat.example.com/ws?chat_session=" + live, "which expires at "},
		{"of identify", `{"verified":true,"user":{"id":"ada"},"session":{"token":"` + live + `","expires_in":3600}}`, "which expires at "},
	} {
		got, text := explained(t, run{secret: commandSecret, in: c.in})
		if got.Verified || got.Reason != "missing" || got.Mistake.ID != "session" || !strings.Contains(got.Mistake.Text, c.want) || !strings.Contains(text, "only a session") {
			t.Errorf("%s: %+v\n%s", c.name, got, text)
		}
	}
	for name, in := range map[string]string{"too short": "shop~AAAA", "not one spelling": live[:len(live)-1] + "_", "garbage": "shop~" + strings.Repeat("z", 80)} {
		if got, text := explained(t, run{secret: commandSecret, in: in}); got.Mistake.ID == "session" {
			t.Errorf("%s: %s", name, text)
		}
	}
	// A claim beside a session is explained as ever.
	if got, text := explained(t, run{secret: commandSecret, in: `{"user_id":"ada","user_hash":"00","chat_session":"` + live + `"}`}); got.Reason != "invalid" {
		t.Errorf("beside a claim: %s", text)
	}
}
