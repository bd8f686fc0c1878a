package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func signCommand() *cobra.Command {
	var f claimFormat
	var user, email, name, nonce, timestamp string
	var token, headers bool
	var o tokenOptions
	cmd := &cobra.Command{
		Use:  "sign --user <id> [--token] [--dialect <name>] [--email <address>] [--name <name>]",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			claim := map[verifier.Field]string{
				verifier.UserID: user, verifier.Email: email, verifier.Name: name, verifier.Nonce: nonce, verifier.Timestamp: timestamp,
			}
			if headers {
				f.prefers = "header"
			}
			if token && !cmd.Flags().Changed("dialect") {
				f.dialect = tokenDialect
			}
			checker, err := f.checker(f.dialect)
			if err != nil {
				return err
			}
			var fields []sent
			var key *verifier.Key
			if token || checker.dialect.Message == "" {
				key, fields, err = f.signToken(cmd, checker, claim, o)
			} else {
				key, fields, err = checker.sign(cmd, claim)
			}
			if err != nil {
				return err
			}
			text := checker.object(fields)
			if headers {
				if text, err = checker.headers(fields); err != nil {
					return err
				}
			}
			if err := checker.accepts(cmd, text, key); err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&token, "token", false, "Sign a token (JWT) in place of the user id; always, if the dialect\nhas no other proof (default dialect: "+tokenDialect+")")
	cmd.Flags().BoolVar(&headers, "headers", false, "Print lines of headers, where all of the claim travels in headers")
	cmd.Flags().DurationVar(&o.expires, "expires", time.Hour, "When a token expires, from now; 0 for never")
	cmd.Flags().StringVar(&o.kid, "kid", "", "The id of the key in a token's header (default: none)")
	cmd.Flags().StringVar(&user, "user", "", "The user's id (required, but where an e-mail address is signed)")
	cmd.Flags().StringVar(&email, "email", "", "The user's e-mail address")
	cmd.Flags().StringVar(&name, "name", "", "The user's name")
	cmd.Flags().StringVar(&nonce, "nonce", "", "The nonce, if one is signed (default: random)")
	cmd.Flags().StringVar(&timestamp, "timestamp", "", "The Unix time, if one is signed (default: now, in seconds)")
	return cmd
}

// sign signs a claim, and returns its fields and the key.
func (c *checker) sign(cmd *cobra.Command, claim map[verifier.Field]string) (*verifier.Key, []sent, error) {
	id, err := c.subject(claim)
	if err == nil {
		err = c.complete(claim)
	}
	if err != nil {
		return nil, nil, err
	}
	secret, err := signingSecret(cmd)
	if err == nil {
		secret, err = c.decode(secret)
	}
	if err != nil {
		return nil, nil, err
	}
	key := verifier.NewKey(secret)
	if claim[verifier.Signature], err = c.verifier.Sign(key, claim); err != nil {
		return nil, nil, fmt.Errorf("a gateway would refuse this claim: %s", inWords(err))
	}
	return key, c.place(claim, id), nil
}

// accepts says why a gateway would not take what sign prints. A signature may be of any
// time.
func (c *checker) accepts(cmd *cobra.Command, text document, key *verifier.Key) error {
	var reading verifier.Reading
	_, err := c.verify(text, &reading, []*verifier.Key{key})
	byToken := len(reading.Unverified(verifier.TokenField)) > 0
	switch left := reading.LeftOut(); {
	case errors.Is(err, verifier.ErrExpired) && byToken:
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: a gateway refuses this token, which has expired or expires more than %s from now: see --expires.\n", period.Text(c.verifier.Dialect().Token.MaxLifetime))
	case errors.Is(err, verifier.ErrExpired):
	case err != nil && byToken:
		return fmt.Errorf("a gateway would refuse this token: %s", inWords(err))
	case err != nil:
		return fmt.Errorf("a gateway would refuse this claim: %s", inWords(err))
	case len(left) > 0:
		return fmt.Errorf("a gateway would leave a field out: %s", inWords(left[0]))
	}
	return nil
}
