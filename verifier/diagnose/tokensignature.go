package diagnose

import (
	"cmp"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/internal/jws"
)

const (
	signParts = "sign the encoded header and payload with the dot between them"
	// maxVerified is how many signatures of private keys one diagnosis checks: with the
	// slowest, of P-521, that takes some 50 ms.
	maxVerified = 24
	// maxUnnamed is how many keys of a set a token without a kid is tried with.
	maxUnnamed = 4
)

var otherKid = deviation{"other_kid", "the token's kid names another key than the one that signed it", "write the kid of the key that signs, or none"}

// signing returns what is wrong with algorithm, key and signature, and whether it is known
// how the signature was made. Without secrets and keys it is taken for right.
func (t *token) signing() (found []deviation, known bool) {
	name := string(t.jws.Algorithm)
	algorithm, err := jws.Lookup(name)
	allowed := slices.Contains(t.rules.Algorithms, name)
	if own, _ := jws.Lookup(t.rules.Algorithms[0]); !allowed {
		found = append(found, t.otherAlgorithm(algorithm, own))
		if err != nil || algorithm.Symmetric() != own.Symmetric() {
			if err == nil && algorithm.Symmetric() {
				found = append(found, t.publicAsSecret()...)
			}
			return found, true // there is no key for it
		}
	}
	public := t.publicKeys()
	switch {
	case algorithm.Symmetric() && len(t.evidence.Secrets) > 0:
		done, ok := t.bySecret(name)
		return append(found, done...), ok
	case !algorithm.Symmetric() && len(public) > 0:
		done, ok := t.byPublicKey(algorithm, public)
		return append(found, done...), ok
	}
	return found, true
}

// otherAlgorithm says that the header names an algorithm that is not the configuration's.
func (t *token) otherAlgorithm(named, own jws.Algorithm) deviation {
	use := "sign with " + t.algorithms()
	text := string(t.jws.Algorithm)
	right := slices.IndexFunc(t.rules.Algorithms, func(a string) bool { return strings.EqualFold(a, text) })
	switch {
	case strings.EqualFold(text, "none"):
		return deviation{"alg_none", "the token's header says none, so that nobody has signed it", use}
	case right >= 0:
		return deviation{"alg_spelling", "the header spells the algorithm in another way", "write " + t.rules.Algorithms[right]}
	case named.Name == "":
		return deviation{"alg_unknown", "the header names an algorithm that no token is signed with here", use}
	}
	did := "the token's header says " + named.Name + ", and the gateway takes " + t.algorithms()
	switch {
	case named.Symmetric() == own.Symmetric():
		return deviation{"alg_other", did, use + ", or name the other in the option algorithm"}
	case named.Symmetric():
		return deviation{"alg_secret", did + ", for which the widget has a public key", "sign with the private key"}
	case t.ofProvider():
		return deviation{"alg_provider", did + " and a secret, and the token looks like an identity provider's",
			"give the widget the provider's key set with jwks, and require its /iss and /aud, or sign a token of your own with the secret"}
	}
	return deviation{"alg_private", did + " and a secret", use + " and the secret, or give the widget the public key of the one that signs"}
}

// bySecret looks for the way in which a secret has signed the token. It finds no deviations
// for a signature that is right.
func (t *token) bySecret(name string) ([]deviation, bool) {
	p := &format{encoding: inBase64URL}
	w, ok := p.parseSignature([]byte(t.text[strings.LastIndexByte(t.text, '.')+1:]))
	if !ok {
		return nil, false
	}
	e, d := t.evidence, new(digester)
	s := search{digester: d, signature: w}
	keys := secretVariants(e, t.dialect.KeyEncoding, nil)
	for _, s.algorithm = range w.fitting(hmacs(name)) {
		s.run(keys, t.signed())
	}
	return s.deviations, s.found
}

// publicKeys returns those of the evidence's keys that are public.
func (t *token) publicKeys() (public []verifier.PublicKey) {
	for _, k := range t.evidence.Keys {
		if p, ok := k.Public(); ok {
			public = append(public, p)
		}
	}
	return public
}

// byPublicKey looks for the way in which a private key has signed the token: first for the
// key, then for what was done differently.
func (t *token) byPublicKey(named jws.Algorithm, public []verifier.PublicKey) ([]deviation, bool) {
	isSet := slices.ContainsFunc(public, func(k verifier.PublicKey) bool { return k.InSet })
	keys := slices.DeleteFunc(slices.Clone(public), func(k verifier.PublicKey) bool { return named.CheckKey(k.Key) != nil })
	if len(keys) == 0 {
		return []deviation{{"key_kind", "none of the widget's public keys is one for " + named.Name, "give the widget the public key of the one that signs"}}, true
	}
	// The one that the kid names, first.
	slices.SortStableFunc(keys, func(a, b verifier.PublicKey) int { return cmp.Compare(t.names(&b), t.names(&a)) })
	messages, signatures := t.signed(), t.signatures()
	var attempts []attempt
	for i := range keys[:min(len(keys), maxVerified/2)] {
		attempts = append(attempts, attempt{named, &keys[i], signatures[0], messages[0]})
	}
	for i := range keys {
		for _, s := range signatures[1:] {
			attempts = append(attempts, attempt{named, &keys[i], s, messages[0]})
		}
		for _, a := range otherAlgorithms(named) {
			attempts = append(attempts, attempt{a, &keys[i], signatures[0], messages[0]})
		}
		for _, m := range messages[1:] {
			attempts = append(attempts, attempt{named, &keys[i], signatures[0], m})
		}
	}
	for _, a := range attempts[:min(len(attempts), maxVerified)] {
		if !a.algorithm.Verify(a.key.Key, a.message.text, a.signature.bytes) {
			continue
		}
		found := slices.Concat(a.signature.deviations, a.message.deviations)
		if a.algorithm.Name != named.Name {
			found = append(found, signedBy(a.algorithm.Name, named.Name))
		}
		switch only := a.key.Algorithm; {
		case only != "" && only != named.Name:
			found = append(found, deviation{"key_alg", "the key that signed the token is published for another algorithm than " + named.Name,
				"publish it with that alg or with none, or sign by the one that it is for"})
		case !a.key.InSet:
		case t.jws.KeyID == nil && len(keys) > maxUnnamed:
			found = append(found, deviation{"no_kid", "the token has no kid, and the key set has more than 4 keys that it may be for", "write the kid of the key that signs"})
		case t.jws.KeyID != nil && t.names(a.key) == 0:
			found = append(found, otherKid)
		}
		return found, true
	}
	if isSet && t.jws.KeyID != nil && !t.namesKey() {
		return []deviation{{"unknown_kid", "the token's kid names none of the keys in the key set", "publish the key that signs, and write its kid"}}, true
	}
	return nil, false
}

// attempt is one signature to check.
type attempt struct {
	algorithm jws.Algorithm
	key       *verifier.PublicKey
	signature signature
	message   variant
}

// names returns 1 if the token's kid is the key's, else 0.
func (t *token) names(k *verifier.PublicKey) int {
	if k.ID != "" && k.ID == string(t.jws.KeyID) {
		return 1
	}
	return 0
}

func signedBy(name, header string) deviation {
	return deviation{"signed_" + strings.ToLower(name), "the token was signed with " + name + ", and its header says " + header, "sign with the algorithm that the header names"}
}

// namesKey reports whether the kid is that of a key.
func (t *token) namesKey() bool {
	return slices.ContainsFunc(t.evidence.Keys, func(k *verifier.Key) bool { return k.ID != "" && k.ID == string(t.jws.KeyID) })
}

// otherAlgorithms returns the others that a key of the named one serves.
func otherAlgorithms(named jws.Algorithm) (all []jws.Algorithm) {
	for _, name := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		if a, _ := jws.Lookup(name); a.SameKey(named) && name != named.Name {
			all = append(all, a)
		}
	}
	return all
}

// signature is what a signer may have meant by a token's third part.
type signature struct {
	bytes      []byte
	deviations []deviation
}

func (t *token) signatures() []signature {
	third := t.text[strings.LastIndexByte(t.text, '.')+1:]
	inBytes := "write its bytes in base64url"
	all := []signature{{t.jws.Signature, nil}}
	add := func(text []byte, deviations ...deviation) {
		if len(text) > 0 {
			all = append(all, signature{text, deviations})
		}
	}
	inHexText, _ := hex.DecodeString(third)
	add(inHexText, deviation{"encoding_hex", "the signature was written in hex", inBytes})
	for _, text := range append(fromBase64(string(t.jws.Signature)), fromHex(string(t.jws.Signature))...) {
		add([]byte(text), deviation{"signature_encoded_twice", "the signature's text was encoded once more", "encode its bytes once"})
	}
	for _, s := range all[:len(all):len(all)] {
		var numbers struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(s.bytes, &numbers); err != nil || len(rest) > 0 || numbers.R.Sign() < 0 || numbers.S.Sign() < 0 {
			continue
		}
		for _, size := range [...]int{32, 48, 66} {
			if max(numbers.R.BitLen(), numbers.S.BitLen()) <= 8*size {
				text := make([]byte, 2*size)
				numbers.R.FillBytes(text[:size])
				numbers.S.FillBytes(text[size:])
				add(text, append(s.deviations, deviation{"signature_der", "the ECDSA signature is in DER", "write its two numbers one after the other, as RFC 7518 has it (in Node: dsaEncoding 'ieee-p1363')"})...)
			}
		}
	}
	return all
}

// publicAsSecret recognizes a token that was signed with the text of a public key, which
// everybody has, as the secret of an HMAC.
func (t *token) publicAsSecret() []deviation {
	for _, k := range t.publicKeys() {
		for _, text := range publicTexts(k.Key) {
			if d := (&digester{hash: hmacs(string(t.jws.Algorithm))[0].hash}); same(d.hmac([]byte(text), t.jws.Signed), t.jws.Signature) {
				return []deviation{{"public_key_as_secret", "the public key's text was used as a secret, which everybody can do", "sign with the private key"}}
			}
		}
	}
	return nil
}
