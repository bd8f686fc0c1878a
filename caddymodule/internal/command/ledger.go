package command

import (
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
		Short: "Accepts that the ledger was lost, and has the new one take its place",
		Long: `
A gateway notices when its ledger is not the one that it used before, because
the file was deleted or replaced. It says so in its log, and
refuses requests that name a conversation, until the old ledger is back, or until
this command accepts the loss. Conversations and visitors that were taken are free
to take then. One-time signatures from before the loss stay refused. Where the
ledger's file was removed from under a running gateway, this command has a new
one created.

A Redis that was emptied is a lost ledger, too, but conversations go on after it.

In a fleet, run it at each gateway that complains.`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var done adminapi.Acceptance
			r := &apiRequest{method: http.MethodPost, path: adminapi.Path + "ledger/accept-loss", lost: "accepting it again does no harm"}
			raw, err := admin.ask(cmd, r, &done, func() bool { return done.Ledger != "" })
			switch {
			case err != nil:
				return err
			case admin.json:
				return writeJSON(cmd.OutOrStdout(), raw)
			case !done.Accepted:
				cmd.PrintErrf("Nothing to accept: this gateway already uses the ledger that it knows, %s. Whether its file is an older copy cannot be told.\n", plain(done.Ledger))
			default:
				cmd.PrintErrf("The loss of the ledger %s is accepted: %s takes its place.\n", orDash(done.Lost), plain(done.Ledger))
			}
			return nil
		},
	}
	admin.add(cmd)
	return cmd
}
