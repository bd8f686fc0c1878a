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
		Use:  "health",
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
