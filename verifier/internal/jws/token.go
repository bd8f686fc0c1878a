// Package jws reads JSON Web Signatures in compact serialization (RFC 7515 section
// 3.1) and checks them.
//
// A gateway that verifies a token must find in it what the customer's server put there,
// whatever parser that server has. Parsers differ over duplicate and folded names, half
// surrogates, unused bits, padding, newlines and header members that nobody asked for;
// each of these has forged an identity somewhere. So there is one spelling of a token
// here, and the algorithm is the configuration's, never the token's (RFC 8725 section
// 3.1).
package jws

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// MaxLength is how long a token may be, in bytes. Servers limit a header to 8 KiB or more.
const MaxLength = 8 << 10

// Token is a token that was read, but not verified. Reused, it saves allocations. It is
// not safe for concurrent use.
type Token struct {
	// Algorithm is the header's alg, KeyID its kid, nil without one.
	Algorithm, KeyID []byte
	// Payload is one JSON object in UTF-8, without a duplicate name at any depth.
	Payload []byte
	// Signature is whatever is encoded there. Signed is the text that it should sign.
	Signature, Signed []byte
	Text              []byte // the whole token

	decoded []byte
	header  claimjson.Found
	unique  claimjson.Unique
}

// The members of a header (RFC 7515 section 4.1, RFC 7797 section 3) that are read, and
// those that would have the token choose its own key or rules.
var headerMembers = []string{"alg", "kid", "crit", "b64", "jwk", "jku", "x5u", "x5c"}

const (
	algMember = iota
	kidMember
	firstRefused
)

var headerPaths = func() *claimjson.Paths {
	targets := make([]claimjson.Target, len(headerMembers))
	for i, name := range headerMembers {
		targets[i].Pointer = "/" + name
	}
	paths, err := claimjson.Compile(targets, func([]byte, bool) bool { return false })
	if err != nil {
		panic(err) // a bug: the pointers are written above
	}
	return paths
}()

// unpadded is RFC 7515's base64url, of which each text has one spelling. Its decoder
// skips newlines all the same, which the length alone does not always tell.
var unpadded = base64.RawURLEncoding.Strict()

// Read reads a token. The error says what is wrong with its form, without a value of it.
// On an error the token is empty.
func (t *Token) Read(text []byte) (err error) {
	defer func() {
		if err != nil {
			t.Algorithm, t.KeyID, t.Payload, t.Signature, t.Signed, t.Text = nil, nil, nil, nil, nil, nil
		}
	}()
	if len(text) > MaxLength {
		return fmt.Errorf("is longer than %d bytes", MaxLength)
	}
	if dots := bytes.Count(text, []byte{'.'}); dots != 2 {
		return errSegments(dots)
	}
	first, last := bytes.IndexByte(text, '.'), bytes.LastIndexByte(text, '.')
	t.decoded, t.Signed, t.Text = t.decoded[:0], text[:last], text
	header, err := t.segment("header", text[:first])
	if err != nil {
		return err
	}
	if t.Payload, err = t.segment("payload", text[first+1:last]); err != nil {
		return err
	}
	if t.Signature, err = t.segment("signature", text[last+1:]); err != nil {
		return err
	}
	if err := t.object("header", header, headerPaths, &t.header); err != nil {
		return err
	}
	return t.readHeader(header)
}

func errSegments(dots int) error {
	if dots == 4 {
		return fmt.Errorf("is encrypted (JWE), and only signed tokens are read")
	}
	return fmt.Errorf("has %d dots, and a signed token has two", dots)
}

// segment decodes a segment.
func (t *Token) segment(name string, text []byte) ([]byte, error) {
	from, size := len(t.decoded), unpadded.DecodedLen(len(text))
	t.decoded = append(t.decoded, make([]byte, size)...) // does not allocate what it appends
	decoded := t.decoded[from:len(t.decoded):len(t.decoded)]
	if n, err := unpadded.Decode(decoded, text); err != nil || n != size || bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return nil, fmt.Errorf("has a %s that is not base64url without padding, spaces or newlines", name)
	}
	return decoded, nil
}

// Claims finds members of the payload. Its error is that of [Token.Read].
func (t *Token) Claims(paths *claimjson.Paths, found *claimjson.Found) error {
	return t.object("payload", t.Payload, paths, found)
}

// object reads one of the token's objects.
func (t *Token) object(name string, text []byte, paths *claimjson.Paths, found *claimjson.Found) error {
	err := claimjson.Scan(text, paths, found)
	if err == nil && bytes.TrimLeft(text, " \t\r\n")[0] != '{' {
		err = claimjson.ErrSyntax
	}
	if err == nil {
		err = t.unique.Check(text)
	}
	switch err {
	case nil:
		return nil
	case claimjson.ErrDuplicate:
		return fmt.Errorf("has a %s in which a name appears more than once", name)
	case claimjson.ErrSurrogate:
		return fmt.Errorf("has a %s with half a surrogate pair", name)
	}
	return fmt.Errorf("has a %s that is not a JSON object", name)
}

// readHeader takes what the header says.
func (t *Token) readHeader(header []byte) (err error) {
	for i, name := range headerMembers[firstRefused:] {
		if t.header.Values[firstRefused+i].Kind != claimjson.None {
			return fmt.Errorf("has %s in its header, which is not supported", name)
		}
	}
	alg, kid := &t.header.Values[algMember], &t.header.Values[kidMember]
	if alg.Kind != claimjson.String {
		return fmt.Errorf("has no alg in its header")
	}
	if t.Algorithm, err = t.string(header, alg); err != nil {
		return err
	}
	switch kid.Kind {
	case claimjson.None:
		t.KeyID = nil
		return nil
	case claimjson.String:
		t.KeyID, err = t.string(header, kid)
		return err
	}
	return fmt.Errorf("has a kid in its header that is not a string")
}

// string returns what a string of the header says.
func (t *Token) string(header []byte, v *claimjson.Value) ([]byte, error) {
	token := header[v.Start:v.End]
	if !v.Escaped {
		return token[1 : len(token)-1], nil
	}
	from := len(t.decoded)
	var err error
	t.decoded, err = claimjson.Unquote(t.decoded, token)
	return t.decoded[from:len(t.decoded):len(t.decoded)], err
}
