package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// signer is a dialect as the signers of examples/signing take it: templates of what is
// signed and of what the server returns, with the fields in braces.
type signer struct {
	Message     string `json:"message,omitempty"`
	NonceLength int    `json:"nonce_length,omitempty"`
	Encoding    string `json:"encoding,omitempty"`
	KeyEncoding string `json:"key_encoding,omitempty"` // "" for text
	// Algorithm and Payload are those of a token.
	Algorithm string         `json:"algorithm,omitempty"`
	Payload   map[string]any `json:"payload,omitempty"`
	Claim     map[string]any `json:"claim"`
}

// signer returns what the site's server signs. A member of the payload or the claim is
// named by a JSON Pointer's tokens.
func (s *Site) signer() *signer {
	to := &signer{KeyEncoding: strings.TrimSuffix(s.Dialect.KeyEncoding, "text"), Claim: make(map[string]any)}
	for _, field := range s.signed() {
		put(to.Claim, s.names(field), "{"+field.String()+"}")
	}
	if !s.byToken() {
		to.Message, to.Encoding = s.Dialect.Message, cmp.Or(s.Dialect.Encoding, "hex")
		if s.signs(verifier.Nonce) {
			to.NonceLength = cmp.Or(s.Dialect.NonceLength, 32)
		}
		if s.signs(verifier.Timestamp) && s.Dialect.Unit == time.Millisecond {
			to.Message = strings.ReplaceAll(to.Message, "{timestamp}", "{milliseconds}")
			put(to.Claim, s.names(verifier.Timestamp), "{milliseconds}")
		}
		return to
	}
	rules := &s.Dialect.Token
	to.Algorithm, to.Payload = s.algorithm(), make(map[string]any)
	for pointer, value := range map[string]string{
		append(slices.Clone(rules.UserID), "/sub")[0]: "{user_id}", rules.Email: "{email}", rules.Name: "{name}", rules.Phone: "{phone}", rules.Company: "{company}",
	} {
		if pointer != "" {
			put(to.Payload, tokens(pointer), value)
		}
	}
	for pointer, values := range rules.Require {
		put(to.Payload, tokens(pointer), values[0])
	}
	return to
}

// put puts a value into objects within each other.
func put(into map[string]any, names []string, value string) {
	last := len(names) - 1
	for _, name := range names[:last] {
		within, is := into[name].(map[string]any)
		if !is {
			within = make(map[string]any)
			into[name] = within
		}
		into = within
	}
	into[names[last]] = value
}

// signs reports whether the field is in the signed message.
func (s *Site) signs(field verifier.Field) bool {
	return strings.Contains(s.Dialect.Message, "{"+field.String()+"}")
}

// signed returns the fields of the site's claims that a server returns, the signature last.
func (s *Site) signed() []verifier.Field {
	if s.byToken() {
		return []verifier.Field{verifier.TokenField}
	}
	var fields []verifier.Field
	for _, field := range []verifier.Field{verifier.UserID, verifier.Email, verifier.Nonce, verifier.Timestamp} {
		if s.signs(field) {
			fields = append(fields, field)
		}
	}
	return append(fields, verifier.Signature)
}

// byToken reports whether the proof that is shown is a token.
func (s *Site) byToken() bool {
	return s.Dialect.TakesToken() && (s.Dialect.Message == "" || s.Dialect.Proof == "token")
}

func (s *Site) algorithm() string {
	return append(slices.Clone(s.Dialect.Token.Algorithms), "HS256")[0]
}
