package caddymodule

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// shownReadiness is the admin API's answer about a widget's readiness.
type shownReadiness struct {
	Widget, Mode                string
	Now, From                   time.Time
	Requests, Verified, Refused uint64
	Disabled                    uint64
	Refusals                    []shownRefusals
	LeftOut                     []struct {
		Field string
		Count uint64
	} `json:"left_out"`
}

type shownRefusals struct {
	Reason string
	Count  uint64
	Always bool
	Hints  []struct {
		Text  string
		Count uint64
	}
	Examples []struct {
		At        time.Time
		RequestID string `json:"request_id"`
		Hint      string
	}
}

func readinessCommand() *cobra.Command {
	var admin adminFlags
	cmd := &cobra.Command{
		Use:   "readiness <id>",
		Short: "Says what required mode would have refused",
		Long: `
Says whether a widget can be switched to required mode: what that would have
refused of its requests in the last day, why, which mistake is behind it, and
the ids of the last such requests, which are in the logs, too. What a gateway
was not asked in that time, it knows nothing of; in a fleet ask each.`,
		Example: "  caddy chat-identity readiness shop\n  caddy chat-identity set shop --mode required",
		Args:    oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			var shown shownReadiness
			r := &apiRequest{method: http.MethodGet, path: widgetPath(args[0]) + "/readiness"}
			raw, err := admin.ask(cmd, r, &shown, func() bool { return shown.Widget == args[0] })
			if err != nil {
				return err
			}
			if admin.json {
				return writeJSON(cmd.OutOrStdout(), raw)
			}
			return shown.print(cmd.OutOrStdout())
		},
	}
	admin.add(cmd)
	return cmd
}

// print writes it for people. What comes from a server is plain text by then.
func (s *shownReadiness) print(w io.Writer) error {
	var b strings.Builder
	span := s.Now.Sub(s.From).Round(time.Second)
	would := "would have refused"
	if s.Mode == modeRequired.String() {
		would = "has or would have refused" // since it is required, and before
	}
	fmt.Fprintf(&b, "required %s %d of %s since %s (%v).\n", would, s.Refused, requestCount(s.Requests-min(s.Disabled, s.Requests)), localTime(s.From), span)
	if s.Disabled > 0 {
		fmt.Fprintf(&b, "%s in mode off, of which nothing is known.\n", requestCount(s.Disabled))
	}
	for i := range s.Refusals {
		s.Refusals[i].print(&b)
	}
	for i, f := range s.LeftOut {
		if i == 0 {
			b.WriteString("\nleft out for how they were sent, which refuses nobody:\n")
		}
		fmt.Fprintf(&b, "  %s of %s\n", plain(f.Field), requestCount(f.Count))
	}
	fmt.Fprintf(&b, "\nready: %s\n", s.verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *shownRefusals) print(b *strings.Builder) {
	fmt.Fprintf(b, "\n%d %s", r.Count, plain(cmp.Or(r.Reason, "-")))
	if r.Always {
		b.WriteString(" (refused in optional mode, too)")
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

// verdict says whether required mode can be switched to.
func (s *shownReadiness) verdict() string {
	unsigned := uint64(0)
	for _, r := range s.Refusals {
		if r.Reason == string(verifier.Missing) {
			unsigned = r.Count
		}
	}
	switch {
	case s.Mode == modeRequired.String():
		return "it is required already"
	case s.Requests == s.Disabled:
		return "not known, no request was looked at: let some through in optional mode"
	case s.Refused == 0:
		return "yes"
	case s.Refused == unsigned:
		return "yes, if nobody is to chat without signing in: all of these had no claim at all"
	}
	return "no"
}

func requestCount(n uint64) string {
	if n == 1 {
		return "1 request"
	}
	return fmt.Sprintf("%d requests", n)
}
