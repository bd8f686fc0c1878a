package command

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func signCommand() *cobra.Command {
	var f claimFormat
	var user, email, name, nonce, timestamp string
	cmd := &cobra.Command{
		Use:   "sign --user <id> [--dialect <name>] [--email <address>] [--name <name>]",
		Short: "Prints a signed claim as JSON",
		Long: `
Signs a user id as a customer's server does, and prints the claim as the JSON
object that a browser sends. The secret is read from ` + secretVariable + `
if it is set, and from standard input otherwise, where a trailing newline does not
count.`,
		Example: "  caddy chat-identity sign --user user-42 < secret.txt | curl --json @- https://example.com/chat",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			claim := map[verifier.Field]string{
				verifier.UserID: user, verifier.Email: email, verifier.Name: name, verifier.Nonce: nonce, verifier.Timestamp: timestamp,
			}
			checker, err := f.checker(f.dialect)
			if err != nil {
				return err
			}
			if checker.dialect.Message == "" {
				return fmt.Errorf("the dialect %s has no signature: its proof is a token", f.dialect)
			}
			if err = checker.complete(claim); err != nil {
				return err
			}
			secret, err := signingSecret(cmd)
			if err != nil {
				return err
			}
			key := verifier.NewKey(secret)
			if claim[verifier.Signature], err = checker.verifier.Sign(key, claim); err != nil {
				return fmt.Errorf("a gateway would refuse this claim: %s", inWords(err))
			}
			text := checker.write(claim)
			var reading verifier.Reading
			if err := checker.verify(text, &reading, key); err != nil && !errors.Is(err, verifier.ErrExpired) {
				return fmt.Errorf("a gateway would refuse this claim: %s", inWords(err))
			}
			if left := reading.LeftOut(); len(left) > 0 {
				return fmt.Errorf("a gateway would leave a field out: %s", inWords(left[0]))
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&user, "user", "", "The user's id (required)")
	cmd.Flags().StringVar(&email, "email", "", "The user's e-mail address")
	cmd.Flags().StringVar(&name, "name", "", "The user's name")
	cmd.Flags().StringVar(&nonce, "nonce", "", "The nonce, if one is signed (default: random)")
	cmd.Flags().StringVar(&timestamp, "timestamp", "", "The Unix time, if one is signed (default: now, in seconds)")
	return cmd
}
