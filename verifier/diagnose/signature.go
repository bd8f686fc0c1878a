package diagnose

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// The encodings of [verifier.Dialect].
const (
	inHex       = "hex"
	inBase64    = "base64"
	inBase64URL = "base64url"
)

// minDigest is the shortest piece of a digest that is taken for one, in bytes:
// 64 bits are met by chance in none of a few thousand digests.
const minDigest = 8

// parsedSignature is a signature's digest, without what was written around it.
type parsedSignature struct {
	text       []byte // lower-case hex digits, or characters of base64 without padding
	hex        bool
	deviations []deviation
}

func (w *parsedSignature) encodedLen(size int) int {
	if w.hex {
		return hex.EncodedLen(size)
	}
	return base64.RawStdEncoding.EncodedLen(size)
}

// is reports whether the digest is what was written, or begins with it.
func (w *parsedSignature) is(sum []byte) bool {
	encoded := make([]byte, w.encodedLen(len(sum)))
	if w.hex {
		hex.Encode(encoded, sum)
	} else {
		base64.RawStdEncoding.Encode(encoded, sum)
	}
	return len(w.text) >= w.encodedLen(minDigest) && len(w.text) <= len(encoded) &&
		subtle.ConstantTimeCompare(encoded[:len(w.text)], w.text) == 1
}

var (
	signatureBlanks   = deviation{"signature_blanks", "spaces or a newline were sent around the digest", "send the digest alone"}
	signatureQuoted   = deviation{"signature_quoted", "quotation marks were sent around the digest", "send the digest alone"}
	signaturePrefixed = deviation{"signature_prefixed", "the name of the algorithm was sent before the digest", "send the digest alone"}
	signatureDashes   = deviation{"signature_separated", "dashes, colons or spaces were written between the digest's bytes", "write its digits without anything between them"}
	signatureWrapped  = deviation{"signature_wrapped", "the digest was broken into lines", "send the digest on one line"}
	signatureEscaped  = deviation{"signature_url_encoded", "the digest was percent-encoded once too often", "encode it once, where it becomes part of a URL"}
	signaturePluses   = deviation{"signature_plus_lost", "the plus signs of the digest became spaces on the way", "percent-encode them as %2B in URLs and forms"}
	signaturePadding  = deviation{"signature_padding", "the padding was left off the digest", "keep the = at its end"}
	signatureHexInB64 = deviation{"signature_hex_in_base64", "the digest's hex digits were encoded once more, in base64", "encode the digest's bytes once"}
)

var signaturePrefixes = []string{
	"hmac-sha256=", "hmac-sha256:", "hmac-sha256 ", "hmacsha256=", "hmac ", "sha-256=", "sha-256:", "sha256=", "sha256:", "sha256 ",
	"sha1=", "sha512=", "sha512:", "hmac=", "hash=", "signature=", "v1=", "0x",
}

// parseSignature finds the digest in what was sent, and notes what else was.
func (p *format) parseSignature(signature []byte) (parsedSignature, bool) {
	w := parsedSignature{}
	text := string(signature)
	note := func(changed string, s deviation) {
		if changed != text && changed != "" {
			text, w.deviations = changed, append(w.deviations, s)
		}
	}
	note(strings.TrimSpace(text), signatureBlanks)
	if strings.Contains(text, "%") {
		if unescaped, err := url.PathUnescape(text); err == nil {
			note(unescaped, signatureEscaped)
		}
	}
	note(strings.Trim(text, "\"'`\\"), signatureQuoted)
	for _, prefix := range signaturePrefixes {
		if len(text) > len(prefix) && strings.EqualFold(text[:len(prefix)], prefix) {
			note(strings.TrimSpace(text[len(prefix):]), signaturePrefixed)
			break
		}
	}
	note(strings.NewReplacer("\r", "", "\n", "").Replace(text), signatureWrapped)
	if joined, ok := joinBytes(text); ok {
		note(joined, signatureDashes)
	}
	if isHex(text) {
		w.hex, w.text = true, bytes.ToLower([]byte(text))
		if p.encoding != inHex {
			w.deviations = append(w.deviations, p.otherEncoding("hex"))
		}
		return w, true
	}
	note(strings.ReplaceAll(text, " ", "+"), signaturePluses)
	return w, p.readBase64(text, &w)
}

// readBase64 takes the digest as base64 of either alphabet, padded or not.
func (p *format) readBase64(text string, w *parsedSignature) bool {
	bare := strings.TrimRight(text, "=")
	standard, forURLs := strings.ContainsAny(bare, "+/"), strings.ContainsAny(bare, "-_")
	bare = strings.NewReplacer("-", "+", "_", "/").Replace(bare)
	decoded, err := base64.RawStdEncoding.DecodeString(bare)
	if err != nil && !wouldDecode(bare) {
		return false
	}
	if isHex(string(decoded)) {
		w.hex, w.text = true, bytes.ToLower(decoded)
		w.deviations = append(w.deviations, signatureHexInB64)
		return true
	}
	w.text = []byte(bare)
	padded := len(bare) != len(text) || len(bare)%4 == 0
	switch {
	case p.encoding != inBase64 && (standard || p.encoding == inHex && padded && !forURLs):
		w.deviations = append(w.deviations, p.otherEncoding("base64"))
	case p.encoding != inBase64URL && (forURLs || p.encoding == inHex):
		w.deviations = append(w.deviations, p.otherEncoding("base64url"))
	case p.encoding == inBase64 && !padded:
		w.deviations = append(w.deviations, signaturePadding)
	}
	return true
}

// wouldDecode reports whether a text that is no whole base64 is the beginning
// of one.
func wouldDecode(bare string) bool {
	_, err := base64.RawStdEncoding.DecodeString(bare[:len(bare)&^3])
	return err == nil
}

func (p *format) otherEncoding(name string) deviation {
	return deviation{"encoding_" + name, "the digest was written in " + name, map[string]string{
		inHex:       "write the digest as 64 hex digits",
		inBase64:    "write the digest in base64, padding included",
		inBase64URL: "write the digest in base64url",
	}[p.encoding]}
}

func isHex(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i] | 0x20
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') || text[i] < '0' {
			return false
		}
	}
	return len(text) >= hex.EncodedLen(minDigest)
}

// joinBytes joins hex digits that are written byte by byte, as 0a-1b or 0A:1B.
func joinBytes(text string) (string, bool) {
	if len(text) < 3*minDigest-1 || len(text)%3 != 2 || !strings.ContainsRune("-: ", rune(text[2])) {
		return "", false
	}
	joined := strings.ReplaceAll(text, text[2:3], "")
	return joined, isHex(joined) && 3*len(joined) == 2*(len(text)+1)
}

var (
	secretSent = deviation{"secret_sent", "the secret itself was sent as the signature, so that every visitor can read it",
		"replace the secret, and send the HMAC that a server makes with it"}
	idSent = deviation{"user_id_sent", "the user id was sent as the signature",
		"send the HMAC that a server makes of it"}
	tokenSent = deviation{"token_sent", "a JSON Web Token was sent as the signature",
		"send the HMAC of the message alone"}
	signatureMissing = deviation{"signature_placeholder", "the signature is a word that a program writes for a value that it has not got",
		"wait for the server's answer, and check that it holds the digest"}
)

var placeholders = map[string]bool{
	"undefined": true, "null": true, "None": true, "nil": true, "NaN": true, "true": true, "false": true,
	"[object Promise]": true, "[object Object]": true, "[object ArrayBuffer]": true,
}

// shapeDeviation recognises what was sent in place of a digest.
func shapeDeviation(c *claim, secrets, previous []verifier.Secret) (deviation, bool) {
	signature := c[verifier.Signature]
	for _, list := range [][]verifier.Secret{secrets, previous} {
		for _, s := range list {
			if text := s.Reveal(); text != "" && subtle.ConstantTimeCompare(signature, []byte(text)) == 1 {
				return secretSent, true
			}
		}
	}
	switch {
	case bytes.Equal(signature, c[verifier.UserID]):
		return idSent, true
	case bytes.HasPrefix(signature, []byte("eyJ")) && bytes.Count(signature, []byte(".")) == 2:
		return tokenSent, true
	case placeholders[string(signature)]:
		return signatureMissing, true
	}
	return deviation{}, false
}
