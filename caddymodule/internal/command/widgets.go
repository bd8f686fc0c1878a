package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// inGrace returns how many earlier secrets still verify, and until when.
func inGrace(w *adminapi.Widget) (n int, last time.Time) {
	for _, s := range w.Secrets {
		if !s.Until.IsZero() {
			n++
			if s.Until.After(last) {
				last = s.Until
			}
		}
	}
	return n, last
}

func widgetPath(id string) string { return widgetsPath + "/" + url.PathEscape(id) }

// askWidget sends a request about a widget and expects that widget as the answer.
func (f *adminFlags) askWidget(cmd *cobra.Command, id string, r *apiRequest) (*adminapi.Widget, json.RawMessage, error) {
	var w adminapi.Widget
	raw, err := f.ask(cmd, r, &w, func() bool { return w.ID == id })
	return &w, raw, err
}

func showCommand() *cobra.Command {
	var admin adminFlags
	return admin.addStore(&cobra.Command{
		Use:  "show <id>",
		Args: oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			return admin.printWidget(cmd, args[0], &apiRequest{method: http.MethodGet, path: widgetPath(args[0])})
		},
	})
}

// printWidget sends a request about a widget, and prints the widget and the answer's note.
func (f *adminFlags) printWidget(cmd *cobra.Command, id string, r *apiRequest) error {
	w, raw, err := f.askWidget(cmd, id, r)
	if err == nil {
		err = f.output.print(cmd, raw, func(out io.Writer) error { return writeWidget(out, w) })
	}
	if err == nil {
		f.printNote(cmd, w)
	}
	return err
}

// printNote prints what a change does not do.
func (f *adminFlags) printNote(cmd *cobra.Command, w *adminapi.Widget) {
	if w.Note != "" && !f.json {
		cmd.PrintErrln(plain(w.Note))
	}
}

func writeWidget(out io.Writer, w *adminapi.Widget) error {
	rows := [][]string{
		{"id:", plain(w.ID)}, {"source:", orDash(w.Source)}, {"mode:", orDash(w.Mode)}, {"effective:", effectText(w)}, {"because:", orDash(w.ModeWhy)}, {"dialect:", orDash(w.Dialect)},
	}
	known := func(label, text string) {
		if text != "-" {
			rows = append(rows, []string{label, text})
		}
	}
	known("created:", localTime(w.Created))
	known("rotated:", localTime(w.Rotated))
	for i := range w.Secrets {
		known("secret:", secretText(&w.Secrets[i], i == 0))
	}
	for i := range w.PublicKeys {
		k := &w.PublicKeys[i]
		known("public key:", orDash(k.Kind)+", thumbprint "+orDash(k.Thumbprint)+useText(k.LastUsed, k.UsedLastHour))
	}
	known("key set:", orDash(w.JWKS))
	known("grace:", orDash(w.Grace))
	known("unavailable:", orDash(w.Unavailable))
	return writeTable(out, rows)
}

// effectText is the effective mode and what determines it.
func effectText(w *adminapi.Widget) string {
	text := orDash(w.EffectiveMode)
	if w.ModeFrom != "" {
		text += " (" + plain(string(w.ModeFrom)) + ")"
	}
	return text
}

func secretText(s *adminapi.Secret, current bool) string {
	text := "current"
	switch {
	case !s.Until.IsZero():
		text = "in grace until " + localTime(s.Until)
	case !current:
		text = "old, still verifies"
	}
	text += ", version " + orDash(s.Version)
	if s.KeyID != "" {
		text += ", encrypted with key " + plain(s.KeyID)
	}
	return text + useText(s.LastUsed, s.UsedLastHour)
}

func useText(last time.Time, lastHour *uint64) string {
	if last.IsZero() || lastHour == nil {
		return ""
	}
	return fmt.Sprintf(", last used %s, %d in the last hour", localTime(last), *lastHour)
}

// policyFlags are a widget's own mode and dialect, and what verifies its tokens in place of a
// secret.
type policyFlags struct {
	mode, dialect string
	publicFlags
}

func (p *policyFlags) add(cmd *cobra.Command) {
	p.flags(cmd, "The https `url` of")
	cmd.Flags().StringVar(&p.mode, "mode", "", "off, optional or required; \"\" leaves it to the handler")
	cmd.Flags().StringVar(&p.dialect, "dialect", "", oneDialect()+";\n\"\" leaves it to the handler")
	completeFlag(cmd, "mode", "off", "optional", "required")
	completeDialect(cmd)
}

func (p *policyFlags) check() error {
	if _, err := widgets.ParseMode(p.mode); err != nil {
		return fmt.Errorf("--mode: %w", err)
	}
	if _, err := verifier.LookupDialect(p.dialect); err != nil && p.dialect != "" {
		return fmt.Errorf("--dialect: %w", err)
	}
	return p.publicFlags.check()
}

// public reads the files of public keys.
func (p *policyFlags) public(cmd *cobra.Command) (public adminapi.Public, err error) {
	if cmd.Flags().Changed("jwks") {
		public.JWKS = &p.jwks
	}
	for _, path := range p.files {
		text, _, err := publicKey(path) // a private key goes nowhere
		if err != nil {
			return public, err
		}
		public.PublicKeys = append(public.PublicKeys, string(text))
	}
	return public, nil
}

// verifiedBy says what verifies the tokens of a widget without a secret.
func verifiedBy(w *adminapi.Widget) string {
	if w.JWKS != "" {
		return "the key set " + plain(w.JWKS)
	}
	return adminapi.Count(uint64(len(w.PublicKeys)), "public key")
}

func setCommand() *cobra.Command {
	var admin adminFlags
	var policy policyFlags
	cmd := &cobra.Command{
		Use:  "set <id> [--mode <mode>] [--dialect <name>] [--public-key <file>... | --jwks <url>]",
		Args: oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			var change adminapi.Change
			if cmd.Flags().Changed("mode") {
				change.Mode = &policy.mode
			}
			if cmd.Flags().Changed("dialect") {
				change.Dialect = &policy.dialect
			}
			var err error
			if change.Public, err = policy.public(cmd); err != nil {
				return err
			}
			if change.Mode == nil && change.Dialect == nil && change.PublicKeys == nil && change.JWKS == nil {
				return errors.New("nothing to set: pass --mode, --dialect, --public-key or --jwks")
			}
			if err := policy.check(); err != nil {
				return err
			}
			return admin.printWidget(cmd, args[0], &apiRequest{
				method: http.MethodPatch, path: widgetPath(args[0]), body: change, lost: lookAt(args[0]),
			})
		},
	}
	policy.add(cmd)
	return admin.addStore(cmd)
}

// lookAt says how to find out whether a widget was changed.
func lookAt(id string) string { return "see 'caddy chat-identity show " + id + "'" }

func deleteCommand() *cobra.Command {
	var admin adminFlags
	var yes bool
	cmd := &cobra.Command{
		Use:  "delete <id> [--yes]",
		Args: oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				if err := confirm(cmd, "Delete widget "+args[0]+" and its secrets, which cannot be undone?"); err != nil {
					return err
				}
			}
			r := &apiRequest{method: http.MethodDelete, path: widgetPath(args[0]), lost: lookAt(args[0])}
			if _, err := admin.ask(cmd, r, nil, func() bool { return true }); err != nil {
				return err
			}
			if admin.json {
				return printJSON(cmd, map[string]string{"deleted": args[0]})
			}
			cmd.PrintErrf("Widget %s was deleted. Its secrets no longer verify anything%s.\n", args[0], admin.soon())
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "Do not ask")
	return admin.addStore(cmd)
}
