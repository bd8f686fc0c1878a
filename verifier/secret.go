package verifier

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// MinSecret is the shortest secret that [NewSecret] takes, in bytes: below it
// an offline search for the secret from one known signature is within reach.
const MinSecret = 16

// Secrets that cannot be used.
var (
	ErrSecretEmpty = errors.New("verifier: the secret is empty")
	ErrSecretShort = fmt.Errorf("verifier: the secret is shorter than %d bytes", MinSecret)
	// ErrSecretEncoding: its text is not written in the encoding of the key.
	ErrSecretEncoding = errors.New("verifier: the secret is not written in the encoding of its key")
)

// notInEncoding is an [ErrSecretEncoding] that names the encoding.
type notInEncoding string

func (e notInEncoding) Error() string        { return "verifier: the secret is not " + string(e) }
func (e notInEncoding) Is(target error) bool { return target == ErrSecretEncoding }

const redacted = "[redacted]"

// Secret is the text that a customer's server signs with. It prints as
// [redacted] in whatever way it is formatted, logged or marshalled.
type Secret struct {
	// A pointer, since fmt asks no methods of a value under %p or within an
	// unexported field, and prints what the value holds: here an address.
	text *string
}

// NewSecret returns a secret. It refuses one that is empty, all spaces or
// NULs, or shorter than [MinSecret] bytes. Otherwise the text counts as it is: cut the
// newline off a secret that is read from a file.
func NewSecret(text string) (Secret, error) {
	if strings.Trim(text, " \t\r\n\x00") == "" {
		return Secret{}, ErrSecretEmpty
	}
	if len(text) < MinSecret {
		return Secret{}, ErrSecretShort
	}
	return Secret{&text}, nil
}

// WeakSecret is [NewSecret] for a signing client or a diagnosis, which must
// take the secret as it is, however short. No gateway verifies with one.
func WeakSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (Secret) GoString() string { return redacted }

// Format implements [fmt.Formatter], since a verb such as %x passes String by.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements [encoding.TextMarshaler], and with it JSON and zap.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// KeyEncodings are how a secret's text may write the bytes of its key.
var KeyEncodings = []string{"text", "hex", "base64", "base64url"}

func checkKeyEncoding(name string) error {
	if name == "" || slices.Contains(KeyEncodings, name) {
		return nil
	}
	return choice.Unknown("key encoding", name, KeyEncodings)
}

// Decoded returns the secret whose bytes the text of this one writes in an encoding: "text"
// or "", which is the secret itself, "hex" of either case, "base64" or "base64url" (RFC 4648
// sections 4 and 5), with or without padding. What it returns is as strong as [NewSecret]
// demands.
func (s Secret) Decoded(encoding string) (Secret, error) {
	if err := checkKeyEncoding(encoding); err != nil {
		return Secret{}, err
	}
	var key []byte
	var err error
	text := s.Reveal()
	switch encoding {
	case "", "text":
		return s, nil
	case "hex":
		key, err = hex.DecodeString(text)
	case "base64":
		key, err = base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	default:
		key, err = base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	}
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoders ignore
		return Secret{}, notInEncoding(encoding)
	}
	return NewSecret(string(key))
}
