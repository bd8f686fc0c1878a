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
	KeyEncoding string
	Key         string // the language's expression for the secret's key
	Millis      bool   // of the timestamp
	NonceLength int
	NonceBytes  int // of which that many hexadecimal digits are made
}

// language is one of the samples.
type language struct {
	keyword, title string
	join           string // between strings
	sigil, userID  string // what variables begin with, and the user id's, which the others' names are
	quote          func(string) string
	colon, object  string            // between a member's name and its value, and around members
	keys           map[string]string // a secret's key, by how the secret writes it
}

var languages = []language{
	{"node", "Node.js", " + ", "", "id", quote, ": ", "{ % }", map[string]string{
		"text": "secret", "hex": "Buffer.from(secret, 'hex')", "base64": "Buffer.from(secret, 'base64')", "base64url": "Buffer.from(secret, 'base64url')",
	}},
	{"python", "Python", " + ", "", "user_id", jsonQuote, ": ", "{%}", map[string]string{
		"text": "secret.encode()", "hex": "bytes.fromhex(secret)", "base64": `base64.b64decode(secret + "==")`, "base64url": `base64.urlsafe_b64decode(secret + "==")`,
	}},
	{"php", "PHP", " . ", "$", "id", escaping("$"), " => ", "[%]", map[string]string{
		"text": "$secret", "hex": "hex2bin($secret)", "base64": "base64_decode($secret)", "base64url": "base64_decode(strtr($secret, '-_', '+/'))",
	}},
	{"ruby", "Ruby", " + ", "", "id", escaping("#"), " => ", "{ % }", map[string]string{
		"text": "secret", "hex": `[secret].pack("H*")`, "base64": `secret.unpack1("m")`, "base64url": `secret.tr("-_", "+/").unpack1("m")`,
	}},
	{"go", "Go", " + ", "", "userID", jsonQuote, ": ", "map[string]any{%}", map[string]string{
		"hex": "hex.DecodeString(secret)", "base64": "base64.StdEncoding.DecodeString(secret)", "base64url": "base64.RawURLEncoding.DecodeString(secret)",
	}},
}

// escaping returns a quote for a language in which that begins a variable in a string.
func escaping(variable string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(jsonQuote(text), variable, `\`+variable) }
}

// signed returns the fields of the site's claims that a server returns, the signature last.
func (s *Site) signed() []verifier.Field {
	if s.byToken() {
		return []verifier.Field{verifier.TokenField}
	}
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
	to := &signer{KeyEncoding: cmp.Or(s.Dialect.KeyEncoding, "text"), Encoding: cmp.Or(s.Dialect.Encoding, "hex"), Millis: s.Dialect.Unit == time.Millisecond, NonceLength: n, NonceBytes: (n + 1) / 2}
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
