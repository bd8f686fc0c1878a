// Package command is "caddy chat-identity": the client of the admin API, and what needs
// no gateway, such as signing a claim and explaining one. Each command has the file of
// its name; claim.go has what sign and explain share, client.go how the API is asked.
package command

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Environment variables for secrets. There are no flags for them, because every
// process on a machine can read the command lines of all others.
const (
	secretVariable         = "CHAT_IDENTITY_SECRET"
	previousSecretVariable = "CHAT_IDENTITY_PREVIOUS_SECRET"
	encryptionKeyVariable  = "CHAT_IDENTITY_ENCRYPTION_KEY"
)

// maxInput is the default max_body. Gateways read no larger claims.
const maxInput = 1 << 20

// errNotVerified is the exit status of a claim that does not verify. The
// explanation is on standard output already.
var errNotVerified = errors.New("the claim does not verify")

// The groups of commands, in the order of the help.
const (
	withoutServer = "without"
	ofGateway     = "gateway"
)

func init() {
	short, long, _ := helpOf("chat-identity")
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "chat-identity",
		Usage: "<command>",
		Short: short,
		Long:  long,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddGroup(&cobra.Group{ID: withoutServer, Title: "Commands that need no server:"},
				&cobra.Group{ID: ofGateway, Title: "Commands for a running gateway; those on widgets and keys also work on its store (--config):"})
			add := func(group string, complete cobra.CompletionFunc, commands ...*cobra.Command) {
				for _, sub := range commands {
					sub.GroupID, sub.ValidArgsFunction = group, complete
					sub.Short, sub.Long, sub.Example = helpOf(sub.Name())
					for _, child := range sub.Commands() {
						child.GroupID = group
						child.Short, child.Long, child.Example = helpOf(sub.Name() + " " + child.Name())
					}
				}
				cmd.AddCommand(commands...)
			}
			add(withoutServer, nil, keygenCommand(), signCommand(), explainCommand(), checkCommand(), versionCommand())
			add(ofGateway, completeID, showCommand(), setCommand(), rotateCommand(), revealCommand(), deleteCommand(), readinessCommand())
			add(ofGateway, nil, createCommand(), listCommand(), keysCommand(), resealCommand(), storeCommand(), ledgerCommand(), exportCommand(),
				importCommand(), statsCommand(), healthCommand(), dashboardCommand())
			cmd.RunE = subcommandMissing
			cmd.SetFlagErrorFunc(flagError)
		},
	})
}

// help is the help text of all commands. Each begins with a number sign and the command's
// name. One line says what it does, paragraphs say more, and examples come last.
//
//go:embed help.txt
var help string

// helpOf returns what a command says of itself.
func helpOf(name string) (short, long, examples string) {
	_, text, found := strings.Cut("\n"+help, "\n# "+name+"\n")
	if !found {
		panic("help.txt has nothing of " + name)
	}
	text, _, _ = strings.Cut(text, "\n# ")
	text, examples, _ = strings.Cut(text, "\n\nExamples:\n")
	short, long, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return short, long, strings.TrimRight(examples, "\n")
}

// subcommandMissing runs where the subcommand is missing or unknown.
func subcommandMissing(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, group := range cmd.Groups() {
		for _, sub := range cmd.Commands() {
			if sub.GroupID == group.ID {
				names = append(names, sub.Name())
			}
		}
	}
	return fmt.Errorf("unknown command: use one of %s", strings.Join(names, ", "))
}

// noArguments refuses arguments without repeating them: one could be a secret.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no arguments, only flags. "+replaceSecret, cmd.Name())
}

// oneWidget demands a widget id and nothing else, and does not repeat it either.
func oneWidget(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("%s needs a widget id: caddy chat-identity %s <id>", cmd.Name(), cmd.Name())
	case len(args) > 1:
		return fmt.Errorf("%s takes one argument, the widget id, and flags. "+replaceSecret, cmd.Name())
	case !widgets.ValidID(args[0]):
		return errors.New("invalid widget id: use 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")
	}
	return nil
}

// replaceSecret ends errors about arguments, any of which could be a secret.
const replaceSecret = "Never pass a secret as an argument: if you did, replace it, since other processes could see it"

// adminSocket is what to do about an admin endpoint that is off.
const adminSocket = "give it one on a unix socket: admin unix//run/caddy-admin.sock"

// flagError says what is wrong with a flag without repeating its value, which could
// be a secret, as could the rest of a one-letter flag.
func flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return subcommandMissing(cmd, cmd.Flags().Args()) // its flags are unknown because it is
	}
	type named interface { // an unknown flag, or one without its value
		error
		GetSpecifiedName() string
		GetSpecifiedShortnames() string
	}
	flag, ok := errors.AsType[named](err)
	switch {
	case !ok:
		return errors.New("a flag is misspelled, or has a value that it does not take. " + replaceSecret)
	case flag.GetSpecifiedShortnames() != "":
		return errors.New("unknown flag: there are no one-letter flags. " + replaceSecret)
	case flag.GetSpecifiedName() == "config" && cmd.Flags().Lookup("address") != nil:
		return fmt.Errorf("%s asks the running gateway, since its store does not know the answer: pass --address in place of --config. "+
			"Where its admin endpoint is off, "+adminSocket, cmd.Name())
	case strings.HasPrefix(flag.GetSpecifiedName(), "secret"):
		return fmt.Errorf("%w. %s", err, replaceSecret)
	}
	return err
}
