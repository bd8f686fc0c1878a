package verifier

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// encoding is how a signature is written.
type encoding uint8

const (
	inHex       encoding = iota // exactly 64 hexadecimal digits of either case
	inBase64                    // exactly 44 characters of RFC 4648 section 4, padding included
	inBase64URL                 // exactly 43 characters of RFC 4648 section 5, or 44 with padding
)

var encodingNames = []string{"hex", "base64", "base64url"}

func (e encoding) String() string { return encodingNames[e] }

// parseEncoding returns the encoding of that name.
func parseEncoding(name string) (encoding, error) {
	i := slices.Index(encodingNames, name)
	if i < 0 {
		return 0, choice.Unknown("encoding", name, encodingNames)
	}
	return encoding(i), nil
}

// Strict decoders: a digest has one spelling, its unused bits are zero.
var (
	strictStd    = base64.StdEncoding.Strict()
	strictURL    = base64.URLEncoding.Strict()
	strictRawURL = base64.RawURLEncoding.Strict()
)

// decode writes the digest to dst and returns 1, or 0 where the text is not
// exactly one. Lengths are tested first because the decoders of the standard
// library skip newlines.
func (e encoding) decode(dst *[sha256.Size]byte, text []byte) int {
	var n int
	var err error
	var long [sha256.Size + 1]byte // base64 decoders write whole groups of three
	switch {
	case e == inHex && len(text) == hex.EncodedLen(sha256.Size):
		n, err = hex.Decode(dst[:], text)
	case e == inBase64 && len(text) == 44:
		n, err = strictStd.Decode(long[:], text)
		copy(dst[:], long[:])
	case e == inBase64URL && len(text) == 44:
		n, err = strictURL.Decode(long[:], text)
		copy(dst[:], long[:])
	case e == inBase64URL && len(text) == 43:
		n, err = strictRawURL.Decode(long[:], text)
		copy(dst[:], long[:])
	}
	if err != nil || n != sha256.Size {
		return 0
	}
	return 1
}

// encode returns the digest's text; hex is lower-case, base64url unpadded.
func (e encoding) encode(sum []byte) string {
	switch e {
	case inBase64:
		return base64.StdEncoding.EncodeToString(sum)
	case inBase64URL:
		return base64.RawURLEncoding.EncodeToString(sum)
	default:
		return hex.EncodeToString(sum)
	}
}
