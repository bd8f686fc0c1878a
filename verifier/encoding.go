package verifier

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// Encoding is how a signature is written.
type Encoding uint8

const (
	// Hex is exactly 64 hexadecimal digits of either case.
	Hex Encoding = iota
	// Base64 is exactly 44 characters of RFC 4648 section 4, padding included.
	Base64
	// Base64URL is exactly 43 characters of RFC 4648 section 5, or 44 with padding.
	Base64URL
)

var encodingNames = [...]string{"hex", "base64", "base64url"}

// String returns the encoding's name as it is written in a configuration.
func (e Encoding) String() string { return encodingNames[e] }

// ParseEncoding returns the encoding of that name.
func ParseEncoding(name string) (Encoding, error) {
	for i, n := range encodingNames {
		if n == name {
			return Encoding(i), nil
		}
	}
	return 0, errors.New("unknown encoding '" + name + "': one of hex, base64, base64url")
}

// Strict decoders: a digest has one spelling, its unused bits are zero.
var (
	strictStd    = base64.StdEncoding.Strict()
	strictURL    = base64.URLEncoding.Strict()
	strictRawURL = base64.RawURLEncoding.Strict()
)

// decode writes the digest to dst and returns 1, or 0 where the text is not
// exactly one. Lengths are tested first because the decoders of the standard
// library pass over line ends.
func (e Encoding) decode(dst *[sha256.Size]byte, text []byte) int {
	var n int
	var err error
	var long [sha256.Size + 1]byte // base64 decoders write whole groups of three
	switch {
	case e == Hex && len(text) == hex.EncodedLen(sha256.Size):
		n, err = hex.Decode(dst[:], text)
	case e == Base64 && len(text) == 44:
		n, err = strictStd.Decode(long[:], text)
		copy(dst[:], long[:])
	case e == Base64URL && len(text) == 44:
		n, err = strictURL.Decode(long[:], text)
		copy(dst[:], long[:])
	case e == Base64URL && len(text) == 43:
		n, err = strictRawURL.Decode(long[:], text)
		copy(dst[:], long[:])
	}
	if err != nil || n != sha256.Size {
		return 0
	}
	return 1
}

// encode returns the digest's text; hex is lower-case, base64url unpadded.
func (e Encoding) encode(sum []byte) string {
	switch e {
	case Base64:
		return base64.StdEncoding.EncodeToString(sum)
	case Base64URL:
		return base64.RawURLEncoding.EncodeToString(sum)
	default:
		return hex.EncodeToString(sum)
	}
}
