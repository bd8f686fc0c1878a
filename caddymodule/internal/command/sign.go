package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func signCommand() *cobra.Command {
	var f claimFormat
	var user, email, name, nonce, timestamp string
	var token bool
	var o tokenOptions
	cmd := &cobra.Command{
		Use:   "sign --user <id> [--token] [--dialect <name>] [--email <address>] [--name <name>]",
		Short: "Prints a signed claim as JSON",
		Long: `
Signs a user id as a customer's server does, and prints the claim as the JSON
object that a browser sends. The secret is read from ` + secretVariable + `
if it is set, and from standard input otherwise, where a trailing newline does not
count.

With --token the proof is a token (JWT) with the claims that the dialect names, which
expires in an hour. For an algorithm other than HS256, HS384 and HS512 the secret is a
private key in PEM, which "keygen --token-key" makes for tests. --require adds what the
gateway requires. A token that travels in a header is printed as the field "token".`,
		Example: "  caddy chat-identity sign --user user-42 < secret.txt | curl --json @- https://example.com/chat",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			claim := map[verifier.Field]string{
				verifier.UserID: user, verifier.Email: email, verifier.Name: name, verifier.Nonce: nonce, verifier.Timestamp: timestamp,
			}
			if token && !cmd.Flags().Changed("dialect") {
				f.dialect = tokenDialect
			}
			checker, err := f.checker(f.dialect)
			if err != nil {
				return err
			}
			if token || checker.dialect.Message == "" {
				return f.signToken(cmd, checker, claim, o)
			}
			if err = checker.complete(claim); err != nil {
				return err
			}
			secret, err := signingSecret(cmd)
			if err != nil {
				return err
			}
			key, err := checker.decode(secret)
			if err != nil {
				return err
			}
			if claim[verifier.Signature], err = checker.verifier.Sign(key, claim); err != nil {
				return fmt.Errorf("a gateway would refuse this claim: %s", inWords(err))
			}
			text := checker.write(claim)
			var reading verifier.Reading
			if _, err := checker.verify(text, &reading, []*verifier.Key{key}); err != nil && !errors.Is(err, verifier.ErrExpired) {
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
	cmd.Flags().BoolVar(&token, "token", false, "Sign a token (JWT) in place of the user id; always, if the dialect\nhas no other proof (default dialect: "+tokenDialect+")")
	cmd.Flags().DurationVar(&o.expires, "expires", time.Hour, "When a token expires, from now; 0 for never")
	cmd.Flags().StringVar(&o.kid, "kid", "", "The id of the key in a token's header (default: none)")
	cmd.Flags().StringVar(&user, "user", "", "The user's id (required)")
	cmd.Flags().StringVar(&email, "email", "", "The user's e-mail address")
	cmd.Flags().StringVar(&name, "name", "", "The user's name")
	cmd.Flags().StringVar(&nonce, "nonce", "", "The nonce, if one is signed (default: random)")
	cmd.Flags().StringVar(&timestamp, "timestamp", "", "The Unix time, if one is signed (default: now, in seconds)")
	return cmd
}
