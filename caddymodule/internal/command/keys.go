package command

import (
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys <command>", RunE: subcommandMissing}
	cmd.AddGroup(&cobra.Group{ID: ofGateway, Title: "Commands for a running gateway, or for its store (--config):"})
	cmd.AddCommand(keysListCommand(), keysRotateCommand())
	return cmd
}

func keysListCommand() *cobra.Command {
	var admin adminFlags
	return admin.addStore(&cobra.Command{
		Use:  "list",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := admin.keys(cmd, &apiRequest{method: http.MethodGet, path: adminapi.Path + "keys"})
			return err
		},
	})
}

func keysRotateCommand() *cobra.Command {
	var admin adminFlags
	return admin.addStore(&cobra.Command{
		Use:  "rotate",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := admin.keys(cmd, &apiRequest{method: http.MethodPost, path: adminapi.Path + "keys/rotate",
				lost: "it is safe to rotate again: a next key that does not sign yet stays the next one"})
			switch {
			case err != nil || admin.json:
			case done.Changed != nil && *done.Changed:
				cmd.PrintErrln("The next key signs 10 minutes after it was created.")
			default:
				cmd.PrintErrln("Nothing was changed: there is a next key already, which signs 10 minutes after it was created.")
			}
			return err
		},
	})
}

// keys prints the keys of an answer.
func (f *adminFlags) keys(cmd *cobra.Command, r *apiRequest) (done adminapi.SigningKeys, err error) {
	err = f.print(cmd, r, &done, func() bool { return done.Keys != nil }, func(w io.Writer) error {
		if len(done.Keys) == 0 {
			cmd.PrintErrln("There are no keys: the first is created when a request, or a reader of the key set, needs it.")
			return nil
		}
		rows := [][]string{{"KID", "STATE", "CREATED"}}
		for _, key := range done.Keys {
			rows = append(rows, []string{plain(key.ID), plain(key.State), localTime(key.Created)})
		}
		return writeTable(w, rows)
	})
	return done, err
}
