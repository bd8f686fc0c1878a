package command

import (
	"cmp"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
)

const modulePath = "github.com/chatidentity/caddy-chat-identity"

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version [--json]",
		Short: "Prints the versions of this module and of Caddy",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			caddyVersion, _ := caddy.Version()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"version": moduleVersion(), "caddy": caddyVersion})
			}
			return writeTable(cmd.OutOrStdout(), [][]string{{"chat-identity", moduleVersion()}, {"caddy", caddyVersion}})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print a JSON object")
	return cmd
}

// moduleVersion is the version with which this module was built into Caddy.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path != modulePath {
			continue
		}
		if m.Replace != nil {
			return cmp.Or(m.Replace.Version, m.Version) + " (replaced)"
		}
		return cmp.Or(m.Version, "(devel)")
	}
	return "unknown"
}
