package verifier

import "crypto/fips140"

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

// Diagnose says which usual mistake gives the claim's signature, or returns
// false where none does, or none was made. The document is the JSON text that
// the claim was found in, where there is one; previous are secrets that are no
// longer valid.
//
// It is for the diagnosis of a claim that did not verify, not for the hot path:
// it computes up to 3,000 digests, which takes a millisecond or two. Nothing
// follows from its answer but words.
func (p *Policy) Diagnose(c *Claim, document []byte, secrets, previous []Secret) (Mistake, bool) {
	if !diagnosable(c) {
		return Mistake{}, false
	}
	var slips []slip
	// Nothing is protected by these digests, so that those which FIPS 140-3
	// leaves out, and keys too short for it, may be named like any other mistake.
	fips140.WithoutEnforcement(func() {
		slips = p.diagnose(new(digester), c, document, first(secrets), first(previous))
	})
	if len(slips) == 0 {
		return Mistake{}, false
	}
	return compose(slips), true
}

func first(secrets []Secret) []Secret { return secrets[:min(len(secrets), maxSecrets)] }

// diagnosable reports whether there is a claim at all, and one within bounds.
func diagnosable(c *Claim) bool {
	for _, f := range [...]Field{UserID, Timestamp, Nonce} {
		if !withinDiagnosis(c[f]) {
			return false
		}
	}
	return len(c[UserID]) > 0 && len(c[Signature]) > 0 && len(c[Signature]) <= maxSignature
}

// diagnose returns what was done differently, nothing where that is unknown.
func (p *Policy) diagnose(d *digester, c *Claim, document []byte, secrets, previous []Secret) []slip {
	if s, ok := shapeSlip(c, secrets, previous); ok {
		return []slip{s}
	}
	w, ok := p.readWritten(c[Signature])
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
		s := search{digester: d, algorithm: a, written: w}
		if slips, found := s.run(keys, messages); found {
			return slips
		}
	}
	return nil
}

var previousSecret = slip{"previous_secret", "a secret was used that is no longer valid", "sign with the current secret"}

// search looks for the digest of one algorithm.
type search struct {
	*digester
	algorithm algorithm
	written   written
}

// run tries each deviation by itself, under every secret, and then pairs of
// them under the first secret. It returns true with no slips for a signature
// that is right.
func (s *search) run(keys [][]variant, messages []variant) ([]slip, bool) {
	for _, k := range keys {
		if slips, found := s.try(&recipes[0], &k[0], &messages[0]); found {
			return slips, true
		}
	}
	for _, k := range keys {
		if slips, found := s.singles(k, messages); found {
			return slips, true
		}
	}
	if len(keys) == 0 || s.algorithm.cut {
		return nil, false
	}
	return s.pairs(keys[0], messages)
}

func (s *search) singles(keys, messages []variant) ([]slip, bool) {
	for i := range keys {
		if slips, found := s.try(&recipes[0], &keys[i], &messages[0]); found {
			return slips, true
		}
	}
	for i := range recipes {
		if slips, found := s.try(&recipes[i], &keys[0], &messages[0]); found {
			return slips, true
		}
	}
	for i := range messages {
		if slips, found := s.try(&recipes[0], &keys[0], &messages[i]); found {
			return slips, true
		}
	}
	return nil, false
}

func (s *search) pairs(keys, messages []variant) ([]slip, bool) {
	for i := range keys {
		if !keys[i].usual {
			continue
		}
		for j := range recipes {
			if slips, found := s.try(&recipes[j], &keys[i], &messages[0]); found {
				return slips, true
			}
		}
		for j := range messages {
			if !messages[j].usual {
				continue
			}
			if slips, found := s.try(&recipes[0], &keys[i], &messages[j]); found {
				return slips, true
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
			if slips, found := s.try(&recipes[i], &keys[0], &messages[j]); found {
				return slips, true
			}
		}
	}
	return nil, false
}

// try computes one digest, and returns all that was done differently if it is
// the one that was sent.
func (s *search) try(r *recipe, key, message *variant) ([]slip, bool) {
	if s.count+r.cost > maxDigests {
		return nil, false
	}
	s.hash = s.algorithm.hash
	if !s.written.is(r.digest(s.digester, key.text, message.text)) {
		return nil, false
	}
	var slips []slip
	for _, some := range [][]slip{message.slips, key.slips, r.slips, s.algorithm.slips, s.written.slips} {
		slips = append(slips, some...)
	}
	return slips, true
}
