// Package diagnose names the mistake behind a signature or token that does not verify: the
// e-mail address signed instead of the user id, a secret with a newline after it,
// base64 for hex, milliseconds in a token's exp, and some three hundred more.
package diagnose

import (
	"cmp"
	"crypto/fips140"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bounds of a diagnosis, since the claim comes from whoever sent it.
const (
	// maxDigests is how many digests one diagnosis computes at most, MACs and
	// plain hashes together. With one secret, a message of one field takes about
	// 1,200 and one of three fields about 1,700.
	maxDigests = 3000
	// maxDiagnosed is the longest field that is looked at, in characters.
	maxDiagnosed = 512
	// maxSignature is the longest signature that is looked at, in bytes.
	maxSignature = 1024
	// maxDocument is the largest document that is looked at, in bytes.
	maxDocument = 16 << 10
	// maxRewritten is the largest JSON text that is written anew.
	maxRewritten = 8 << 10
	// maxValues is how many other values of the document are tried.
	maxValues = 16
	// maxSecrets is how many current and how many previous secrets are tried.
	maxSecrets = 4
)

// Evidence is what is known about a claim besides its fields.
type Evidence struct {
	// Document is what the claim was found in: a JSON text, a form or a query.
	Document []byte
	// Widget is the widget's id, if it has one.
	Widget string
	// Secrets are those that verify, Previous those that no longer do.
	Secrets, Previous []verifier.Secret
	// Keys are those that verify tokens. What is signed with the private key of a public
	// one is diagnosed by them alone; without Secrets and Keys the signature of a token is
	// taken for right.
	Keys []*verifier.Key

	fields []docField // of the document
}

// Claim says which common mistake gives the signature or token of a claim that v did not
// verify, or returns false where none does, or none was made. A token is judged where the
// verifier judges one.
//
// It is not for the hot path: it computes up to 3,000 digests, which takes a
// millisecond or two. Nothing follows from its answer but words.
func Claim(v *verifier.Verifier, r *verifier.Reading, e Evidence) (m Mistake, ok bool) {
	d := v.Dialect()
	e.bound()
	e.Widget = cmp.Or(e.Widget, string(r.Unverified(verifier.Widget)))
	if text := r.Unverified(verifier.TokenField); len(text) > 0 && d.TakesToken() && d.Proof != "signature" {
		fips140.WithoutEnforcement(func() { m, ok = findToken(v, text, &e) }) // as [format.find]
		return m, ok
	}
	var c claim
	for f := range c {
		c[f] = r.Unverified(verifier.Field(f))
	}
	return ofDialect(&d).find(&c, e)
}

// bound leaves out what is not looked at.
func (e *Evidence) bound() {
	e.Secrets, e.Previous = e.Secrets[:min(len(e.Secrets), maxSecrets)], e.Previous[:min(len(e.Previous), maxSecrets)]
	if len(e.Document) > maxDocument {
		e.Document = nil
	}
}

func (p *format) find(c *claim, e Evidence) (Mistake, bool) {
	var deviations []deviation
	// Nothing is protected by these digests, so that those which FIPS 140-3
	// leaves out, and keys too short for it, may be named like any other mistake.
	fips140.WithoutEnforcement(func() { deviations = p.diagnose(new(digester), c, e) })
	if len(deviations) == 0 {
		return Mistake{}, false
	}
	return compose(deviations), true
}

// diagnosable reports whether there is a claim at all, and one within bounds.
func diagnosable(c *claim) bool {
	for _, f := range [...]verifier.Field{verifier.UserID, verifier.Timestamp, verifier.Nonce} {
		if !withinDiagnosis(c[f]) {
			return false
		}
	}
	return len(c[verifier.UserID]) > 0 && len(c[verifier.Signature]) > 0 && len(c[verifier.Signature]) <= maxSignature
}

// diagnose returns what was done differently, nothing where that is unknown.
func (p *format) diagnose(d *digester, c *claim, e Evidence) []deviation {
	if !diagnosable(c) {
		return nil
	}
	e.bound()
	if e.isSecret(c[verifier.Signature]) {
		return []deviation{{"secret_sent", "the secret itself was sent as the signature, so that every visitor can read it",
			"replace the secret, and send the HMAC that a server makes with it"}}
	}
	if w, ok := p.parseSignature(c[verifier.Signature]); ok {
		if done, ok := p.searchFor(&w, d, c, &e); ok {
			return done
		}
	}
	if sent, ok := p.insteadOfDigest(c); ok {
		return []deviation{sent}
	}
	return nil
}

// searchFor looks for the way in which a digest was made. It finds no deviations for a
// signature that is right.
func (p *format) searchFor(w *parsedSignature, d *digester, c *claim, e *Evidence) ([]deviation, bool) {
	e.Document = innermost(e.Document, string(c[verifier.Signature]))
	e.fields = fieldsOf(e.Document)
	keys := secretVariants(e, p.keyEncoding, others(c, e))
	messages := p.messageVariants(c, e)
	s := search{digester: d, signature: *w}
	for _, s.algorithm = range w.fitting(algorithms) {
		s.run(keys, messages)
	}
	return s.deviations, s.found
}

var previousSecret = deviation{"previous_secret", "a secret was used that is no longer valid", "sign with the current secret"}

// search looks for the digest, and goes on to the end where it has found it: a client that
// signs with the beginning of a secret, guessed, must not see by the time that it was right.
type search struct {
	*digester
	algorithm  algorithm
	signature  parsedSignature
	found      bool
	deviations []deviation // of the first digest that was found, none for a signature that is right
}

// run tries each deviation by itself, under every secret, and then pairs of
// them under the first secret.
func (s *search) run(keys [][]variant, messages []variant) {
	right, message := recipes[:1], messages[:1]
	for _, k := range keys {
		s.cross(right, k[:1], message)
	}
	for _, k := range keys {
		s.cross(right, k[1:], message)
		s.cross(recipes[1:], k[:1], message)
		s.cross(right, k[:1], messages[1:])
	}
	if len(keys) == 0 || s.algorithm.partly {
		return
	}
	key, otherKeys, otherMessages := keys[0][:1], common(keys[0]), common(messages)
	s.cross(recipes[1:], otherKeys, message)
	s.cross(right, otherKeys, otherMessages)
	s.cross(commonRecipes, key, otherMessages)
}

// cross tries each recipe with each key and each message.
func (s *search) cross(recipes []recipe, keys, messages []variant) {
	for i := range keys {
		for j := range recipes {
			for k := range messages {
				s.try(&recipes[j], &keys[i], &messages[k])
			}
		}
	}
}

// try computes one digest, and notes all that was done differently if it is the one
// that was sent.
func (s *search) try(r *recipe, key, message *variant) {
	if s.count+r.cost > maxDigests {
		return
	}
	s.hash = s.algorithm.hash
	written, ok := s.algorithm.matches(&s.signature, r.digest(s.digester, key.text, message.text))
	if !ok || s.found {
		return
	}
	s.found = true
	for _, some := range [][]deviation{message.deviations, key.deviations, r.deviations, s.algorithm.deviations, s.signature.deviations, written} {
		s.deviations = append(s.deviations, some...)
	}
}
