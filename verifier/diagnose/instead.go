package diagnose

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// pattern recognizes a deviation by what a text is.
type pattern struct {
	deviation
	is *regexp.Regexp
}

// recognize returns the first pattern that matches one of the texts.
func recognize(patterns []pattern, texts ...string) (deviation, bool) {
	for i := range patterns {
		if p := &patterns[i]; slices.ContainsFunc(texts, p.is.MatchString) {
			return p.deviation, true
		}
	}
	return deviation{}, false
}

// isSecret reports whether a secret was sent in place of what is made with it.
func (e *Evidence) isSecret(sent []byte) bool {
	return slices.ContainsFunc(slices.Concat(e.Secrets, e.Previous), func(s verifier.Secret) bool {
		text := s.Reveal()
		return text != "" && same(sent, []byte(text))
	})
}

// insteadOfDigest recognizes what else was sent in place of a digest.
func (p *format) insteadOfDigest(c *claim) (deviation, bool) {
	signature := string(c[verifier.Signature])
	if !strings.ContainsFunc(signature, func(r rune) bool { return !unicode.IsPrint(r) }) { // else it is bytes, not a text
		if sent, ok := recognize(sentInstead, signature); ok {
			return sent, true
		}
	}
	if signature == string(c[verifier.UserID]) {
		return deviation{"user_id_sent", "the " + p.subject + " was sent as the signature", "send the HMAC that a server makes of it"}, true
	}
	return deviation{}, false
}

var sentInstead = []pattern{
	{deviation{"token_sent", "a JSON Web Token was sent as the signature", "send the HMAC of the message alone"},
		regexp.MustCompile(`^eyJ[^.]*\.[^.]*\.[^.]*$`)},
	{deviation{"password_hash_sent", "a password hash, such as bcrypt's, was sent as the signature", "send the HMAC of the message, which another can compute as well, while a password hash has a salt"},
		regexp.MustCompile(`^(\$(2[abxy]?|argon2\w*|scrypt|s0|[156y]|apr1|pbkdf2[\w-]*)\$|pbkdf2[:_]|scrypt:|bcrypt|\{SSHA)`)},
	{deviation{"signature_placeholder", "the signature is what a program prints for a value that it does not have", "wait for the server's answer, and check that it holds the digest"},
		regexp.MustCompile(`^(undefined|null|None|nil|NaN|true|false|Array|Object|\[object \w+\])$`)},
	{deviation{"signature_object", "the signature is what a program prints for an object, and not the digest", "write the digest's bytes as a text, and send that"},
		regexp.MustCompile(`^(<Buffer.*|#?<[\w.:]+( object at|:| Digest)?.*\b0x[0-9a-f]+.*>|\[B@[0-9a-f]+|System\.Byte\[\]|Resource id #\d+|Hmac \{.*|function \w*\(.*)$`)},
	{deviation{"signature_placeholder", "the signature is a placeholder that nobody filled in", "send the HMAC that a server makes for the user"},
		regexp.MustCompile(`^([ -~]*(\{\{|[$#]\{|<[%?])[ -~]*|<[\w .-]+>|\{[\w .-]+\}|%[\w.-]+%|%\(\w+\)s|\$[A-Za-z_]\w*(->\w+)*|\.{3}|x{6,}|X{6,}|` +
			`(?i)[\[("']*([a-z]+[ _.-]+)*(hash|hmac|signature|digest|sig|token|secret|sha-?256)([ _.-]+[a-z]+)*([ _.-]?(here|string|value))?[\])"']*)$`)},
}
