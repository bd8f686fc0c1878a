package diagnose

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
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
		if !w.hex && !same(encoded, w.text) && same(bytes.ToLower(encoded), w.text) {
			return []deviation{{"digest_lower_case", "the digest's base64 was changed to lower case", "send its letters as they are"}}, true
		}
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

// peeling is what is written around a text.
type peeling struct {
	deviation
	peel func(text string) string // "" or the same if there is nothing to remove
}

// peelings are what is written around a digest, in the order in which it is removed.
var peelings = []peeling{
	{deviation{"signature_spaces", "spaces or a newline were sent around the digest", digestAlone}, strings.TrimSpace},
	{deviation{"signature_url_encoded", "the digest was percent-encoded once too often", "encode it once, where it becomes part of a URL"}, func(text string) string {
		plain, _ := url.PathUnescape(text)
		return plain
	}},
	{deviation{"signature_bytes_printed", "the digest was sent as a program prints bytes, not as a text of its digits", "decode its bytes to a text, or encode them"}, unprintBytes},
	{deviation{"signature_wrapped", "the digest was broken into lines", "send the digest on one line"}, func(text string) string {
		if joined := strings.NewReplacer("\r", "", "\n", "").Replace(text); digestIn(joined) == joined {
			return joined
		}
		return text
	}},
	{deviation{"signature_separated", "dashes, colons or spaces were written between the digest's bytes", "write its digits without anything between them"}, joinBytes},
}

// surroundings are what stands around a digest, which is a NUL here.
var surroundings = []pattern{
	{deviation{"signature_quoted", "quotation marks were sent around the digest", digestAlone}, regexp.MustCompile("^[\"'`\\\\]*\x00[\"'`\\\\]*$")},
	{deviation{"signature_spaces", "spaces or characters that nobody sees were sent around the digest", digestAlone}, regexp.MustCompile(`^[\s\p{Cf}]*\x00[\s\p{Cf}]*$`)},
	{deviation{"signature_bracketed", "brackets were sent around the digest", digestAlone}, regexp.MustCompile(`^[\[({<]+\x00[\])}>]+$`)},
	{deviation{"signature_0x", "0x, or another mark of hex digits, was sent before the digest", digestAlone}, regexp.MustCompile(`^(0[xX]|\\+x|[xX]')\x00'?$`)},
	{deviation{"signature_prefixed", "the name of the algorithm was sent before the digest", digestAlone}, regexp.MustCompile(`^(?i:(hmac|sha|urn:sha)[\w-]*(\([^)]*\))?[=: ]+)\x00$`)},
	{deviation{"signature_named", "the digest was sent with the name of its field", digestAlone}, regexp.MustCompile(`^\W*(?i:\w*(hash|signature|digest|hmac|v1))["']?\s*[=:]["'\s]*\x00["'}\s]*$`)},
	{deviation{"signature_twice", "the digest was sent twice", "send it once"}, regexp.MustCompile(`^\x00.?.?\x00$`)},
	{deviation{"signature_surrounded", "something else was sent around the digest", digestAlone}, regexp.MustCompile(``)},
}

// runs are what may be a digest within a text, in hex and in base64.
var runs = []*regexp.Regexp{regexp.MustCompile(`[0-9A-Fa-f]{32,}`), regexp.MustCompile(`[A-Za-z0-9+/_-]{22,}={0,2}`)}

// digestIn returns the first part of a text that is as long as a digest, "" if none is.
func digestIn(text string) string {
	for _, run := range runs {
		for _, digest := range run.FindAllString(text, -1) {
			if half := digest[:len(digest)/2]; digest == half+half && len(half) >= base64.RawStdEncoding.EncodedLen(sha256.Size) {
				digest = half
			}
			w := parsedSignature{text: []byte(strings.TrimRight(digest, "=")), hex: isHex(digest)}
			if slices.ContainsFunc(algorithms, func(a algorithm) bool { return w.encodedLen(a.size) == len(w.text) }) {
				return digest
			}
		}
	}
	return ""
}

// unwrap removes what stands around a digest of full length.
func (w *parsedSignature) unwrap(text string) string {
	digest := digestIn(text)
	if digest == "" || digest == text || digest == strings.TrimPrefix(text, "-") { // a negative number
		return text
	}
	around, _ := recognize(surroundings, strings.ReplaceAll(text, digest, "\x00")) // the last is any
	w.deviations = append(w.deviations, around)
	return digest
}

// parseSignature finds the digest in what was sent, and notes what else was.
func (p *format) parseSignature(signature []byte) (w parsedSignature, ok bool) {
	text := string(signature)
	for i := range peelings {
		if peeled := peelings[i].peel(text); peeled != text && peeled != "" {
			text, w.deviations = peeled, append(w.deviations, peelings[i].deviation)
		}
	}
	text = w.unwrap(text)
	twice := encodedTwice(text)
	if twice != "" {
		text, w.deviations = twice, append(w.deviations, deviation{"signature_encoded_twice", "the digest's digits were encoded once more", "encode the digest's bytes once"})
	}
	if isHex(strings.TrimPrefix(text, "-")) {
		w.hex, w.text = true, bytes.ToLower([]byte(text))
		if p.encoding != inHex && twice == "" {
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
