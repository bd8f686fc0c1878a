package dashboard

import (
	"cmp"
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

// language is one of the samples.
type language struct {
	keyword, title string
	join           string // between strings
	sigil, userID  string // what variables begin with, and the user id's, which the others' names are
	quote          func(string) string
}

var languages = []language{
	{"node", "Node.js", " + ", "", "id", quote},
	{"python", "Python", " + ", "", "user_id", jsonQuote},
	{"php", "PHP", " . ", "$", "id", escaping("$")},
	{"ruby", "Ruby", " + ", "", "id", escaping("#")},
	{"go", "Go", " + ", "", "userID", jsonQuote},
}

// escaping returns a quote for a language in which that begins a variable in a string.
func escaping(variable string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(jsonQuote(text), variable, `\`+variable) }
}

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

// expression returns a message's template as an expression of the language.
func (l *language) expression(message string) string {
	var parts []string
	for message != "" {
		literal, after, _ := strings.Cut(message, "{")
		if literal != "" {
			parts = append(parts, l.quote(literal))
		}
		var field string
		if field, message, _ = strings.Cut(after, "}"); field == verifier.UserID.String() {
			field = l.userID
		}
		if field != "" {
			parts = append(parts, l.sigil+field)
		}
	}
	return strings.Join(parts, l.join)
}
