package command

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// errDown is the exit status of a gateway that is down. Standard output says why.
var errDown = errors.New("the gateway is down")

func healthCommand() *cobra.Command {
	var admin adminFlags
	return admin.add(&cobra.Command{
		Use:   "health",
		Short: "Says whether the gateway can do its work, and what to do if not",
		Long: `
Prints ok, degraded or down, and each problem with what to do about it. A degraded
gateway still serves requests, for example from memory while its store is
unreachable. One that is down cannot: the exit status is then 1.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var health adminapi.Health
			r := &apiRequest{method: http.MethodGet, path: adminapi.Path + "health", also: http.StatusServiceUnavailable}
			err := admin.print(cmd, r, &health, func() bool { return slices.Contains(adminapi.Statuses, health.Status) }, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, health.Status)
				for _, problem := range health.Problems {
					_, err = fmt.Fprintln(w, "- "+plain(problem))
				}
				return err
			})
			if err == nil && health.Status == adminapi.Down {
				cmd.SilenceErrors = admin.json
				err = errDown
			}
			return err
		},
	})
}
