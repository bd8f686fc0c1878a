package caddymodule

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// defaultWidget is the id of a handler's only widget that has no other name.
// No request can name it.
const defaultWidget = widgets.DefaultID

// widget is one chat widget, as a request finds it.
type widget struct {
	id      string
	mode    widgets.Mode // widgets.ModeUnset where the handler's counts
	dialect string       // "" where the handler's counts

	// An inline widget has its keys, a stored one its record.
	inline *inlineKeys
	record *widgets.Record
}

// kind is what the widget's claims are verified with.
func (w *widget) kind() widgets.Kind {
	if w.inline != nil {
		return w.inline.kind
	}
	return w.record.Kind()
}

// retiring reports whether a key is a secret in grace, which a newer one has replaced.
func (w *widget) retiring(version string) bool {
	switch {
	case w.kind() != widgets.Secrets:
		return false
	case w.inline != nil:
		return version != w.inline.secrets[0].version
	}
	return version != w.record.Secrets[0].Version
}

// inlineKeys are the secrets of an inline widget, or its public keys or key set.
type inlineKeys struct {
	kind    widgets.Kind
	secrets []inlineSecret
	public  []*verifier.Key // named by their thumbprints
	kinds   []string        // of the public keys, for the API
	jwks    string          // the source of the key set
	// doubt is why a secret may not be what the operator meant to put into its variable or
	// file, nil for none.
	doubt error
	// prints identify each of what verifies, and digest all of it. The order counts, since
	// the page signs with the first secret.
	prints [][sha256.Size]byte
	digest [sha256.Size]byte
}

// seal computes the digest.
func (k *inlineKeys) seal() {
	sum := sha256.New()
	for i := range k.prints {
		sum.Write(k.prints[i][:])
	}
	sum.Sum(k.digest[:0])
}

// inlineSecret is a secret with its keys by encoding, see [verifier.Secret.Decoded]. The
// log's hint about a signature that does not match needs the secret itself.
type inlineSecret struct {
	verifier.Secret
	version string
	keys    map[string]*verifier.Key
}

func newInlineSecret(id string, secret verifier.Secret) inlineSecret {
	s := inlineSecret{secret, inlineVersion(id, secret), make(map[string]*verifier.Key)}
	for _, encoding := range verifier.KeyEncodings {
		if decoded, err := secret.Decoded(encoding); err == nil {
			s.keys[encoding] = verifier.NewKey(decoded)
			s.keys[encoding].ID = s.version
		}
	}
	return s
}

// appendKeys appends the public keys, or those that the secrets write in an encoding, the
// current one first. Where one writes none, it appends the others and returns an error.
func (k *inlineKeys) appendKeys(keys []*verifier.Key, encoding string) (_ []*verifier.Key, failed error) {
	keys = append(keys, k.public...)
	for i := range k.secrets {
		if key := k.secrets[i].keys[encoding]; key != nil {
			keys = append(keys, key)
		} else if failed == nil {
			_, failed = k.secrets[i].Decoded(encoding)
		}
	}
	return keys, failed
}

// decodes returns which of the inline widget's secrets is not written as a plan has it.
func (w *widget) decodes(p *plan) error {
	encoding := p.policy.KeyEncoding
	for i := range w.inline.secrets {
		which := describeSecret(w.id, i, len(w.inline.secrets))
		switch _, err := w.inline.secrets[i].Decoded(encoding); {
		case errors.Is(err, verifier.ErrSecretShort), errors.Is(err, verifier.ErrSecretEmpty):
			return fmt.Errorf("key_encoding %s: the key that the %s writes is shorter than %d bytes", encoding, which, verifier.MinSecret)
		case err != nil:
			return fmt.Errorf("key_encoding %s: the %s is not written so: name the encoding that it has, or none if its text itself signs", encoding, which)
		}
	}
	return nil
}

// newWidget creates a configured widget. The first secret is current.
func newWidget(id string, written []string, mode widgets.Mode, dialect string) (w *widget, literals bool, err error) {
	if !widgets.ValidID(id) {
		return nil, false, badWidgetID(id)
	}
	if len(written) == 0 {
		return nil, false, noSecret(id)
	}
	if dialect != "" {
		if _, err := verifier.LookupDialect(dialect); err != nil {
			return nil, false, err
		}
	}
	inline := new(inlineKeys)
	for i, text := range written {
		secret, literal, err := resolveSecret(text)
		if err != nil {
			return nil, false, fmt.Errorf("%w (%s)", err, describeSecret(id, i, len(written)))
		}
		literals = literals || literal
		inline.doubt = cmp.Or(inline.doubt, from(secretNoun, text, secrettext.Doubt(secret.Reveal())))
		inline.secrets = append(inline.secrets, newInlineSecret(id, secret))
		inline.prints = append(inline.prints, sha256.Sum256([]byte(secret.Reveal())))
	}
	inline.seal()
	return &widget{id: id, mode: mode, dialect: dialect, inline: inline}, literals, nil
}

// versionKey keys the versions of inline secrets, so that nobody who reads a version can
// try secrets against it. It outlives reloads.
var versionKey = sync.OnceValue(rand.Text)

// inlineVersion names an inline secret in this process, as a stored one is named by its
// version.
func inlineVersion(id string, secret verifier.Secret) string {
	mac := hmac.New(sha256.New, []byte(versionKey()))
	_, _ = io.WriteString(mac, id+"\x00"+secret.Reveal())
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

func hintShort(err error) error {
	const advice = ": 'caddy chat-identity keygen' creates a good one"
	switch {
	case errors.Is(err, verifier.ErrSecretShort):
		return fmt.Errorf("the secret is shorter than %d bytes"+advice, verifier.MinSecret)
	case errors.Is(err, verifier.ErrSecretEmpty):
		return errors.New("the secret is empty" + advice + unsetNote)
	}
	return err
}

// describeSecret names one of a widget's secrets for errors.
func describeSecret(id string, i, of int) string {
	text := "secret" + numbered(i, of)
	if id == defaultWidget {
		return text
	}
	return text + " of widget " + id
}

// numbered tells one of several values from the others.
func numbered(i, of int) string {
	if of < 2 {
		return ""
	}
	return fmt.Sprintf(" %d", i+1)
}

func noSecret(id string) error {
	return fmt.Errorf("widget %s has no secret: add the line 'secret {env.NAME}' or 'secret {file.PATH}'", id)
}

// checkInlineID refuses the id of an inline widget, which may be another's.
func checkInlineID(id string, taken bool) error {
	switch {
	case !widgets.ValidID(id):
		return badWidgetID(id)
	case id == defaultWidget:
		return fmt.Errorf("widget id '%s' is reserved for handlers' own secrets: choose another", id)
	case taken:
		return fmt.Errorf("inline widget %s is repeated: for a rotation list both secrets in one block, the current one first", id)
	}
	return nil
}

func badWidgetID(id string) error {
	return fmt.Errorf("widget id '%s': 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", id)
}
