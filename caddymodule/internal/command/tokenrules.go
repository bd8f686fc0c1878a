package command

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/diagnose"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// tokenDialect is the dialect of a token if none is named.
const tokenDialect = "jwt"

// tokenRules are what the flags say of a token, as the block token of a handler does.
type tokenRules struct {
	algorithms, require             []string
	userClaim, keyEncoding, longest string
	noExpiry                        bool
}

func (t *tokenRules) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&t.algorithms, "algorithm", nil, "Algorithm of a token, such as HS256 or ES256 (default: the dialect's,\nor what the key is for)")
	cmd.Flags().StringVar(&t.userClaim, "user-claim", "", "JSON pointer to the user's id in a token (default: the dialect's)")
	cmd.Flags().StringArrayVar(&t.require, "require", nil, "What a token must say, as `pointer=value`; may be repeated")
	cmd.Flags().StringVar(&t.keyEncoding, "key-encoding", "", "How the secret writes its key: "+strings.Join(verifier.KeyEncodings, ", ")+"\n(default: the dialect's)")
	cmd.Flags().StringVar(&t.longest, "max-lifetime", "", "How far from now a token may expire (default: 24h)")
	cmd.Flags().BoolVar(&t.noExpiry, "no-expiry", false, "Take a token without exp")
	completeFlag(cmd, "key-encoding", verifier.KeyEncodings...)
}

// apply changes the dialect's rules.
func (t *tokenRules) apply(d *verifier.Dialect) error {
	if t.keyEncoding != "" {
		d.KeyEncoding = t.keyEncoding
	}
	rules := &d.Token
	if len(t.algorithms) > 0 {
		rules.Algorithms = t.algorithms
	}
	if t.userClaim != "" {
		rules.UserID, rules.TextUserID = []string{t.userClaim}, false
	}
	rules.NoExpiry = rules.NoExpiry || t.noExpiry
	for _, text := range t.require {
		pointer, value, found := strings.Cut(text, "=")
		if !found || !strings.HasPrefix(pointer, "/") {
			return fmt.Errorf("--require %s: write a JSON pointer, an equals sign and the value, as in /iss=https://id.example.com", text)
		}
		if rules.Require == nil {
			rules.Require = make(map[string][]string)
		}
		rules.Require[pointer] = append(rules.Require[pointer], value)
	}
	if t.longest != "" {
		longest, err := caddy.ParseDuration(t.longest)
		if err != nil {
			return fmt.Errorf("--max-lifetime: %w", err)
		}
		rules.MaxLifetime = longest
	}
	return rules.Check()
}

// suit chooses the algorithm that a public key is for, unless the flags have one, or the
// dialect, whose product takes no other.
func (t *tokenRules) suit(d *verifier.Dialect, key crypto.PublicKey) error {
	err := d.Token.CheckKey(key)
	if err == nil || len(t.algorithms) > 0 {
		return err
	}
	if names := d.Token.Algorithms; len(names) > 0 && !strings.HasPrefix(names[0], "HS") {
		return fmt.Errorf("%w: pass a key for %s, which is the dialect %s's, or name the algorithm of the gateway's token block with --algorithm", err, names[0], d.Name)
	}
	for _, name := range []string{"RS256", "ES256", "ES384", "ES512", "EdDSA"} {
		rules := verifier.Token{Algorithms: []string{name}}
		if rules.CheckKey(key) == nil {
			t.algorithms = rules.Algorithms
			return nil
		}
	}
	return fmt.Errorf("no algorithm takes this key: %w", err)
}

// decode returns the key that a secret writes, as a secret.
func (c *checker) decode(secret verifier.Secret) (verifier.Secret, error) {
	decoded, err := secret.Decoded(c.verifier.Dialect().KeyEncoding)
	if err != nil {
		err = fmt.Errorf("%s, and --key-encoding or the dialect says that it is", inWords(err))
	}
	return decoded, err
}

// keys returns those of the evidence, as the dialect decodes them.
func (c *checker) keys(e *diagnose.Evidence) (keys []*verifier.Key) {
	for _, secret := range e.Secrets {
		if decoded, err := c.decode(secret); err == nil {
			keys = append(keys, verifier.NewKey(decoded))
		}
	}
	if len(e.Secrets) == 0 {
		return e.Keys
	}
	return keys
}

// publicFlags are the public keys that verify tokens.
type publicFlags struct {
	files []string
	jwks  string // a file, or a URL
}

func (p *publicFlags) flags(cmd *cobra.Command, where string) {
	cmd.Flags().StringArrayVar(&p.files, "public-key", nil, "A `file` with a public key in PEM that verifies tokens; may be repeated")
	cmd.Flags().StringVar(&p.jwks, "jwks", "", where+" a key set (JWKS) that verifies tokens")
	_ = cmd.MarkFlagFilename("public-key", "pem", "pub") // there is such a flag
}

// check refuses keys of two kinds.
func (p *publicFlags) check() error {
	if p.jwks != "" && len(p.files) > 0 {
		return errors.New("--public-key and --jwks are two ways of verifying: pass one of the two")
	}
	return nil
}

// keys reads the keys, none if the flags name none.
func (p *publicFlags) keys() (keys []*verifier.Key, err error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var public []verifier.PublicKey
	for _, path := range p.files {
		_, key, err := publicKey(path)
		if err != nil {
			return nil, err
		}
		public = append(public, verifier.PublicKey{Key: key})
	}
	if p.jwks != "" {
		var unused []string
		text, err := os.ReadFile(p.jwks)
		if err == nil {
			public, unused, err = keyset.Parse(text)
		}
		if err == nil && len(public) == 0 {
			err = fmt.Errorf("no key of it is used: %s", cmp.Or(strings.Join(unused, "; "), "it has none"))
		}
		if err != nil {
			return nil, fmt.Errorf("--jwks: %s: %w", p.jwks, err)
		}
	}
	for _, k := range public {
		key, err := verifier.NewPublicKey(k)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return slices.Clip(keys), nil
}

// publicKey reads the file of a public key in PEM.
func publicKey(path string) (text []byte, key crypto.PublicKey, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--public-key: %w", err)
	}
	defer file.Close()
	if text, err = io.ReadAll(io.LimitReader(file, maxInput)); err == nil {
		key, err = keyset.ParsePEM(text)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--public-key: %s: %w", path, err)
	}
	return text, key, nil
}

// timeInWords writes a time, and how far it is from now.
func timeInWords(t, now time.Time) string {
	text := t.UTC().Format(time.DateTime + " UTC")
	switch away := t.Sub(now).Round(time.Second); {
	case away < 0:
		return fmt.Sprintf("%s, %s ago", text, period.Text(-away))
	case away > 0:
		return fmt.Sprintf("%s, in %s", text, period.Text(away))
	}
	return text + ", now"
}
