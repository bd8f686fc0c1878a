package command

import (
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func storeCommand() *cobra.Command {
	return lossCommand("store", "Handles the loss of the stored widgets", &cobra.Command{
		Short: "Accepts that the stored widgets were lost, and continues without them",
		Long: `
A gateway notices if its store no longer has the widgets that it knew, because
Redis was emptied or replaced, or the file was deleted or replaced by another. It
logs that, serves the widgets that it still has in memory as if the store were
unreachable, and says so in its health, until the widgets are back: restored, or
imported from a backup. This command is for widgets that will not come back. With
Redis, it accepts the loss for all gateways that knew the same widgets. A file that
is gone is created, empty.`,
	}, func(done *adminapi.Acceptance) string {
		if done.Accepted {
			return "The loss of the widgets is accepted: requests for those that are not in the store are widget_unknown."
		}
		return "Nothing to accept: the store has the widgets that this gateway knows."
	})
}

func ledgerCommand() *cobra.Command {
	return lossCommand("ledger", "Handles the loss of a gateway's ledger", &cobra.Command{
		Short: "Accepts that the ledger was lost, and continues with the new one",
		Long: `
A gateway notices if its ledger is not the one that it used before, because the
file was deleted or replaced. It logs that, and refuses requests that name a
conversation, until the old ledger is back or this command accepts the loss. From
then on, conversations and visitors that had been claimed can be claimed again;
one-time signatures from before the loss stay refused. If the ledger's file was
removed while the gateway was running, the gateway then creates a new one.

A Redis that was emptied is a lost ledger, too, but conversations continue.

In a fleet, run it on each gateway that reports the loss.`,
	}, func(done *adminapi.Acceptance) string {
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
func lossCommand(name, short string, accept *cobra.Command, text func(*adminapi.Acceptance) string) *cobra.Command {
	cmd := &cobra.Command{Use: name + " <command>", Short: short, RunE: subcommandMissing}
	cmd.AddGroup(&cobra.Group{ID: ofGateway, Title: "Commands of a running gateway:"})
	var admin adminFlags
	accept.Use, accept.Args, accept.GroupID = "accept-loss", noArguments, ofGateway
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
