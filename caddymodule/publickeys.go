package caddymodule

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/keysets"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// ownOption is the option that has what the claims of the handler's only widget are
// verified with, "" if its widgets are stored or inline.
func (h *Handler) ownOption() string {
	switch {
	case len(h.Secrets) > 0:
		return "secret"
	case len(h.PublicKeys) > 0:
		return "public_key"
	case h.JWKS != "":
		return "jwks"
	}
	return ""
}

// checkOwn refuses a widget that is verified in two ways.
func (h *Handler) checkOwn() error {
	switch {
	case len(h.Secrets) > 0 && len(h.PublicKeys) > 0:
		return ofOption("public_key", errors.New("public_key beside secret: a widget has one or the other, since what everybody may know is never the key of an HMAC"))
	case len(h.Secrets) > 0 && h.JWKS != "":
		return ofOption("jwks", errors.New("jwks beside secret: a widget has one or the other, since what everybody may know is never the key of an HMAC"))
	case len(h.PublicKeys) > 0 && h.JWKS != "":
		return ofOption("jwks", errors.New("jwks beside public_key: a widget has one or the other"))
	case len(h.PublicKeys) > widgets.MaxPublicKeys:
		return ofOption("public_key", fmt.Errorf("public_key has %d keys, and each forged token is checked with all: at most %d", len(h.PublicKeys), widgets.MaxPublicKeys))
	case h.KeyEncoding != "" && (len(h.PublicKeys) > 0 || h.JWKS != ""):
		return ofOption("key_encoding", fmt.Errorf("key_encoding beside %s: it says how secrets are written, and public keys are PEM or a key set", h.ownOption()))
	case h.JWKS != "":
		switch path, kind := placeholder(h.JWKS); kind {
		case "":
			return ofOption("jwks", keysets.CheckSource(h.JWKS))
		case "file":
			return ofOption("jwks", fmt.Errorf("jwks takes the path itself, so that the file is read again: write 'jwks %s'", path))
		}
	}
	return nil
}

// checkFit refuses keys of another kind than the one that the handler's tokens are signed
// with.
func (h *Handler) checkFit() error {
	p, own := h.plan, h.own
	algorithm := "HS256"
	if named := p.policy.Token.Algorithms; len(named) > 0 {
		algorithm = named[0]
	}
	switch {
	case own == "" || own == "secret" && !p.verifier.PublicKeys():
		return nil
	case own == "secret":
		return ofOption(own, fmt.Errorf("secret: %s is verified with a public key, which a secret is not: write public_key or jwks in its place, or name an HS algorithm", algorithm))
	case !p.policy.TakesToken():
		return ofOption(own, fmt.Errorf("%s verifies tokens, which the dialect %s does not send: say where they travel, as in 'claim token header Authorization'", own, p.dialect))
	case p.policy.Proof == "signature":
		return ofOption(own, fmt.Errorf("%s verifies tokens, which do not count with 'proof signature'", own))
	case !p.verifier.PublicKeys():
		return ofOption(own, fmt.Errorf("%s: a PEM or a key set is never the key of an HMAC, as %s would have it: name the algorithm of the keys, as in 'algorithm RS256' in the token block", own, algorithm))
	case own == "jwks" && !p.bound():
		return ofOption(own, errors.New("jwks: whoever publishes a key set signs with it for others, too: say which tokens are meant by 'require /iss <issuer>' and 'require /aud <audience>' in the token block"))
	}
	for i, written := range h.PublicKeys {
		if _, kind := placeholder(written); kind != "" {
			continue // it is checked when it is read
		}
		key, err := parsePublicKey(written)
		if err == nil {
			err = p.policy.Token.CheckKey(key)
		}
		if err != nil {
			return ofOption(own, fmt.Errorf("public_key%s: %w", numbered(i, len(h.PublicKeys)), err))
		}
	}
	return nil
}

// bound reports whether tokens must name who signed them and for whom.
func (p *plan) bound() bool {
	for _, pointer := range [...]string{"/iss", "/aud"} {
		if values := p.policy.Token.Require[pointer]; len(values) == 0 || slices.Contains(values, "") {
			return false
		}
	}
	return true
}

// takes reports whether the handler can verify what proves the widget's users.
func (p *plan) takes(w *widget) bool {
	switch w.kind() {
	case widgets.Secrets:
		return !p.verifier.PublicKeys()
	case widgets.KeySet:
		return p.verifier.PublicKeys() && p.bound()
	}
	return p.verifier.PublicKeys()
}

// takesKeyOf reports whether an algorithm of the handler takes one of the widget's public
// keys. Of keys that cannot be read, nothing is known.
func (h *Handler) takesKeyOf(w *widget, p *plan) bool {
	if w.kind() != widgets.PublicKeys || h.app.offline {
		return true
	}
	var few [widgets.MaxPublicKeys]*verifier.Key
	keys := few[:0]
	if w.inline != nil {
		keys = w.inline.public
	} else {
		keys, _ = h.app.opener.Append(keys, w.record, p.policy.KeyEncoding, h.app.ring.Load())
	}
	return len(keys) == 0 || slices.ContainsFunc(keys, p.verifier.Takes)
}

// secretWidget is the hint about a widget that has a secret where public keys verify.
const secretWidget = "secret_widget"

// whyNot says why the handler does not take a widget that its requests can name.
func (h *Handler) whyNot(w *widget) (id, why string) {
	p := h.planIn(w.dialect)
	switch {
	case p == nil || p.cutOnly:
		return "other_dialect", "The widget has a dialect that this handler does not take: it has a claim of its own, or one_time, for which that dialect signs no timestamp."
	case w.kind() == widgets.Secrets:
		return secretWidget, "The widget has a secret, and its tokens are verified with public keys: give it public keys or a key set, or name an HS algorithm in the token block."
	case p.verifier.PublicKeys() && w.kind() == widgets.PublicKeys:
		return "other_key_kind", "The widget has public keys of another kind than this handler's tokens are signed with, " + strings.Join(p.policy.Token.Algorithms, " or ") +
			": give it a key of that kind, or name the algorithm of its keys in the handler's token block."
	case p.verifier.PublicKeys():
		return "unbound_keyset", "The widget has a key set, and this handler does not say whose tokens are meant: add 'require /iss <issuer>' and 'require /aud <audience>' to its token block."
	}
	return "public_key_widget", "The widget has public keys, and this handler's claims are verified with a secret: name the algorithm of the keys in the handler's token block, as in 'algorithm RS256', or create the widget with a secret."
}

// planIn returns the plan for widgets with that dialect, nil if there is none.
func (h *Handler) planIn(dialect string) *plan {
	if dialect == "" || dialect == h.plan.dialect {
		return h.plan
	}
	return h.plans[dialect]
}

// planFor returns the plan for the widget's requests, nil if the handler does not take it.
func (h *Handler) planFor(w *widget) *plan {
	if p := h.planIn(w.dialect); p != nil && !p.cutOnly && p.takes(w) && h.takesKeyOf(w, p) {
		return p
	}
	return nil
}

// publicWidget creates the handler's own widget, whose tokens are verified with public keys.
func (h *Handler) publicWidget(id string) (*widget, error) {
	inline := &inlineKeys{kind: widgets.PublicKeys}
	w := &widget{id: id, inline: inline}
	if h.app.offline { // the keys are the gateway's affair
		return w, nil
	}
	if h.JWKS != "" {
		return w, inline.useSet(h)
	}
	var keys []crypto.PublicKey
	for i, written := range h.PublicKeys {
		key, err := resolvePublicKey(written)
		if err == nil {
			err = from(publicKeyNoun, written, h.plan.policy.Token.CheckKey(key))
		}
		if err != nil {
			return nil, fmt.Errorf("%w (public_key%s)", err, numbered(i, len(h.PublicKeys)))
		}
		keys = append(keys, key)
	}
	var err error
	if inline.public, err = keyset.Keys(keys, verdicts); err != nil {
		return nil, err
	}
	for i, key := range inline.public {
		if slices.ContainsFunc(inline.public[:i], func(k *verifier.Key) bool { return k.ID == key.ID }) {
			return nil, fmt.Errorf("public_key %d: the same key is repeated", i+1)
		}
		inline.kinds = append(inline.kinds, keyset.Describe(keys[i]))
		inline.prints = append(inline.prints, sha256.Sum256([]byte("public key\x00"+key.ID)))
	}
	inline.seal()
	return w, nil
}

// useSet makes the handler's key set what verifies. A file must have a key already; a URL
// is read when the configuration runs.
func (k *inlineKeys) useSet(h *Handler) error {
	source := h.JWKS
	if _, kind := placeholder(source); kind != "" {
		text, err := resolveNamed("key set", source)
		if err != nil {
			return err
		}
		if source = strings.TrimSpace(text); strings.ContainsAny(source, "{}\n") { // not quoted: it may be a key
			return from("key set", h.JWKS, errors.New("it is neither an https URL nor the path of a file"))
		}
	}
	if !keysets.IsURL(source) {
		path, err := resolvePath(source, "")
		if err != nil {
			return err
		}
		if source = path; source == "" {
			return keysets.CheckSource(source)
		}
		keys, unused, err := keysets.ReadFile(path)
		if err != nil {
			if _, ok := errors.AsType[*fs.PathError](err); ok {
				err = unreadable("key set", path, err)
			}
			return fmt.Errorf("%w (jwks)", err)
		}
		if !slices.ContainsFunc(keys, func(k verifier.PublicKey) bool { return h.plan.policy.Token.CheckKey(k.Key) == nil }) {
			if unused != "" {
				unused = ": " + unused
			}
			return fmt.Errorf("the key set in the file %s has no key for this handler's tokens: it takes public keys for %s, whose 'use' is 'sig' if it is there%s (jwks)",
				path, strings.Join(h.plan.policy.Token.Algorithms, ", "), unused)
		}
	}
	if _, err := h.app.sets.Open(source); err != nil {
		return err
	}
	k.kind, k.jwks = widgets.KeySet, source
	k.prints = [][sha256.Size]byte{sha256.Sum256([]byte("key set\x00" + source))}
	k.seal()
	return nil
}

// resolvePublicKey returns the public key that a configuration names.
func resolvePublicKey(written string) (crypto.PublicKey, error) {
	if _, kind := placeholder(written); kind == "" {
		return parsePublicKey(written)
	}
	text, err := resolveNamed(publicKeyNoun, written)
	if err != nil {
		return nil, err
	}
	key, err := keyset.ParsePEM([]byte(text))
	return key, from(publicKeyNoun, written, err)
}

func parsePublicKey(written string) (crypto.PublicKey, error) {
	key, err := keyset.ParsePEM([]byte(written))
	if err != nil && strings.HasPrefix(err.Error(), "this is not a public key in PEM") && !strings.Contains(written, "\n") && (strings.ContainsAny(written, "/\\") || strings.Contains(written, ".pem")) && !strings.Contains(written, "-----") {
		return nil, errors.New("this is not a public key in PEM: write {file./path/of/the/key.pem} to read one from a file")
	}
	return key, err
}

// publicKeyArgs takes one or more public keys.
func publicKeyArgs(d *caddyfile.Dispenser, to *[]string) error {
	if *to = d.RemainingArgs(); len(*to) == 0 {
		return errors.New("public_key needs at least one key in PEM, as in 'public_key {file./etc/caddy/shop.pem}'")
	}
	for i, written := range *to {
		if _, kind := placeholder(written); kind == "" {
			if _, err := parsePublicKey(written); err != nil {
				return fmt.Errorf("public_key%s: %w", numbered(i, len(*to)), err)
			}
		}
	}
	return nil
}

// verdicts remembers what public keys have verified, for all configurations.
var verdicts = keysets.NewVerdicts()
