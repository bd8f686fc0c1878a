package verifier

import (
	"errors"
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// TokenText is a text among the claims of a token. It is safe for concurrent use.
type TokenText struct{ paths *claimjson.Paths }

// NewTokenText returns the text at a JSON Pointer (RFC 6901).
func NewTokenText(pointer string) (*TokenText, error) {
	if pointer == "" {
		return nil, errors.New("the pointer is empty: it begins with a slash, as in /aud")
	}
	paths, err := claimjson.Compile([]claimjson.Target{{Pointer: pointer}}, never)
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return &TokenText{paths}, nil
}

// AppendUnverified appends the text that the token of a reading has, or nothing if there is
// no single token, if its form is wrong, or if it has no text there. Nobody has verified the
// token: it may choose the key that is to verify it, and no more.
func (p *TokenText) AppendUnverified(dst []byte, r *Reading) []byte {
	t := &r.token
	if t.jws.Read(r.Single(TokenField)) != nil || t.jws.Claims(p.paths, &t.found) != nil {
		return dst
	}
	value := &t.found.Values[0]
	if value.Kind != claimjson.String || value.Variant {
		return dst
	}
	t.text = t.text[:0]
	return append(dst, t.decoded(value)...)
}
