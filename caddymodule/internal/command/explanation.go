package command

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

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

// found lists the claim's fields and where each is.
func (c *checker) found(d document, r *verifier.Reading) string {
	var fields []string
	for f := verifier.UserID; f <= verifier.Visitor; f++ {
		if len(r.Unverified(f)) == 0 || f == verifier.TokenField && !c.dialect.TakesToken() {
			continue
		}
		if at := c.foundAt(d, f); at != "" {
			fields = append(fields, f.String()+" ("+at+")")
		} else { // a token alone
			fields = append(fields, f.String())
		}
	}
	if len(fields) == 0 {
		return "nothing"
	}
	return strings.Join(fields, ", ")
}

// foundAt returns at which of its places a field is: those where it is read without the
// others. A member of the name of a header or a parameter stands for it.
func (c *checker) foundAt(d document, f verifier.Field) string {
	if _, _, body := d.split(); f == verifier.TokenField && body.isToken() {
		return ""
	}
	var found []string
	for _, p := range c.dialect.AllPlaces() {
		one := *c
		if one.dialect.Places, one.dialect.Query = []verifier.Place{p}, false; f != verifier.TokenField {
			one.dialect.Message = "{user_id}"
		}
		var r verifier.Reading
		v, err := one.dialect.Reader()
		if one.verifier = v; p.Field != f || err != nil {
			continue
		}
		_, _ = one.verify(d, &r, nil)
		place := c.pointer(&p)
		if locationOf(&p) != "body" {
			place = strings.TrimSpace(p.Location + " " + p.Name + " " + p.Within)
		}
		if len(r.Unverified(f)) > 0 && !slices.ContainsFunc(found, func(q string) bool { return strings.HasSuffix(q, "/"+p.Name+p.Within) }) {
			found = append(found, place)
		}
	}
	return strings.Join(found, " or ")
}

// detail tells an integrator what is wrong.
func (c *checker) detail(err error, r *verifier.Reading) string {
	switch judgment.ReasonOf(err) {
	case judgment.Missing, judgment.Partial:
		var wanted []string
		for _, field := range c.lacking(r) {
			wanted = append(wanted, field.String()+" "+c.where(field))
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
			return "the token does not fit the key, the algorithm or what is required" // its signature may match
		}
	}
	return inWords(err)
}

// age says how old a timestamp is, or how far ahead.
func (c *checker) age(signed time.Time) string {
	age := time.Since(signed).Round(time.Second)
	if age < 0 {
		return fmt.Sprintf("the signature is correct, but its timestamp is %s ahead of this machine's clock: at most %s is allowed", period.Text(-age), period.Text(c.dialect.Skew))
	}
	return fmt.Sprintf("the signature is correct, but its timestamp is %s old: at most %s is allowed", period.Text(age), period.Text(c.dialect.MaxAge))
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
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-11s%s\n", label+":", text)
		}
	}
	line("dialect", e.Dialect)
	line("found", e.read)
	if e.Token != nil {
		line("header", printable(e.Token.Header))
		line("claims", printable(e.Token.Claims))
		for _, t := range e.Token.times {
			line(t[0], t[1])
		}
	}
	if e.User != "" {
		line("user id", strconv.Quote(e.User))
	}
	if e.User != "" && e.Token == nil {
		line("signed is", e.template)
		line("that is", strconv.Quote(e.message))
	}
	verdict, mistaken := "verifies", ""
	if !e.Verified {
		verdict = string(e.Reason) + ": " + e.Detail
	}
	if e.Mistake != nil {
		mistaken = e.Mistake.Text
	} else if e.Reason == judgment.Invalid {
		mistaken = "none of the common ones. Most likely another secret or key was used, or another text was signed."
	}
	line("verdict", verdict)
	line("warning", e.Warning)
	line("mistake", mistaken)
	for _, left := range e.LeftOut {
		line("left out", left)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
