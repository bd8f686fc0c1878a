package command

import (
	"bytes"
	"errors"
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
		Use:  "explain [--dialect <name>] [--public-key <file> | --jwks <file>] [--json]",
		Args: noArguments,
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
	public.flags(cmd, "A `file` with")
	_ = cmd.MarkFlagFilename("jwks", "json") // there is such a flag
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
	text = assertionHeader.ReplaceAll(text.request(), nil)
	if !cmd.Flags().Changed("dialect") {
		asToken, _ := f.try(tokenDialect, text, &evidence)
		_, err := f.try(f.dialect, text, &evidence)
		if text.isToken() || len(asToken.Unverified(verifier.TokenField)) > 0 || aMember.Match(text) && errors.Is(err, verifier.ErrMissing) {
			f.dialect = tokenDialect
		}
	}
	c, err := f.checker(f.dialect)
	if err == nil && len(evidence.Keys) > 0 && len(f.token.algorithms) == 0 {
		key, _ := evidence.Keys[0].Public()
		if err = f.token.suit(&c.dialect, key.Key); err == nil {
			c, err = f.checker(f.dialect)
		}
	}
	if err != nil {
		return nil, err
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

// explain says what a gateway does with the claim and, if it does not verify, why.
func (f *claimFormat) explain(c *checker, document document, evidence diagnose.Evidence) *explanation {
	var reading verifier.Reading
	identity, err := c.verify(document, &reading, evidence.Keys)
	query, head, body := document.split()
	e := &explanation{
		Verified: err == nil, Outcome: judgment.OutcomeVerified, Dialect: c.dialect.Name, User: string(reading.Unverified(verifier.UserID)),
		read: c.found(document, &reading), template: c.dialect.Message, message: string(c.verifier.AppendMessage(nil, &reading)),
	}
	if token := reading.Unverified(verifier.TokenField); c.dialect.TakesToken() && len(token) > 0 {
		e.Token, e.User = readToken(token, time.Now()), identity.User()
	}
	if _, before := c.bare(body); before != "" && body.isToken() {
		e.read += ", taken from behind " + before
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
	e.Reason = judgment.ReasonOf(err)
	e.Outcome, e.Detail = e.Reason.Outcome(), c.detail(err, &reading)
	if evidence.Document = body; len(head) == 0 && query != "" {
		evidence.Document = []byte(query)
	} else if len(bytes.TrimSpace(body)) == 0 {
		evidence.Document = c.inHeaders(head, query == "")
	}
	e.Mistake = f.mistake(c, document, &reading, &evidence, e)
	if e.Token.ofGateway() {
		e.explainAssertion()
	}
	return e
}

// mistake names what was done differently, nil where that is unknown or the reason says it.
// What it says of this claim alone it adds to the detail.
func (f *claimFormat) mistake(c *checker, document document, reading *verifier.Reading, evidence *diagnose.Evidence, e *explanation) *mistake {
	_, _, body := document.split()
	incomplete, invalid := e.Reason == judgment.Missing || e.Reason == judgment.Partial, e.Reason == judgment.Invalid
	ofToken := e.Token != nil && (e.Reason == judgment.Malformed || invalid || e.Reason == judgment.Expired)
	switch wrong := body.wrongKind(); {
	case ofToken:
	case wrong != "" && (incomplete || e.Reason == judgment.Malformed):
		return &mistake{"other_body", wrong}
	case e.Reason == judgment.Malformed:
		if where := f.unwrapped(c, document, evidence); where != "" {
			return &mistake{"other_place", where}
		}
		if where := body.syntax(); where != "" && !body.isForm() && len(bytes.TrimSpace(body)) > 0 {
			e.Detail += " (" + where + ")"
		}
		return nil
	case e.Reason == judgment.Expired:
		return nil
	}
	others := f.others(c, document, reading, evidence, ofToken || invalid)
	if ofToken || invalid && others == "" {
		if m, ok := diagnose.Claim(c.verifier, reading, *evidence); ok {
			if m.Detail != "" {
				e.Detail += " (" + m.Detail + ")"
			}
			if others != "" && !strings.Contains(m.Text, others) {
				m.Text += " As a claim of " + others + " it verifies."
			}
			return &mistake{m.ID, m.Text}
		}
	}
	if !ofToken && !invalid {
		if where := f.unwrapped(c, document, evidence); where != "" {
			if others != "" {
				where += " Or name the dialect " + others + ", of which this is a claim, too."
			}
			return &mistake{"other_place", where}
		}
	}
	if others != "" {
		return &mistake{"other_dialect", "This is a claim of " + others + ": name that dialect, or send the fields of " + c.dialect.Name + "."}
	}
	if incomplete {
		if body.isToken() {
			return &mistake{"alone", "This is a value without its name: pass the user id and the signature with the names under which the page sends them."}
		}
		if where := f.elsewhere(body, evidence); where != "" {
			return &mistake{"other_place", where}
		}
		if name := c.otherName(body); name != "" {
			return &mistake{"other_name", name}
		}
	}
	if names := c.misspelled(document, reading); names != "" && !ofToken && !invalid {
		return &mistake{"misspelled", "A name seems not to be spelled as it is read: " + names + "."}
	}
	return nil
}
