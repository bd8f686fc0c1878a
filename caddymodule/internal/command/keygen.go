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
		Use:  "keygen [--encryption-key | --token-key | --id] [--json]",
		Args: noArguments,
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
