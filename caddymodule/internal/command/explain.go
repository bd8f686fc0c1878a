package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
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
Reads a claim from standard input, as JSON, as the body of a form or as a token alone,
and says what a gateway would do with it. If it does not verify, it names the common
mistake that produces such a signature or token. Of a token it shows what it says, too.
The exit status is 1 if the claim does not verify.

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

// explanation is what a gateway would find in a claim.
type explanation struct {
	Verified bool             `json:"verified"`
	Outcome  judgment.Outcome `json:"outcome"`
	Reason   judgment.Reason  `json:"reason,omitempty"`
	Detail   string           `json:"detail,omitempty"`
	Dialect  string           `json:"dialect"`
	User     string           `json:"user,omitempty"`
	Mistake  *mistake         `json:"mistake,omitempty"`
	// Warning is what is wrong though the claim verifies.
	Warning string `json:"warning,omitempty"`
	// LeftOut lists fields that do not count because of how they are sent, and why.
	LeftOut []string `json:"left_out,omitempty"`

	Token *tokenText `json:"token,omitempty"` // what it says

	read, template, message string
}

// unfilled are texts that are no ids, though they may be signed.
var unfilled = map[string]bool{
	"undefined": true, "null": true, "None": true, "nil": true, "NaN": true, "[object Object]": true, "[object Promise]": true, "Array": true, "YOUR_USER_ID": true,
}

type mistake struct {
	ID   string `json:"id"`
	Text string `json:"text"`
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
		key, err := c.decode(secret)
		if err != nil {
			return nil, err
		}
		evidence.Keys = append(evidence.Keys, key)
	}
	if text := os.Getenv(previousSecretVariable); text != "" {
		evidence.Previous = append(evidence.Previous, verifier.WeakSecret(text))
	}
	return f.explain(c, text, evidence), nil
}

func (f *claimFormat) explain(c *checker, document document, evidence diagnose.Evidence) *explanation {
	var reading verifier.Reading
	keys := evidence.Keys
	identity, err := c.verify(document, &reading, keys)
	e := &explanation{
		Verified: err == nil, Outcome: judgment.OutcomeVerified, Dialect: c.dialect.Name, User: string(reading.Unverified(verifier.UserID)),
		read: c.found(&reading), template: c.dialect.Message, message: string(c.verifier.AppendMessage(nil, &reading)),
	}
	if token := reading.Unverified(verifier.TokenField); c.dialect.TakesToken() && len(token) > 0 {
		e.Token, e.User = readToken(token, time.Now()), identity.User()
	}
	if _, before := c.bare(document); before != "" && document.isToken() {
		e.read += ", taken from behind " + before + " as in a header"
	}
	for _, left := range reading.LeftOut() {
		e.LeftOut = append(e.LeftOut, "the "+left.Field.String()+" "+left.Detail)
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
		if m, ok := diagnose.Claim(c.verifier, &reading, evidence); ok {
			e.Mistake = &mistake{m.ID, m.Text}
			if m.Detail != "" {
				e.Detail += " (" + m.Detail + ")"
			}
		}
		return e
	}
	switch e.Reason {
	case judgment.Expired:
		return e
	case judgment.Malformed:
		if wrong := document.wrongKind(); wrong != "" {
			e.Mistake = &mistake{"other_body", wrong}
		} else if where := document.syntax(); where != "" && !document.isForm() {
			e.Detail += " (" + where + ")"
		}
		return e
	case judgment.Missing, judgment.Partial:
		if wrong := document.wrongKind(); wrong != "" {
			return found("other_body", wrong)
		}
		if at, dialect := f.elsewhere(document, keys); dialect == f.dialect {
			return found("other_place", inObject(at))
		} else if dialect != "" {
			return found("other_place", "This is a claim of "+dialect+" in an object: name that dialect, pass --at "+at+", and write 'at "+at+"' in the configuration, or send it at the top.")
		}
		if name := c.otherName(document); name != "" {
			return found("other_name", name)
		}
	}
	if others := f.others(c, document, &reading, err, keys); others != "" {
		return found("other_dialect", "This is a claim of "+others+": name that dialect, or send the fields of "+c.dialect.Name+".")
	}
	if e.Reason != judgment.Invalid {
		if names := c.misspelled(document, &reading); names != "" {
			return found("misspelled", "A name seems not to be spelled as it is read: "+names+".")
		}
		return e
	}
	evidence.Document = document
	if m, ok := diagnose.Claim(c.verifier, &reading, evidence); ok {
		return found(m.ID, m.Text)
	}
	return e
}

// inObject says where the claim is.
func inObject(at string) string {
	if at == "" {
		return "The claim's fields are at the top: leave out --at, and 'at' in the configuration."
	}
	return "The claim's fields are in an object: pass --at " + at + ", and write 'at " + at + "' in the configuration, or send them at the top."
}

// others returns the other dialects in which the signature is correct or, if no
// complete claim was found, those that find one.
func (f *claimFormat) others(c *checker, document document, read *verifier.Reading, own error, keys []*verifier.Key) string {
	var verifying, complete []string
	for _, d := range verifier.Dialects {
		if d.Name == c.dialect.Name {
			continue
		}
		other, err := f.checker(d.Name)
		if err != nil {
			continue // a pointer that does not fit that dialect
		}
		var reading verifier.Reading
		_, err = other.verify(document, &reading, keys)
		switch same := func(field verifier.Field) bool {
			return len(read.Unverified(field)) > 0 && bytes.Equal(read.Unverified(field), reading.Unverified(field))
		}; {
		case same(verifier.UserID) && same(verifier.Signature): // only the configured message would be lost
		case err == nil || errors.Is(err, verifier.ErrExpired):
			verifying = append(verifying, d.Name)
		case errors.Is(err, verifier.ErrInvalid):
			complete = append(complete, d.Name)
		}
	}
	if len(verifying) == 0 && !errors.Is(own, verifier.ErrInvalid) {
		verifying = complete
	}
	return strings.Join(verifying, " or ")
}

// found lists the claim's fields and where in a body each may be.
func (c *checker) found(r *verifier.Reading) string {
	var fields []string
	for f := verifier.UserID; f <= verifier.Visitor; f++ {
		if len(r.Unverified(f)) > 0 {
			fields = append(fields, f.String()+" ("+strings.Join(c.pointers(f), " or ")+")")
		}
	}
	if len(fields) == 0 {
		return "nothing"
	}
	return strings.Join(fields, ", ")
}

// detail tells an integrator what is wrong.
func (c *checker) detail(err error, r *verifier.Reading) string {
	switch judgment.ReasonOf(err) {
	case judgment.Missing, judgment.Partial:
		var wanted []string
		for _, field := range c.lacking(r) {
			wanted = append(wanted, field.String()+" at "+strings.Join(c.pointers(field), " or "))
		}
		if len(wanted) == 0 {
			return "a field's name is spelled in a way that only some programs accept"
		}
		return "there is no " + strings.Join(wanted, " and no ")
	case judgment.Expired:
		if len(r.Unverified(verifier.TokenField)) > 0 && c.dialect.TakesToken() {
			return "the signature is correct, but the token is not good now"
		}
		return c.age(c.verifier.SignedAt(r))
	case judgment.Invalid:
		if len(r.Unverified(verifier.TokenField)) > 0 && c.dialect.TakesToken() {
			return "the token does not verify with these keys and rules" // its signature may match
		}
	}
	return inWords(err)
}

// age says how old a timestamp is, or how far ahead.
func (c *checker) age(signed time.Time) string {
	age := time.Since(signed).Round(time.Second)
	if age < 0 {
		return fmt.Sprintf("the signature is correct, but its timestamp is %v ahead of this machine's clock: at most %v is allowed", -age, c.dialect.Skew)
	}
	return fmt.Sprintf("the signature is correct, but its timestamp is %v old: at most %v is allowed", age, c.dialect.MaxAge)
}

// inWords returns an error's text without the name of the package.
func inWords(err error) string {
	if field, ok := errors.AsType[*verifier.Error](err); ok && field.Part == "" {
		return "the " + field.Field.String() + " " + field.Detail
	}
	return strings.TrimPrefix(err.Error(), "verifier: ")
}

// print writes the explanation as text. Parts of the claim are quoted, so that
// spaces, newlines and control characters are visible and no terminal acts on them.
func (e *explanation) print(w io.Writer) error {
	var b strings.Builder
	line := func(label, text string) { fmt.Fprintf(&b, "%-11s%s\n", label+":", text) }
	line("dialect", e.Dialect)
	line("found", e.read)
	if e.Token != nil {
		if e.Token.Header != nil {
			line("header", printable(e.Token.Header))
		}
		if e.Token.Claims != nil {
			line("claims", printable(e.Token.Claims))
		}
		for _, t := range e.Token.times {
			label, text, _ := strings.Cut(t, "\x00")
			line(label, text)
		}
	}
	if e.User != "" {
		line("user id", strconv.Quote(e.User))
	}
	if e.User != "" && e.Token == nil {
		line("signed is", e.template)
		line("that is", strconv.Quote(e.message))
	}
	verdict := "verifies"
	if !e.Verified {
		verdict = string(e.Reason) + ": " + e.Detail
	}
	line("verdict", verdict)
	if e.Warning != "" {
		line("warning", e.Warning)
	}
	switch {
	case e.Mistake != nil:
		line("mistake", e.Mistake.Text)
	case e.Reason == judgment.Invalid:
		line("mistake", "none of the common ones. Most likely another secret or key was used, or another text was signed.")
	}
	for _, left := range e.LeftOut {
		line("left out", left)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
