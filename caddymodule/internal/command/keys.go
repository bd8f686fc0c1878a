package command

import (
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/assertion"
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
	var replace bool
	cmd := &cobra.Command{
		Use:  "rotate [--replace]",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &apiRequest{method: http.MethodPost, path: adminapi.Path + "keys/rotate",
				lost: "it is safe to rotate again: a next key that does not sign yet stays the next one"}
			if replace {
				r.path += "?replace=true"
			}
			done, err := admin.keys(cmd, r)
			if err == nil && !admin.json {
				cmd.PrintErrln(rotationText(&done))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "Replace stored keys that cannot be decrypted")
	return admin.addStore(cmd)
}

// rotationText says what a rotation has changed, and when the next key signs.
func rotationText(done *adminapi.SigningKeys) string {
	signs := "signs at " + localTime(done.Keys[0].Created.Add(assertion.Notice)) + ", 10 minutes after it was created"
	switch {
	case done.Replaced == adminapi.ReplacedByKnown:
		return "The stored keys, which could not be decrypted, were replaced by those that this gateway knows. The next key " + signs + "."
	case done.Replaced != "":
		return "The stored keys, which could not be decrypted, were replaced by a new one, which signs at once: a backend that has kept the key set refuses its assertions until it reads that again. The next key " + signs + "."
	case done.Changed != nil && *done.Changed:
		return "The next key " + signs + "."
	}
	return "Nothing was changed: there is a next key already, which " + signs + "."
}

// keys prints the keys of an answer.
func (f *adminFlags) keys(cmd *cobra.Command, r *apiRequest) (done adminapi.SigningKeys, err error) {
	rotated := r.method == http.MethodPost
	err = f.print(cmd, r, &done, func() bool { return done.Keys != nil && (!rotated || len(done.Keys) > 0) }, func(w io.Writer) error {
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
