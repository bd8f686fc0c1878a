package command

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/diagnose"
)

func explainCommand() *cobra.Command {
	var f claimFormat
	var maxAge string
	var public publicFlags
	var out output
	cmd := &cobra.Command{
		Use:   "explain [--dialect <name>] [--public-key <file> | --jwks <file>] [--json]",
		Short: "Says whether a claim verifies, and if not, why",
		Long: `
Reads a claim from standard input, as JSON, as the body of a form, as a URL's query, as
headers or as a token alone, and says what a gateway would do with it. If it does not verify, it names the common
mistake that produces such a signature or token. Of a token it shows what it says, too.
A field of a header or query may be a member of that name in the JSON, as "sign" prints
it. The exit status is 1 if the claim does not verify.

The secret is read from ` + secretVariable + ` if it is set, and from the
first line of standard input otherwise. ` + previousSecretVariable + `
may hold an earlier one. With --public-key or --jwks there is none, and standard input
is the claim. A token alone is one of the dialect ` + tokenDialect + ` unless --dialect names another; a
token from a header may also be the field "token" of the JSON.`,
		Example: "  CHAT_IDENTITY_SECRET=... caddy chat-identity explain --dialect nextcap < claim.json",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := caddy.ParseDuration(maxAge)
			if err != nil {
				return fmt.Errorf("--max-age: %w", err)
			}
			f.maxAge = age
			e, err := f.explained(cmd, &public)
			if err != nil {
				return err
			}
			err = out.print(cmd, e, e.print)
			if err == nil && !e.Verified {
				cmd.SilenceErrors = true
				err = errNotVerified
			}
			return err
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.at, "at", "", "JSON pointer to the object that contains the claim")
	cmd.Flags().StringVar(&maxAge, "max-age", verifier.Dialects[0].MaxAge.String(), "Maximum age of a signed timestamp")
	public.flags(cmd)
	out.flag(cmd)
	return cmd
}

// explained reads keys and claim, and explains it.
func (f *claimFormat) explained(cmd *cobra.Command, public *publicFlags) (*explanation, error) {
	if _, err := f.checker(f.dialect); err != nil { // before it waits for input
		return nil, err
	}
	var evidence diagnose.Evidence
	var err error
	if evidence.Keys, err = public.keys(); err != nil {
		return nil, err
	}
	var text document
	if len(evidence.Keys) > 0 {
		text, err = standardInput(cmd, "the claim as JSON, or the token")
	} else {
		var secret verifier.Secret
		secret, text, err = explainInput(cmd)
		evidence.Secrets = []verifier.Secret{secret}
	}
	if err != nil {
		return nil, err
	}
	if !cmd.Flags().Changed("dialect") && (text.isToken() || f.hasToken(text) || aMember.Match(text) && !f.hasClaim(text)) {
		f.dialect = tokenDialect
	}
	c, err := f.checker(f.dialect)
	if err != nil {
		return nil, err
	}
	if len(evidence.Keys) > 0 && len(f.token.algorithms) == 0 {
		key, _ := evidence.Keys[0].Public()
		if err = f.token.suit(&c.dialect, key.Key); err == nil {
			c, err = f.checker(f.dialect)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, secret := range evidence.Secrets {
		if _, err := c.decode(secret); err != nil {
			return nil, err
		}
	}
	evidence.Keys = c.keys(&evidence)
	if text := os.Getenv(previousSecretVariable); text != "" {
		evidence.Previous = append(evidence.Previous, verifier.WeakSecret(text))
	}
	return f.explain(c, text, evidence), nil
}

func (f *claimFormat) explain(c *checker, document document, evidence diagnose.Evidence) *explanation {
	var reading verifier.Reading
	identity, err := c.verify(document, &reading, evidence.Keys)
	_, head, body := document.split()
	e := &explanation{
		Verified: err == nil, Outcome: judgment.OutcomeVerified, Dialect: c.dialect.Name, User: string(reading.Unverified(verifier.UserID)),
		read: c.found(&reading), template: c.dialect.Message, message: string(c.verifier.AppendMessage(nil, &reading)),
	}
	if token := reading.Unverified(verifier.TokenField); c.dialect.TakesToken() && len(token) > 0 {
		e.Token, e.User = readToken(token, time.Now()), identity.User()
	}
	if _, before := c.bare(body); before != "" && body.isToken() {
		e.read += ", taken from behind " + before + " as in a header"
	}
	for _, left := range reading.LeftOut() {
		e.LeftOut = append(e.LeftOut, "the "+left.Field.String()+" "+left.Detail)
	}
	if name := c.textInBody(body); name != "" {
		e.Warning = name + " is a JSON text, which a gateway reads in a form: in a JSON body, send the object itself."
	}
	if err == nil {
		if err := secrettext.CheckReplaced(e.User); err != nil || unfilled[e.User] {
			e.Warning = "The user id is no user's, but what a program prints for a value that it does not have, or a name that nothing has replaced: all such visitors are one user."
		}
		return e
	}
	found := func(id, text string) *explanation {
		e.Mistake = &mistake{id, text}
		return e
	}
	e.Reason = judgment.ReasonOf(err)
	e.Outcome, e.Detail = e.Reason.Outcome(), c.detail(err, &reading)
	if e.Token != nil && (e.Reason == judgment.Malformed || e.Reason == judgment.Invalid || e.Reason == judgment.Expired) {
		if e.Reason == judgment.Invalid {
			e.Detail = "the token does not fit the key, the algorithm or what is required"
		}
		others := f.others(c, document, &reading, &evidence, true)
		if m, ok := diagnose.Claim(c.verifier, &reading, evidence); ok {
			e.Mistake = &mistake{m.ID, m.Text}
			if others != "" && !strings.Contains(m.Text, others) {
				e.Mistake.Text += " As a claim of " + others + " it verifies."
			}
			if m.Detail != "" {
				e.Detail += " (" + m.Detail + ")"
			}
		} else if others != "" {
			return found("other_dialect", claimOf(others, c))
		}
		return e
	}
	switch e.Reason {
	case judgment.Expired:
		return e
	case judgment.Malformed:
		if wrong := body.wrongKind(); wrong != "" {
			e.Mistake = &mistake{"other_body", wrong}
		} else if where := body.syntax(); where != "" && !body.isForm() && len(bytes.TrimSpace(body)) > 0 {
			e.Detail += " (" + where + ")"
		}
		return e
	case judgment.Missing, judgment.Partial:
		if wrong := body.wrongKind(); wrong != "" {
			return found("other_body", wrong)
		}
	}
	if others := f.others(c, document, &reading, &evidence, e.Reason == judgment.Invalid); others != "" {
		return found("other_dialect", claimOf(others, c))
	}
	if e.Reason == judgment.Missing || e.Reason == judgment.Partial {
		if at, dialect := f.elsewhere(body, &evidence); dialect == f.dialect {
			return found("other_place", inObject(at))
		} else if dialect != "" {
			return found("other_place", "This is a claim of "+dialect+" in an object: name that dialect, pass --at "+at+", and write 'at "+at+"' in the configuration, or send it at the top.")
		}
		if name := c.otherName(body); name != "" {
			return found("other_name", name)
		}
	}
	if e.Reason != judgment.Invalid {
		if names := c.misspelled(document, &reading); names != "" {
			return found("misspelled", "A name seems not to be spelled as it is read: "+names+".")
		}
		return e
	}
	if evidence.Document = body; len(bytes.TrimSpace(body)) == 0 {
		evidence.Document = c.inHeaders(head)
	}
	if m, ok := diagnose.Claim(c.verifier, &reading, evidence); ok {
		return found(m.ID, m.Text)
	}
	return e
}
