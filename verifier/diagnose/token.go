package diagnose

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/jws"
)

// token is a token that does not verify, and what is known about it.
type token struct {
	verifier *verifier.Verifier
	dialect  verifier.Dialect
	rules    verifier.Token
	evidence *Evidence

	sent    string   // as it was sent
	text    string   // without what was written around it
	spelled []string // as it was before each thing was removed
	jws     jws.Token
	// The members of header and payload, decoded, with numbers as they are written.
	header, claims map[string]any

	now    time.Time
	detail string // see [Mistake.Detail]
}

// findToken names the mistakes of a token. It goes in the order of the reasons: what is
// wrong with its form, then its algorithm, key and signature, then what it says. What it
// says counts only where it is known how the signature was made.
func findToken(v *verifier.Verifier, sent []byte, e *Evidence) (Mistake, bool) {
	d := v.Dialect()
	t := &token{verifier: v, dialect: d, rules: d.Token, evidence: e, sent: string(sent), now: d.Time()}
	if len(sent) > 2*jws.MaxLength {
		return Mistake{}, false
	}
	found, readable := t.repair()
	if readable {
		t.header, t.claims = t.object(0), t.object(1)
		form, only := t.form()
		if only {
			return compose(append(found, form...)), true
		}
		signed, known := t.signing()
		found = append(append(found, form...), signed...)
		if known {
			found = append(append(found, t.demands()...), t.freshness()...)
		}
		if known && len(found) == 0 && t.namesKey() {
			found = append(found, otherKid)
		}
	}
	if len(found) == 0 {
		return Mistake{}, false
	}
	m := compose(found)
	m.Detail = t.detail
	return m, true
}

// object returns the members of a segment, which [jws.Token.Read] has read, or none.
func (t *token) object(segment int) (members map[string]any) {
	text, err := unpadded.DecodeString(strings.Split(t.text, ".")[segment])
	if err != nil {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	_ = decoder.Decode(&members) // none, if it is no object
	return members
}

// at returns what a JSON Pointer (RFC 6901) of the configuration points to, nil for nothing.
func (t *token) at(pointer string) any {
	var value any = t.claims
	for name := range jsontext.Pointer(pointer).Tokens() {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// has returns those of the names that the payload has. Only names that are written in this
// package may be told: the others are the client's words.
func (t *token) has(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, ok := t.claims[name]
		return !ok
	})
}

// algorithms are the names of the algorithms that may have signed it.
func (t *token) algorithms() string { return strings.Join(t.rules.Algorithms, " or ") }

// verifies reports whether another dialect takes the token as one of its own.
func (t *token) verifies(d verifier.Dialect, keys []*verifier.Key) bool {
	d.Proof, d.Time = "token", t.dialect.Time
	v, err := d.Reader()
	if err != nil {
		return false
	}
	var r verifier.Reading
	r.Text(verifier.Place{Field: verifier.TokenField}, []byte(t.text))
	_, err = v.Verify(&r, keys...)
	return err == nil
}

// keys are those of the evidence. What [verifier.NewKey] makes of secrets serves every
// algorithm and dialect.
func (t *token) keys() []*verifier.Key {
	keys := slices.Clone(t.evidence.Keys)
	for _, s := range t.evidence.Secrets {
		if decoded, err := s.Decoded(t.dialect.KeyEncoding); err == nil {
			keys = append(keys, verifier.NewKey(decoded))
		}
	}
	return keys
}
