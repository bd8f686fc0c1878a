// Package diagnose names the mistake behind a signature that does not verify: the
// e-mail address signed instead of the user id, a secret with a newline after it,
// base64 for hex, and some hundred more.
package diagnose

import (
	"crypto/fips140"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Bounds of a diagnosis, since the claim comes from whoever sent it.
const (
	// maxDigests is how many digests one diagnosis computes at most, MACs and
	// plain hashes together. With one secret, a message of one field takes about
	// 800 and one of three fields about 1,200.
	maxDigests = 3000
	// maxDiagnosed is the longest field that is looked at, in characters.
	maxDiagnosed = 512
	// maxSignature is the longest signature that is looked at, in bytes.
	maxSignature = 1024
	// maxDocument is the largest JSON text that is looked at, in bytes.
	maxDocument = 64 << 10
	// maxRewritten is the largest JSON text that is written anew in every way.
	maxRewritten = 8 << 10
	// maxSecrets is how many current and how many previous secrets are tried.
	maxSecrets = 4
)

// Claim says which usual mistake gives the signature of a claim that v did not
// verify, or returns false where none does, or none was made. The document is the
// JSON text that the claim was found in, where there is one; previous are secrets
// that are no longer valid.
//
// It is not for the hot path: it computes up to 3,000 digests, which takes a
// millisecond or two. Nothing follows from its answer but words.
func Claim(v *verifier.Verifier, r *verifier.Reading, document []byte, secrets, previous []verifier.Secret) (Mistake, bool) {
	var c claim
	for f := range c {
		c[f] = r.Unverified(verifier.Field(f))
	}
	d := v.Dialect()
	return newFormat(d.Message, d.Encoding).find(&c, document, secrets, previous)
}

func (p *format) find(c *claim, document []byte, secrets, previous []verifier.Secret) (Mistake, bool) {
	if !diagnosable(c) {
		return Mistake{}, false
	}
	var deviations []deviation
	// Nothing is protected by these digests, so that those which FIPS 140-3
	// leaves out, and keys too short for it, may be named like any other mistake.
	fips140.WithoutEnforcement(func() {
		deviations = p.diagnose(new(digester), c, document, first(secrets), first(previous))
	})
	if len(deviations) == 0 {
		return Mistake{}, false
	}
	return compose(deviations), true
}

func first(secrets []verifier.Secret) []verifier.Secret {
	return secrets[:min(len(secrets), maxSecrets)]
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
func (p *format) diagnose(d *digester, c *claim, document []byte, secrets, previous []verifier.Secret) []deviation {
	if s, ok := shapeDeviation(c, secrets, previous); ok {
		return []deviation{s}
	}
	w, ok := p.parseSignature(c[verifier.Signature])
	if !ok {
		return nil
	}
	if len(document) > maxDocument {
		document = nil
	}
	var keys [][]variant
	for _, s := range secrets {
		keys = append(keys, keyVariants(s))
	}
	for _, s := range previous {
		keys = append(keys, keyVariants(s, previousSecret))
	}
	messages := p.messageVariants(c, document)
	for _, a := range w.algorithms() {
		s := search{digester: d, algorithm: a, signature: w}
		if deviations, found := s.run(keys, messages); found {
			return deviations
		}
	}
	return nil
}

var previousSecret = deviation{"previous_secret", "a secret was used that is no longer valid", "sign with the current secret"}

// search looks for the digest of one algorithm.
type search struct {
	*digester
	algorithm algorithm
	signature parsedSignature
}

// run tries each deviation by itself, under every secret, and then pairs of
// them under the first secret. It returns true with no deviations for a signature
// that is right.
func (s *search) run(keys [][]variant, messages []variant) ([]deviation, bool) {
	for _, k := range keys {
		if deviations, found := s.try(&recipes[0], &k[0], &messages[0]); found {
			return deviations, true
		}
	}
	for _, k := range keys {
		if deviations, found := s.singles(k, messages); found {
			return deviations, true
		}
	}
	if len(keys) == 0 || s.algorithm.cut {
		return nil, false
	}
	return s.pairs(keys[0], messages)
}

func (s *search) singles(keys, messages []variant) ([]deviation, bool) {
	for i := range keys {
		if deviations, found := s.try(&recipes[0], &keys[i], &messages[0]); found {
			return deviations, true
		}
	}
	for i := range recipes {
		if deviations, found := s.try(&recipes[i], &keys[0], &messages[0]); found {
			return deviations, true
		}
	}
	for i := range messages {
		if deviations, found := s.try(&recipes[0], &keys[0], &messages[i]); found {
			return deviations, true
		}
	}
	return nil, false
}

func (s *search) pairs(keys, messages []variant) ([]deviation, bool) {
	for i := range keys {
		if !keys[i].usual {
			continue
		}
		for j := range recipes {
			if deviations, found := s.try(&recipes[j], &keys[i], &messages[0]); found {
				return deviations, true
			}
		}
		for j := range messages {
			if !messages[j].usual {
				continue
			}
			if deviations, found := s.try(&recipes[0], &keys[i], &messages[j]); found {
				return deviations, true
			}
		}
	}
	for i := range recipes {
		if !recipes[i].usual {
			continue
		}
		for j := range messages {
			if !messages[j].usual {
				continue
			}
			if deviations, found := s.try(&recipes[i], &keys[0], &messages[j]); found {
				return deviations, true
			}
		}
	}
	return nil, false
}

// try computes one digest, and returns all that was done differently if it is
// the one that was sent.
func (s *search) try(r *recipe, key, message *variant) ([]deviation, bool) {
	if s.count+r.cost > maxDigests {
		return nil, false
	}
	s.hash = s.algorithm.hash
	if !s.signature.is(r.digest(s.digester, key.text, message.text)) {
		return nil, false
	}
	var deviations []deviation
	for _, some := range [][]deviation{message.deviations, key.deviations, r.deviations, s.algorithm.deviations, s.signature.deviations} {
		deviations = append(deviations, some...)
	}
	return deviations, true
}
