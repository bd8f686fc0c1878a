package diagnose

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const useSecret = "use the secret's text as the key, as it is"

var (
	secretTrimmed = deviation{"secret_trimmed", "the signer's secret lacks the spaces or the newline that the gateway's has around it",
		"configure the same secret on both sides, without spaces around it"}
	secretNewline = deviation{"secret_newline", "the secret was used with a newline after it",
		"remove the newline, which comes from a file or from echo"}
	secretBlanks = deviation{"secret_blanks", "the secret was used with spaces around it",
		"remove the spaces"}
	secretQuoted      = deviation{"secret_quoted", "the secret was used with quotation marks around it", useSecret}
	secretHexBytes    = deviation{"secret_decoded_hex", "the secret was decoded from hex to bytes", useSecret}
	secretB64Bytes    = deviation{"secret_decoded_base64", "the secret was decoded from base64 to bytes", useSecret}
	secretEncoded     = deviation{"secret_encoded", "the secret was encoded in base64 or hex before it was used", useSecret}
	secretUpperCase   = deviation{"secret_upper_case", "the secret was used in upper case", useSecret}
	secretLowerCase   = deviation{"secret_lower_case", "the secret was used in lower case", useSecret}
	secretMissing     = deviation{"secret_missing", "the signer had no secret when it signed", "set the secret in the signer's environment"}
	secretPlaceholder = deviation{"secret_placeholder", "a secret was used that was never filled in", "set the secret in the signer's environment"}
)

// keyVariants returns the keys that signers make of a secret, the right one
// first. Each carries the deviations given.
func keyVariants(secret verifier.Secret, deviations ...deviation) []variant {
	text := secret.Reveal()
	var v variants
	with := func(s deviation) []deviation { return append(append([]deviation(nil), deviations...), s) }
	add := func(s deviation, usual bool, texts ...string) {
		for _, t := range texts {
			v.add([]byte(t), usual, with(s)...)
		}
	}
	v.add([]byte(text), false, deviations...)
	trimmed := strings.TrimSpace(text)
	add(secretTrimmed, true, trimmed)
	add(secretNewline, true, text+"\n", text+"\r\n")
	for _, decoded := range decodings(trimmed) {
		add(decoded.deviation, true, decoded.text)
	}
	add(secretMissing, true, "")
	add(secretBlanks, false, text+" ", " "+text, " "+text+" ", text+"\t", text+"\r")
	add(secretQuoted, false, `"`+text+`"`, "'"+text+"'")
	add(secretUpperCase, false, strings.ToUpper(text))
	add(secretLowerCase, false, strings.ToLower(text))
	add(secretEncoded, false, base64.StdEncoding.EncodeToString([]byte(text)), hex.EncodeToString([]byte(text)))
	add(secretPlaceholder, false, "undefined", "null", "None", "secret", "SECRET", "your-secret", "YOUR_SECRET")
	return v.list
}

type decoding struct {
	text      string
	deviation deviation
}

// decodings returns the bytes that a secret stands for where it is taken for
// hex or for base64 in either alphabet, padded or not (RFC 4648).
func decodings(text string) []decoding {
	var found []decoding
	if b, err := hex.DecodeString(text); err == nil && len(b) > 0 {
		found = append(found, decoding{string(b), secretHexBytes})
	}
	bare := strings.TrimRight(text, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(bare); err == nil && len(b) > 0 {
			found = append(found, decoding{string(b), secretB64Bytes})
		}
	}
	return found
}
