package dashboard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// signer is what a server's template is filled with: the names of the fields in what it
// returns, and how they are signed. A field without a name is not sent.
type signer struct {
	UserID, Email, Nonce, Timestamp, Signature string

	Message     string // the language's expression for what is signed
	Encoding    string
	Millis      bool // of the timestamp
	NonceLength int
	NonceBytes  int // of which that many hexadecimal digits are made
}

// languages are those of the samples, with their names for what is signed.
var languages = []struct {
	keyword, title, join string
	variables            map[string]string
	quote                func(string) string
}{
	{"node", "Node.js", " + ", map[string]string{"user_id": "id", "email": "email", "nonce": "nonce", "timestamp": "timestamp"}, quote},
	{"python", "Python", " + ", map[string]string{"user_id": "user_id", "email": "email", "nonce": "nonce", "timestamp": "timestamp"}, jsonQuote},
	{"php", "PHP", " . ", map[string]string{"user_id": "$id", "email": "$email", "nonce": "$nonce", "timestamp": "$timestamp"}, phpQuote},
	{"ruby", "Ruby", " + ", map[string]string{"user_id": "id", "email": "email", "nonce": "nonce", "timestamp": "timestamp"}, rubyQuote},
	{"go", "Go", " + ", map[string]string{"user_id": "userID", "email": "email", "nonce": "nonce", "timestamp": "timestamp"}, jsonQuote},
}

// phpQuote and rubyQuote escape what begins a variable in a string.
func phpQuote(text string) string  { return strings.ReplaceAll(jsonQuote(text), "$", `\$`) }
func rubyQuote(text string) string { return strings.ReplaceAll(jsonQuote(text), "#", `\#`) }

// signed returns the fields of the site's claims that a server returns, the signature last.
func (s *Site) signed() []verifier.Field {
	fields := []verifier.Field{verifier.UserID}
	for _, field := range []verifier.Field{verifier.Email, verifier.Nonce, verifier.Timestamp} {
		if strings.Contains(s.Dialect.Message, "{"+field.String()+"}") {
			fields = append(fields, field)
		}
	}
	return append(fields, verifier.Signature)
}

// signer returns what the servers' templates have in common.
func (s *Site) signer() *signer {
	n := cmp.Or(s.Dialect.NonceLength, 32)
	to := &signer{Encoding: cmp.Or(s.Dialect.Encoding, "hex"), Millis: s.Dialect.Unit == time.Millisecond, NonceLength: n, NonceBytes: (n + 1) / 2}
	for field, name := range map[verifier.Field]*string{
		verifier.UserID: &to.UserID, verifier.Email: &to.Email, verifier.Nonce: &to.Nonce, verifier.Timestamp: &to.Timestamp, verifier.Signature: &to.Signature,
	} {
		if slices.Contains(s.signed(), field) {
			*name = s.key(field)
		}
	}
	return to
}

// expression returns a message's template as an expression of a language.
func expression(message, join string, variables map[string]string, quote func(string) string) string {
	var parts []string
	for rest := message; rest != ""; {
		literal, after, found := strings.Cut(rest, "{")
		if literal != "" {
			parts = append(parts, quote(literal))
		}
		if !found {
			break
		}
		field, behind, _ := strings.Cut(after, "}")
		parts = append(parts, cmp.Or(variables[field], fmt.Sprintf("{%s}", field)))
		rest = behind
	}
	return strings.Join(parts, join)
}
