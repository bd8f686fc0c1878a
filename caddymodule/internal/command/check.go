package command

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
)

func checkCommand() *cobra.Command {
	var file, adapter string
	var out output
	cmd := &cobra.Command{
		Use:  "check [--config <file>] [--adapter <name>] [--json]",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := check(file, adapter)
			if err != nil {
				err = ownError(err)
				if out.json { // a script reads that alone
					report = &findings.Report{Findings: []findings.Finding{}, Required: []string{}, Error: err.Error()}
					err = cmp.Or(out.print(cmd, report, nil), err)
				}
				return err
			}
			err = out.print(cmd, report, func(w io.Writer) error { return printReport(w, report) })
			if n := len(report.Findings); err == nil && n > 0 {
				err = fmt.Errorf("findings: %d", n)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "The configuration file")
	cmd.Flags().StringVar(&adapter, "adapter", "", "The adapter for a file that is neither a Caddyfile nor JSON")
	out.flag(cmd)
	return cmd
}

// checkedApp is the module's app, which this package does not import.
type checkedApp interface {
	Check() (*findings.Report, error)
}

// check provisions a configuration as "caddy validate" does. Logs and certificates are the
// gateway's, so neither are written where the configuration says.
func check(file, adapter string) (*findings.Report, error) {
	quiet := &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "FATAL"}},
	}}
	if _, err := caddy.ProvisionContext(&caddy.Config{Logging: quiet}); err != nil { // for the adapter
		return nil, err
	}
	text, err := loadConfig(file, adapter)
	if err != nil {
		return nil, err
	}
	config := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(text, config); err != nil {
		return nil, fmt.Errorf("decoding config: %w", err)
	}
	folder, err := os.MkdirTemp("", "chat-identity-check-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": folder})
	if err != nil {
		return nil, err
	}
	config.Logging, config.StorageRaw = quiet, storage
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		return nil, err
	}
	app, err := ctx.AppIfConfigured("chat_identity")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, errors.New("this configuration has no chat_identity: add the directive to a site")
	}
	if err != nil {
		return nil, err
	}
	return app.(checkedApp).Check()
}

// ownError begins with what is wrong, not with Caddy's way to the module.
func ownError(err error) error {
	text := err.Error()
	for _, way := range []string{
		"adapting config using caddyfile: ", "parsing caddyfile tokens for 'chat_identity': ", "http.handlers.chat_identity: ",
		"decoding module config: chat_identity: ", "provision chat_identity: ",
	} {
		if _, after, found := strings.Cut(text, way); found {
			text = after
		}
	}
	if place := placeInJSON(err.Error()); place != "" && !strings.Contains(text, ", at ") {
		text += ", at " + place
	}
	return errors.New(text)
}

// inRoutes matches what of Caddy's way to a handler says where in the JSON it is.
var inRoutes = regexp.MustCompile(`\b(?:route (\d+)|position (\d+)): `)

// placeInJSON returns the path to the handler with the error, "" if Caddy's text does not say.
func placeInJSON(text string) string {
	_, text, _ = strings.Cut(text, "provision http: server ")
	server, text, found := strings.Cut(text, ": setting up route handlers: ")
	way, _, ours := strings.Cut(text, "http.handlers.chat_identity: ")
	if !found || !ours {
		return ""
	}
	place := "apps.http.servers." + server
	for _, step := range inRoutes.FindAllStringSubmatch(way, -1) {
		if step[1] != "" {
			place += ".routes[" + step[1] + "]"
		} else {
			place += ".handle[" + step[2] + "]"
		}
	}
	return place
}

func printReport(w io.Writer, report *findings.Report) error {
	var b strings.Builder
	for _, f := range report.Findings {
		place := f.Line
		if f.Site != "" {
			place = strings.TrimPrefix(place+", site "+f.Site, ", ")
		}
		fmt.Fprintf(&b, "%s: %s\n  %s.\n  %s.\n\n", orDash(place), f.Kind, plain(f.Text), plain(f.Remedy))
	}
	if len(report.Findings) == 0 {
		b.WriteString("Nothing was found.\n")
	}
	if len(report.Required) > 0 {
		fmt.Fprintf(&b, "The mode is required for %s. Before you load that, ask the running gateway whom it\n"+
			"would refuse: caddy chat-identity readiness <id>\n", plain(strings.Join(report.Required, "; ")))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
