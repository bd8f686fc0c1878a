package command

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version [--json]",
		Short: "Prints the versions of this module and of Caddy",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			own := adminapi.Version()
			caddys, _ := caddy.Version()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": own, "caddy": caddys})
			}
			return writeTable(cmd.OutOrStdout(), [][]string{{"chat-identity", own}, {"caddy", caddys}})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print a JSON object")
	return cmd
}
