package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func keygenCommand() *cobra.Command {
	var encryption, id, token bool
	var algorithm string
	var out output
	cmd := &cobra.Command{
		Use:   "keygen [--encryption-key | --token-key | --id] [--json]",
		Short: "Prints a new secret for a widget, or another new key",
		Long: `
Prints a secret for a widget: 32 random bytes as 64 hexadecimal digits. The digits
themselves are the key of the HMAC: neither side decodes them.

With --encryption-key it prints 32 random bytes in base64 instead: a key for the
global option encryption_key, with which the gateway encrypts the secrets that it
stores.

With --token-key it prints a private key in PEM that signs tokens, and its public key,
for tests: in production the private key is made where it signs, and stays there.

With --id it generates nothing: it reads an encryption key from the environment
variable ` + encryptionKeyVariable + ` if it is set, and from standard input
otherwise, and prints the id by which errors, "show" and the log name that key. An
id reveals nothing about its key.`,
		Example: "  caddy chat-identity keygen --id < encryption.key",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, text := "secret", ""
			switch {
			case encryption && id || token && (encryption || id):
				return errors.New("--encryption-key and --token-key generate a key, and --id reads one: pass one of them")
			case cmd.Flags().Changed("algorithm") && !token:
				return errors.New("--algorithm is what a key for tokens is for: pass --token-key, too, or leave it out for a secret")
			case token:
				return printTokenKey(cmd, algorithm, &out)
			case encryption:
				name, text = "encryption_key", widgets.NewEncryptionKey()
			case id:
				key, err := encryptionKey(cmd)
				if err != nil {
					return err
				}
				name, text = "id", key.ID()
			default:
				text = widgets.NewSecret().Reveal()
			}
			return out.print(cmd, map[string]string{name: text}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, text)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&encryption, "encryption-key", false, "Print a key for the option encryption_key instead")
	cmd.Flags().BoolVar(&id, "id", false, "Print the id of an existing encryption key instead")
	cmd.Flags().BoolVar(&token, "token-key", false, "Print a private and a public key for tokens instead")
	cmd.Flags().StringVar(&algorithm, "algorithm", "ES256", "What the key for tokens is for")
	out.flag(cmd)
	return cmd
}

// encryptionKey reads an encryption key from the environment or standard input. Errors do
// not quote it.
func encryptionKey(cmd *cobra.Command) (key widgets.EncryptionKey, err error) {
	text, from, err := given(cmd, encryptionKeyVariable, "the encryption key")
	if err != nil {
		return key, err
	}
	if err = secrettext.Check(text); err == nil {
		key, err = widgets.ParseEncryptionKey(text)
	}
	if err != nil {
		return key, fmt.Errorf("%s has no encryption key: %s", from, strings.TrimPrefix(err.Error(), "widgets: "))
	}
	return key, nil
}
