package command

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

func readinessCommand() *cobra.Command {
	var admin adminFlags
	return admin.add(&cobra.Command{
		Use:  "readiness <id>",
		Args: oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			var shown adminapi.Readiness
			r := &apiRequest{method: http.MethodGet, path: widgetPath(args[0]) + "/readiness"}
			return admin.print(cmd, r, &shown, func() bool { return shown.Widget == args[0] }, func(w io.Writer) error {
				return printReadiness(w, &shown)
			})
		},
	})
}

func printReadiness(w io.Writer, s *adminapi.Readiness) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nsince %s: %s, %d verified, %d that required mode refuses, %d in mode off\n",
		cmp.Or(plain(s.Text), orDash(string(s.Verdict))), localTime(s.From), requestCount(s.Requests), s.Verified, s.Refused, s.Disabled)
	for i := range s.Refusals {
		printRefusals(&b, &s.Refusals[i])
	}
	for i, f := range s.LeftOut {
		if i == 0 {
			b.WriteString("\nleft out because of how they were sent (no request was refused for it):\n")
		}
		fmt.Fprintf(&b, "  %s of %s\n", plain(f.Field), requestCount(f.Count))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printRefusals(b *strings.Builder, r *traffic.ReasonCounts) {
	fmt.Fprintf(b, "\n%d %s", r.Count, orDash(string(r.Reason)))
	if r.Always {
		b.WriteString(" (refused in optional mode, too)")
	}
	if len(r.Hints) > 0 && r.Diagnosed < r.Count {
		fmt.Fprintf(b, ", hints from %d of %s", r.Diagnosed, requestCount(r.Count))
	}
	b.WriteByte('\n')
	for _, h := range r.Hints {
		fmt.Fprintf(b, "  %d: %s\n", h.Count, plain(h.Text))
	}
	for _, e := range r.Examples {
		fmt.Fprintf(b, "  %s  %s", localTime(e.At), plain(e.RequestID))
		if len(r.Hints) == 0 || r.Hints[0].Text != e.Hint {
			fmt.Fprintf(b, "  %s", plain(e.Hint))
		}
		b.WriteByte('\n')
	}
}

func requestCount(n uint64) string { return adminapi.Count(n, "request") }
