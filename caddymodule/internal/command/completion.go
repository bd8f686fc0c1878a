package command

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// completionLimit bounds how long a shell waits for ids of widgets.
const completionLimit = 500 * time.Millisecond

// completeID completes the id of a widget. Whatever fails, there is nothing to complete:
// a shell has no place for errors.
func completeID(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || cmd.Flags().Changed("config") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionLimit)
	defer cancel()
	var found adminapi.Overview
	if c, err := clientAt(cmd.Flag("address").Value.String()); err == nil {
		_, _, _ = c.ask(ctx, &apiRequest{method: http.MethodGet, path: adminapi.Path + "overview?sort=id&limit=100&prefix=" + url.QueryEscape(begun)}, &found)
	}
	var ids []string
	for _, w := range found.Widgets {
		ids = append(ids, plain(w.ID))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeFlag completes a flag that takes one of these values.
func completeFlag(cmd *cobra.Command, name string, values ...string) {
	// It fails only for a flag that does not exist.
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}

// completeDialect completes the flag for a dialect.
func completeDialect(cmd *cobra.Command) {
	completeFlag(cmd, "dialect", strings.Split(adminapi.Dialects(), ", ")...)
}
