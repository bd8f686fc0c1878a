package command

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/diagnose"
)

// others returns the other dialects in which the proof is correct or, unless only those are
// asked for, those in which a signature's claim is complete.
func (f *claimFormat) others(c *checker, d document, read *verifier.Reading, e *diagnose.Evidence, verifying bool) string {
	var verify, complete []string
	for _, other := range verifier.Dialects {
		if other.Name == c.dialect.Name {
			continue
		}
		reading, err := f.try(other.Name, d, e)
		same := func(field verifier.Field) bool {
			return len(read.Unverified(field)) > 0 && bytes.Equal(read.Unverified(field), reading.Unverified(field))
		}
		switch {
		case same(verifier.UserID) && same(verifier.Signature): // only the configured message would be lost
		case err == nil || errors.Is(err, verifier.ErrExpired):
			verify = append(verify, other.Name)
		case errors.Is(err, verifier.ErrInvalid) && len(reading.Unverified(verifier.TokenField)) == 0:
			complete = append(complete, other.Name)
		}
	}
	if len(verify) == 0 && !verifying {
		verify = complete
	}
	return strings.Join(verify, " or ")
}

// elsewhere says in which object of the text a claim is complete, in this dialect or else in
// another, "" if in none but the one where it was looked for.
func (f *claimFormat) elsewhere(d document, e *diagnose.Evidence) string {
	if d.isForm() {
		return ""
	}
	dialects := []string{f.dialect}
	for _, other := range verifier.Dialects {
		dialects = append(dialects, other.Name)
	}
	for _, dialect := range dialects {
		for _, at := range append([]string{""}, d.objects()...) {
			moved := *f
			moved.bodyAlone = true // headers are in no object
			if moved.at = at; at == f.at || at == "" && dialect != f.dialect {
				continue
			}
			if _, err := moved.try(dialect, d, e); err != nil && !errors.Is(err, verifier.ErrExpired) && !errors.Is(err, verifier.ErrInvalid) {
				continue
			}
			todo := "pass --at " + at + ", and write 'at " + at + "' in the configuration, or send "
			switch {
			case dialect != f.dialect:
				return "This is a claim of " + dialect + " in an object: name that dialect, " + todo + "it at the top."
			case at == "":
				return "The claim's fields are at the top: leave out --at, and 'at' in the configuration."
			}
			return "The claim's fields are in an object: " + todo + "them at the top."
		}
	}
	return ""
}

// unwrapped says where a claim belongs that is complete, but for the JSON text that it is within,
// or in a query that the dialect does not read. It is "" for any other.
func (f *claimFormat) unwrapped(c *checker, text document, e *diagnose.Evidence) string {
	query, head, body := text.split()
	complete := func(d document) bool {
		_, err := f.try(c.dialect.Name, d, e)
		return err == nil || errors.Is(err, verifier.ErrExpired) || errors.Is(err, verifier.ErrInvalid)
	}
	if query != "" && complete(document(query)) {
		return "The claim is in the URL's query, where it is not read: send it in the body, as JSON or as a form."
	}
	values, _ := url.ParseQuery(query)
	if body.isForm() {
		values, _ = url.ParseQuery(string(bytes.TrimSpace(body)))
	}
	for _, p := range c.places(verifier.UserID) {
		name := strings.TrimPrefix(c.member(&p), "/")
		sent := values.Get(p.Key())
		for _, h := range head {
			if p.Location == "header" && strings.EqualFold(h.name, p.Name) {
				sent = h.value
			}
		}
		if how := otherText(sent, p.Base64); how != "" && p.Within != "" {
			return p.Key() + " is " + how + "."
		}
		if p.Within == "" || !body.isObject() || !complete(document(`{"`+name+`":`+string(body)+"}")) {
			continue
		}
		switch {
		case locationOf(&p) != "body":
			return "The fields of " + p.Name + " are sent without it: send them as a JSON text in the " + p.Location + " " + p.Name + "."
		default:
			return "The fields of " + name + " are at the top: send them in " + name + ", which is an object in JSON, and a JSON text in a form."
		}
	}
	return ""
}

// otherText says how a JSON object is written that is not read as it is sent, "" if it is, or there
// is none.
func otherText(sent string, inBase64 bool) string {
	var inner string
	decoded, _ := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(sent))
	switch {
	case inBase64 && document(sent).isObject():
		return "a JSON text, and read in base64: encode it"
	case !inBase64 && document(decoded).isObject():
		return "in base64, and read as a JSON text: do not encode it"
	case json.Unmarshal([]byte(sent), &inner) == nil && document(inner).isObject():
		return "JSON within a JSON text, so it was encoded twice: encode it once"
	}
	return ""
}

// try reads a text in a dialect. Its error is [verifier.ErrInvalid] if only the proof is
// not correct.
func (f *claimFormat) try(dialect string, d document, e *diagnose.Evidence) (*verifier.Reading, error) {
	var reading verifier.Reading
	c, err := f.checker(dialect)
	if err == nil { // else the pointer does not fit that dialect
		_, err = c.verify(d, &reading, c.keys(e))
	}
	return &reading, err
}
