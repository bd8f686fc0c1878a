package caddymodule

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Environment variables that hold secrets. There is no flag for one: every
// process of a machine can read the command lines of the others.
const (
	secretVariable         = "CHAT_IDENTITY_SECRET"
	previousSecretVariable = "CHAT_IDENTITY_PREVIOUS_SECRET"
)

// maxInput is the default max_body: what no gateway reads need not be explained.
const maxInput = 1 << 20

// errNotVerified is the exit status of an explanation that ends badly. Its
// text is on standard output already.
var errNotVerified = errors.New("the claim does not verify")

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "chat-identity",
		Usage: "<command>",
		Short: "Makes secrets for chat widgets, signs claims and explains them",
		Long: `
Tools for the chat_identity module. None of these commands needs a running
server:

  keygen   prints a new secret
  sign     prints a signed claim, as a customer's server makes it
  explain  says whether a claim verifies, and if not, which mistake was made

A secret is read from the environment variable ` + secretVariable + `
or else from standard input. It is never an argument, since every process of
the machine can see those.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(keygenCommand(), signCommand(), explainCommand())
			cmd.RunE = subcommandMissing
		},
	})
}

// subcommandMissing answers a call without a subcommand, or with an unknown one.
func subcommandMissing(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return fmt.Errorf("no such command: one of %s", strings.Join(names, ", "))
}

// noArguments refuses arguments without repeating them: one may be a secret.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no arguments but its flags: a secret is given in %s or on standard input, a claim on standard input. "+
		"If that was a secret, replace it: other processes could see it", cmd.Name(), secretVariable)
}

func keygenCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "keygen [--json]",
		Short: "Prints a new secret for a widget",
		Long: `
Prints 32 random bytes as 64 hexadecimal digits. What signs is that text: no
side decodes it.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var random [32]byte
			_, _ = rand.Read(random[:]) // never fails: it ends the process first
			secret := hex.EncodeToString(random[:])
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Secret string `json:"secret"`
				}{secret})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), secret)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print a JSON object")
	return cmd
}
