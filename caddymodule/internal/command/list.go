package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

func listCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Lists the widgets, without their secrets",
		Long: `
Lists the widgets of a running gateway, without their secrets. A dash means
that the widget leaves the mode or dialect to the handler, or that its handlers
differ. For a widget declared in the configuration (inline) the API shows
nothing more.`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), answerLimit)
			defer cancel()
			all, err := c.pages(ctx, widgetsPath, "limit=1000")
			if err != nil {
				return err
			}
			if admin.json {
				return writeJSON(cmd.OutOrStdout(), joinArray(all))
			}
			if len(all) == 0 {
				cmd.PrintErrln("There is no widget yet: 'caddy chat-identity create <id>' makes one.")
				return nil
			}
			rows := [][]string{{"ID", "MODE", "DIALECT", "SOURCE", "ROTATED", "SECRETS"}}
			for _, raw := range all {
				var w adminapi.Widget
				if json.Unmarshal(raw, &w) != nil || w.ID == "" {
					return c.strange(&apiRequest{})
				}
				rows = append(rows, listRow(&w))
			}
			return writeTable(cmd.OutOrStdout(), rows)
		},
	}
	admin.add(cmd)
	return cmd
}

func listRow(w *adminapi.Widget) []string {
	rotated, secrets := "-", "-"
	if !w.Rotated.IsZero() {
		rotated = localTime(w.Rotated)
	}
	grace, _ := inGrace(w)
	switch {
	case w.Unavailable != "":
		secrets = "unavailable"
	case grace > 0:
		secrets = fmt.Sprintf("%d + %d in grace", len(w.Secrets)-grace, grace)
	case len(w.Secrets) > 0:
		secrets = strconv.Itoa(len(w.Secrets))
	}
	return []string{plain(w.ID), orDash(w.Mode), orDash(w.Dialect), orDash(w.Source), rotated, secrets}
}

// pages returns the elements of a list that comes in pages, all of them.
func (c *adminClient) pages(ctx context.Context, path, query string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	asked := map[string]bool{}
	for {
		if asked[query] {
			return nil, c.strange(&apiRequest{}) // it would never end
		}
		asked[query] = true
		var page []json.RawMessage
		_, header, err := c.ask(ctx, &apiRequest{method: http.MethodGet, path: path + "?" + query}, &page)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		target, more := linkNext(header.Values("Link"))
		if !more {
			return all, nil
		}
		// Of the target only the query is taken: whatever host a server names,
		// the next request goes where the first one went.
		next, err := (&url.URL{Path: path}).Parse(target)
		if err != nil || next.Path != path {
			return nil, c.strange(&apiRequest{})
		}
		query = next.RawQuery
	}
}

// joinArray returns the JSON array of these elements.
func joinArray(elements []json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, element := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(element)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// linkNext returns the target of the link to the next page, which Link headers
// give (RFC 8288 section 3).
func linkNext(fields []string) (target string, ok bool) {
	for _, field := range fields {
		for {
			var rest string
			if _, rest, ok = strings.Cut(field, "<"); !ok {
				break
			}
			if target, rest, ok = strings.Cut(rest, ">"); !ok {
				break
			}
			var parameters string
			parameters, field = cutUnquoted(rest, ',')
			for parameters != "" {
				var parameter string
				parameter, parameters = cutUnquoted(parameters, ';')
				name, value, _ := strings.Cut(parameter, "=")
				if !strings.EqualFold(strings.TrimSpace(name), "rel") {
					continue
				}
				// One link may have several relations.
				for _, relation := range strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)) {
					if strings.EqualFold(relation, "next") {
						return target, true
					}
				}
			}
		}
	}
	return "", false
}

// cutUnquoted cuts a text at the first such byte that is not within quotes.
func cutUnquoted(text string, at byte) (before, after string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == at && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}
