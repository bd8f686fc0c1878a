package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func listCommand() *cobra.Command {
	var admin adminFlags
	return admin.addStore(&cobra.Command{
		Use:  "list",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			all, err := c.pages(cmd.Context(), widgetsPath+"?limit=1000&after=")
			if err != nil {
				return err
			}
			if c.loss != "" {
				cmd.PrintErrln("Not all widgets are known: " + plain(c.loss) + ".")
			}
			if admin.json {
				return printJSON(cmd, all)
			}
			if len(all) == 0 {
				cmd.PrintErrln("There are no widgets yet: create one with 'caddy chat-identity create <id>'.")
				return nil
			}
			rows := [][]string{{"ID", "MODE", "EFFECTIVE", "DIALECT", "SOURCE", "ROTATED", "SECRETS"}}
			for _, raw := range all {
				var w adminapi.Widget
				if json.Unmarshal(raw, &w) != nil || w.ID == "" {
					return c.unexpectedAnswer(&apiRequest{})
				}
				rows = append(rows, listRow(&w))
			}
			return writeTable(cmd.OutOrStdout(), rows)
		},
	})
}

func listRow(w *adminapi.Widget) []string {
	secrets := "-"
	grace, _ := inGrace(w)
	switch {
	case w.Unavailable != "":
		secrets = "unavailable"
	case grace > 0:
		secrets = fmt.Sprintf("%d + %d in grace", len(w.Secrets)-grace, grace)
	case w.JWKS != "":
		secrets = "key set"
	case len(w.PublicKeys) > 0:
		secrets = adminapi.Count(uint64(len(w.PublicKeys)), "public key")
	case len(w.Secrets) > 0:
		secrets = strconv.Itoa(len(w.Secrets))
	}
	return []string{plain(w.ID), orDash(w.Mode), orDash(w.EffectiveMode), orDash(w.Dialect), orDash(w.Source), localTime(w.Rotated), secrets}
}

// pages returns all elements of a paged list. Each page is requested by the last id
// of the one before. The target of a server's Link is ignored, so that all requests
// go where the first one went.
func (c *adminClient) pages(ctx context.Context, path string) ([]json.RawMessage, error) {
	all := []json.RawMessage{}
	for after := ""; ; {
		var page []json.RawMessage
		_, header, err := c.ask(ctx, &apiRequest{method: http.MethodGet, path: path + url.QueryEscape(after)}, &page)
		if err != nil {
			return nil, err
		}
		all, c.loss = append(all, page...), header.Get(adminapi.LossHeader)
		if header.Get("Link") == "" {
			return all, nil
		}
		var last struct{ ID string }
		if len(page) == 0 || json.Unmarshal(page[len(page)-1], &last) != nil || last.ID <= after {
			return nil, c.unexpectedAnswer(&apiRequest{}) // the list would never end
		}
		after = last.ID
	}
}
