package command

import (
	"io"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func versionCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:  "version [--json]",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			own := adminapi.Version()
			caddys, _ := caddy.Version()
			return out.print(cmd, map[string]string{"version": own, "caddy": caddys}, func(w io.Writer) error {
				return writeTable(w, [][]string{{"chat-identity", own}, {"caddy", caddys}})
			})
		},
	}
	out.flag(cmd)
	return cmd
}
