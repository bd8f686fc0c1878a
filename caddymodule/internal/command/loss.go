package command

import (
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func storeCommand() *cobra.Command {
	return lossCommand("store", func(done *adminapi.Acceptance) string {
		if done.Accepted {
			return "The loss of the widgets is accepted: requests for those that are not in the store are widget_unknown."
		}
		return "Nothing to accept: the store has the widgets that this gateway knows."
	})
}

func ledgerCommand() *cobra.Command {
	return lossCommand("ledger", func(done *adminapi.Acceptance) string {
		if !done.Accepted {
			return "Nothing to accept: this gateway already uses the ledger that it knows, " + plain(done.Ledger) + ". It cannot tell whether the file is an older copy."
		}
		text := "The loss of the ledger " + orDash(done.Lost) + " is accepted: " + plain(done.Ledger) + " replaces it."
		if !done.From.IsZero() {
			text += "\nOne-time signatures made before " + localTime(done.From) + " are not accepted."
		}
		return text
	})
}

// lossCommand returns a command with accept-loss, which prints the text.
func lossCommand(name string, text func(*adminapi.Acceptance) string) *cobra.Command {
	cmd := &cobra.Command{Use: name + " <command>", RunE: subcommandMissing}
	cmd.AddGroup(&cobra.Group{ID: ofGateway, Title: "Commands of a running gateway:"})
	var admin adminFlags
	accept := &cobra.Command{Use: "accept-loss", Args: noArguments}
	accept.RunE = func(cmd *cobra.Command, _ []string) error {
		var done *adminapi.Acceptance
		r := &apiRequest{method: http.MethodPost, path: adminapi.Path + name + "/accept-loss", lost: "it is safe to accept it again"}
		return admin.print(cmd, r, &done, func() bool { return done != nil && (done.Ledger != "") == (name == "ledger") }, func(io.Writer) error {
			cmd.PrintErrln(text(done))
			return nil
		})
	}
	admin.add(accept)
	cmd.AddCommand(accept)
	return cmd
}
