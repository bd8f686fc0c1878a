package testbed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// Sign signs a text as a customer's server does: its HMAC-SHA256 in hexadecimal digits.
func Sign(secret, text string) string { return hex.EncodeToString(MAC(secret)(text)) }

// MAC signs texts by HMAC-SHA256.
func MAC(key string) func(text string) []byte {
	return func(text string) []byte {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
}

// Token is a JSON Web Token with that header and those claims.
func Token(header, claims string, sign func(text string) []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	return text + "." + encode(sign(text))
}

// HS256 is a token that is signed with a secret.
func HS256(secret, claims string) string {
	return Token(`{"alg":"HS256","typ":"JWT"}`, claims, MAC(secret))
}
