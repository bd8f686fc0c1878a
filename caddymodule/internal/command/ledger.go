package command

import (
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func ledgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ledger <command>",
		Short: "Handles the loss of a gateway's ledger",
		RunE:  subcommandMissing,
	}
	cmd.AddGroup(&cobra.Group{ID: ofGateway, Title: "Commands of a running gateway:"})
	accept := acceptLossCommand()
	accept.GroupID = ofGateway
	cmd.AddCommand(accept)
	return cmd
}

func acceptLossCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "accept-loss",
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
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var done adminapi.Acceptance
			r := &apiRequest{method: http.MethodPost, path: adminapi.Path + "ledger/accept-loss", lost: "it is safe to accept it again"}
			return admin.print(cmd, r, &done, func() bool { return done.Ledger != "" }, func(io.Writer) error {
				if done.Accepted {
					cmd.PrintErrf("The loss of the ledger %s is accepted: %s replaces it.\n", orDash(done.Lost), plain(done.Ledger))
				} else {
					cmd.PrintErrf("Nothing to accept: this gateway already uses the ledger that it knows, %s. It cannot tell whether the file is an older copy.\n", plain(done.Ledger))
				}
				return nil
			})
		},
	}
	admin.add(cmd)
	return cmd
}
