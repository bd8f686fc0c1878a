package diagnose

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"
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

// matches reports whether the digest is what was written, and how it was written if that
// is not as a whole.
func (a *algorithm) matches(w *parsedSignature, sum []byte) ([]deviation, bool) {
	encoded := make([]byte, w.encodedLen(len(sum)))
	if w.hex {
		hex.Encode(encoded, sum)
	} else {
		base64.RawStdEncoding.Encode(encoded, sum)
	}
	if !a.partly {
		return nil, same(encoded, w.text)
	}
	if n := len(w.text); n >= w.encodedLen(minDigest) && n < len(encoded) && same(encoded[:n], w.text) {
		return []deviation{{"digest_cut", "only the beginning of the digest was sent", "send the whole digest"}}, true
	}
	for i := range lossyHex {
		if l := &lossyHex[i]; w.hex && same([]byte(l.print(sum)), w.text) {
			return []deviation{l.deviation}, true
		}
	}
	return nil, false
}

// same compares in constant time: a diagnosis must not tell by how long it takes how much
// of a digest is right.
func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

const digestAlone = "send the digest alone"

// peelings are what is written around a digest, in the order in which it is removed.
var peelings = []struct {
	deviation
	peel func(text string) string // "" or the same if there is nothing to remove
}{
	{deviation{"signature_spaces", "spaces or a newline were sent around the digest", digestAlone}, strings.TrimSpace},
	{deviation{"signature_url_encoded", "the digest was percent-encoded once too often", "encode it once, where it becomes part of a URL"}, func(text string) string {
		plain, _ := url.PathUnescape(text)
		return plain
	}},
	{deviation{"signature_bytes_printed", "the digest was sent as a program prints bytes, not as a text of its digits", "decode its bytes to a text, or encode them"}, unprintBytes},
	{deviation{"signature_quoted", "quotation marks were sent around the digest", digestAlone}, func(text string) string { return strings.Trim(text, "\"'`\\") }},
	{deviation{"signature_prefixed", "the name of the algorithm was sent before the digest", digestAlone}, func(text string) string {
		return strings.TrimSpace(text[len(signaturePrefix.FindString(text)):])
	}},
	{deviation{"signature_wrapped", "the digest was broken into lines", "send the digest on one line"}, strings.NewReplacer("\r", "", "\n", "").Replace},
	{deviation{"signature_separated", "dashes, colons or spaces were written between the digest's bytes", "write its digits without anything between them"}, joinBytes},
	{deviation{"signature_encoded_twice", "the digest's digits were encoded once more", "encode the digest's bytes once"}, encodedTwice},
}

var signaturePrefix = regexp.MustCompile(`^(?i:(?:hmac[-_]?)?sha-?(?:1|256|512)[=: ]|hmac[= ]|(?:hash|signature|digest|v1)[=:]|0x)`)

// parseSignature finds the digest in what was sent, and notes what else was.
func (p *format) parseSignature(signature []byte) (w parsedSignature, ok bool) {
	text := string(signature)
	for i := range peelings {
		if peeled := peelings[i].peel(text); peeled != text && peeled != "" {
			text, w.deviations = peeled, append(w.deviations, peelings[i].deviation)
		}
	}
	if isHex(strings.TrimPrefix(text, "-")) {
		w.hex, w.text = true, bytes.ToLower([]byte(text))
		if p.encoding != inHex {
			w.deviations = append(w.deviations, p.otherEncoding("hex"))
		}
		return w, true
	}
	if joined := strings.ReplaceAll(text, " ", "+"); joined != text {
		text = joined
		w.deviations = append(w.deviations, deviation{"signature_plus_lost", "the plus signs of the digest became spaces on the way", "percent-encode them as %2B in URLs and forms"})
	}
	return w, p.readBase64(text, &w)
}

// readBase64 takes the digest as base64 of either alphabet, padded or not.
func (p *format) readBase64(text string, w *parsedSignature) bool {
	bare := strings.TrimRight(text, "=")
	standard, forURLs := strings.ContainsAny(bare, "+/"), strings.ContainsAny(bare, "-_")
	bare = strings.NewReplacer("-", "+", "_", "/").Replace(bare)
	if !wouldDecode(bare) {
		return false
	}
	w.text = []byte(bare)
	padded := len(bare) != len(text) || len(bare)%4 == 0
	switch {
	case p.encoding != inBase64 && (standard || p.encoding == inHex && padded && !forURLs):
		w.deviations = append(w.deviations, p.otherEncoding("base64"))
	case p.encoding != inBase64URL && (forURLs || p.encoding == inHex):
		w.deviations = append(w.deviations, p.otherEncoding("base64url"))
	case p.encoding == inBase64 && !padded:
		w.deviations = append(w.deviations, deviation{"signature_padding", "the padding was left off the digest", "keep the = at its end"})
	}
	return true
}

// wouldDecode reports whether a text is base64, or the beginning of one.
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

// encodedTwice returns the text that a text encodes, if that is a digest's.
func encodedTwice(text string) string {
	for _, decoded := range append(fromHex(text), fromBase64(text)...) {
		plain, err := base64.StdEncoding.DecodeString(decoded)
		if isHex(decoded) || err == nil && len(plain) == sha256.Size {
			return decoded
		}
	}
	return ""
}
