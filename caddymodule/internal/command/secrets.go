package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/signal"
	"syscall"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

func createCommand() *cobra.Command {
	var admin adminFlags
	var policy policyFlags
	var fromInput bool
	cmd := &cobra.Command{
		Use:  "create <id> [--secret-stdin | --public-key <file>... | --jwks <url>]",
		Args: oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			id := args[0]
			if err := policy.check(); err != nil {
				return err
			}
			public, err := policy.public(cmd)
			if err != nil {
				return err
			}
			body := adminapi.Creation{ID: id, Mode: policy.mode, Dialect: policy.dialect, Public: public}
			withPublic := public.PublicKeys != nil || public.JWKS != nil
			r := &apiRequest{method: http.MethodPost, path: widgetsPath, body: &body, lost: lookAt(id) +
				", and if it exists, get a secret with 'caddy chat-identity rotate " + id + "'"}
			if withPublic {
				if r.lost = lookAt(id); fromInput {
					return errors.New("a widget has either a secret or public keys: pass --secret-stdin, --public-key or --jwks")
				}
			}
			if fromInput {
				secret, err := storedSecret(cmd)
				if err != nil {
					return err
				}
				body.Secret, r.lost = &secret, lookAt(id)
			}
			w, raw, err := admin.askWidget(cmd, id, r)
			if err != nil {
				return err
			}
			admin.printNote(cmd, w)
			if fromInput {
				w.Secret = ""
				return admin.output.print(cmd, w, func(io.Writer) error {
					cmd.PrintErrf("Widget %s was created with the secret from standard input.\n", id)
					return nil
				})
			}
			if withPublic {
				return admin.output.print(cmd, raw, func(io.Writer) error {
					cmd.PrintErrf("Widget %s was created. It has no secret: its tokens are verified with %s.\n", id, verifiedBy(w))
					return nil
				})
			}
			if err := admin.printSecret(cmd, w.Secret, raw); err != nil {
				return fmt.Errorf("widget %s was created, but its secret could not be printed and cannot be shown again (%w). "+
					"Generate another: caddy chat-identity rotate %s", id, err, id)
			}
			if !admin.json {
				cmd.PrintErrf("This is the secret of widget %s. It is not shown again. %s\n", id, whereTo)
			}
			return nil
		},
	}
	policy.add(cmd)
	cmd.Flags().BoolVar(&fromInput, "secret-stdin", false, "Read the widget's secret from standard input")
	return admin.addStore(cmd)
}

const whereTo = "Give it to the server that signs for this widget, in an environment variable or a file, and never to a browser."

// storedSecret reads a secret that a gateway will verify with.
func storedSecret(cmd *cobra.Command) (string, error) {
	input, err := standardInput(cmd, "the secret")
	if err != nil {
		return "", err
	}
	text := trimNewline(string(input))
	if err := secrettext.Check(text); err != nil {
		return "", fmt.Errorf("the secret on standard input: %w", err)
	}
	if !utf8.ValidString(text) {
		return "", errors.New("the secret is not valid UTF-8: only text can be stored")
	}
	if _, err := verifier.NewSecret(text); err != nil {
		return "", fmt.Errorf("%s: pass one on standard input, or leave out --secret-stdin to have one generated", inWords(err))
	}
	return text, nil
}

// printSecret prints a secret that the gateway sent, alone or as JSON.
func (f *adminFlags) printSecret(cmd *cobra.Command, secret string, raw json.RawMessage) error {
	// A closed pipe must not end the process: it is an error to report.
	signal.Ignore(syscall.SIGPIPE)
	switch {
	case secret == "":
		return errors.New("the answer contains none")
	case f.json:
		return printJSON(cmd, raw)
	case plain(secret) != secret:
		return errors.New("it contains characters that a terminal would act on; --json escapes them")
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), secret)
	return err
}

func rotateCommand() *cobra.Command {
	var admin adminFlags
	var grace string
	var endGrace bool
	cmd := &cobra.Command{
		Use:  "rotate <id> [--grace <duration> | --end-grace]",
		Args: oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, again := args[0], "caddy chat-identity rotate "+args[0]
			if endGrace {
				if cmd.Flags().Changed("grace") {
					return errors.New("--end-grace creates no secret, so there is nothing for --grace to do: pass one of the two")
				}
				return admin.endGrace(cmd, id)
			}
			body := map[string]string{}
			// An empty grace comes from an unset variable of a script, and must not
			// end the secret that is in use.
			if cmd.Flags().Changed("grace") {
				duration, err := caddy.ParseDuration(grace)
				if err != nil || duration <= 0 {
					return errors.New("--grace must be a positive duration, such as 24h or 7d: leave it out to end every earlier secret at once")
				}
				body["grace"] = duration.String()
				again += " --grace " + period.Text(duration)
			}
			w, raw, err := admin.askWidget(cmd, id, &apiRequest{
				method: http.MethodPost, path: widgetPath(id) + "/rotate", body: body,
				lost: lookAt(id) + ", and if it was rotated, rotate again to get a secret: " + again,
			})
			if err != nil {
				return err
			}
			if err := admin.printSecret(cmd, w.Secret, raw); err != nil {
				return fmt.Errorf("widget %s has a new secret, but it could not be printed and cannot be shown again (%w). %s Rotate again: %s",
					id, err, admin.earlier(w), again)
			}
			if !admin.json {
				cmd.PrintErrf("This is the new secret of widget %s. It is not shown again. %s %s\n", id, whereTo, admin.earlier(w))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&grace, "grace", "", "How long the current secret still verifies, such as 24h or 7d (default: it stops at once)")
	completeFlag(cmd, "grace", "1h", "24h", "7d", "30d")
	cmd.Flags().BoolVar(&endGrace, "end-grace", false, "Create no secret, but end those that are in grace")
	return admin.addStore(cmd)
}

// endGrace ends every secret but the current one.
func (f *adminFlags) endGrace(cmd *cobra.Command, id string) error {
	var done adminapi.GraceEnded
	r := &apiRequest{method: http.MethodPost, path: widgetPath(id) + "/rotate", body: map[string]bool{"end_grace": true}, lost: "it is safe to end the grace again"}
	return f.print(cmd, r, &done, func() bool { return done.ID == id }, func(io.Writer) error {
		switch done.Ended {
		case 0:
			cmd.PrintErrf("Nothing to end: no secret of widget %s is in grace. The current one still verifies.\n", id)
		case 1:
			cmd.PrintErrf("The secret of widget %s that was in grace has stopped verifying%s. The current one still verifies.\n", id, f.soon())
		default:
			cmd.PrintErrf("%d secrets of widget %s that were in grace have stopped verifying%s. The current one still verifies.\n", done.Ended, id, f.soon())
		}
		return nil
	})
}

// earlier says what a rotation did to the secrets before it.
func (f *adminFlags) earlier(w *adminapi.Widget) string {
	switch n, last := inGrace(w); n {
	case 0:
		return "Every earlier secret has stopped verifying" + f.soon() + "."
	case 1:
		return "The previous one is in grace until " + localTime(last) + "."
	default:
		return fmt.Sprintf("%d earlier ones are in grace, the last until %s.", n, localTime(last))
	}
}

func revealCommand() *cobra.Command {
	var admin adminFlags
	return admin.addStore(&cobra.Command{
		Use:  "reveal <id>",
		Args: oneWidget,
		RunE: func(cmd *cobra.Command, args []string) error {
			w, raw, err := admin.askWidget(cmd, args[0], &apiRequest{method: http.MethodPost, path: widgetPath(args[0]) + "/reveal"})
			if err != nil {
				return err
			}
			if err := admin.printSecret(cmd, w.Secret, raw); err != nil {
				return fmt.Errorf("the secret of widget %s could not be printed: %w", args[0], err)
			}
			return nil
		},
	})
}
