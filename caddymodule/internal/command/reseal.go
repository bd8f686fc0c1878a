package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// errNotResealed fails a resealing that left something out, which standard output
// lists already.
var errNotResealed = errors.New("not everything was resealed")

func resealCommand() *cobra.Command {
	var admin adminFlags
	var yes bool
	cmd := &cobra.Command{
		Use:  "reseal [--yes]",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				if err := confirm(cmd, "Has every gateway of this store the encryption key that is first here? One without it refuses with 503 what is resealed."); err != nil {
					return err
				}
			}
			var done adminapi.Resealed
			r := &apiRequest{method: http.MethodPost, path: adminapi.Path + "reseal", limit: writingLimit,
				lost: "it is safe to reseal again; 'caddy chat-identity show <id>' shows a widget's keys"}
			err := admin.print(cmd, r, &done, func() bool { return done.KeyID != "" }, func(w io.Writer) error {
				rows := [][]string{{"key:", plain(done.KeyID)}, {"resealed:", fmt.Sprint(done.Resealed)}, {"unchanged:", fmt.Sprint(done.Unchanged)}}
				for _, f := range done.Failed {
					rows = append(rows, []string{"failed:", plain(widgets.NameOf(f.ID)) + ": " + plain(f.Error)})
				}
				return writeTable(w, rows)
			})
			switch {
			case err != nil:
				return err
			case len(done.Failed) > 0:
				cmd.SilenceErrors = admin.json
				return errNotResealed
			case !admin.json:
				cmd.PrintErrln("Every gateway of this store needs this key now: one without it refuses with 503 what was resealed. " +
					"Once every gateway has it first, the keys after it can be removed; backups from before still need them.")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "Do not ask")
	return admin.addStore(cmd)
}
