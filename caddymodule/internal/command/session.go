package command

import (
	"bytes"
	"regexp"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

var aSession = regexp.MustCompile(`[\w.-]+~[\w-]{66,}`)

// withoutSession returns the text without a session that is in it, which is no claim and
// would be taken for a token, and says what that is.
func withoutSession(text document, now time.Time) (rest document, session string) {
	at := aSession.FindIndex(text)
	if at == nil {
		return text, ""
	}
	widget, expires, ok := verifier.ReadSession(string(text[at[0]:at[1]]))
	if !ok {
		return text, ""
	}
	says := "expires"
	if !now.Before(expires) {
		says = "expired"
	}
	if rest = append(text[:at[0]:at[0]], text[at[1]:]...); len(bytes.TrimSpace(rest)) == 0 {
		rest = document("{}")
	}
	return rest, "This is a session of widget " + widget + ", which " + says + " at " + timeInWords(expires, now) +
		". Only its gateway can say whether it verifies, for it is bound to the rules of a handler: send it there in the header X-Chat-Session, or in the query parameter chat_session of a GET or a WebSocket."
}
