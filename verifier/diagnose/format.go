package diagnose

import (
	"regexp"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// claim holds the fields of a claim as they were sent.
type claim [verifier.Attributes][]byte

// format is what is signed, and how the signature is written.
type format struct {
	template string
	parts    []part
	encoding string
	// keyEncoding is how a secret writes its key, see [verifier.Dialect.KeyEncoding].
	keyEncoding string
	// subject is what the user id is: "user id", or "e-mail address" where its name says so.
	subject string
	// names are those of the user id's places, by which a hint may name a field, too.
	names []string
}

// ofDialect returns the format of a dialect that a [verifier.Verifier] has accepted.
func ofDialect(d *verifier.Dialect) *format {
	p := newFormat(d.Message, d.Encoding)
	p.keyEncoding = d.KeyEncoding
	email := func(name string) bool { return strings.Contains(strings.ToLower(name), "email") }
	for _, place := range d.Places {
		if pointer := place.Name + place.Within; place.Field == verifier.UserID {
			p.names = append(p.names, pointer[strings.LastIndexByte(pointer, '/')+1:])
		}
	}
	if len(p.names) > 0 && !slices.ContainsFunc(p.names, func(name string) bool { return !email(name) }) {
		p.subject = "e-mail address"
	}
	return p
}

// part is a field of the template, or the text before, between or after fields.
type part struct {
	field   verifier.Field
	literal string // where not "", the part is this text
}

// newFormat reads a template that a [verifier.Verifier] has accepted.
func newFormat(template, encoding string) *format {
	p := &format{template: template, encoding: encoding, subject: "user id"}
	for _, text := range fieldOrText.FindAllString(template, -1) {
		next := part{literal: text}
		if next.field.UnmarshalText([]byte(strings.Trim(text, "{}"))) == nil && text[0] == '{' {
			next.literal = ""
		}
		p.parts = append(p.parts, next)
	}
	return p
}

var fieldOrText = regexp.MustCompile(`\{\w+\}|[^{]+|\{`)

// fields returns the template's fields in their order.
func (p *format) fields() []verifier.Field {
	var fields []verifier.Field
	for _, part := range p.parts {
		if part.literal == "" {
			fields = append(fields, part.field)
		}
	}
	return fields
}

func (p *format) signs(f verifier.Field) bool { return slices.Contains(p.fields(), f) }

// message returns what is signed of the claim.
func (p *format) message(c *claim) []byte { return p.arrange(p.fields(), c) }

// arrange returns the message with its fields in another order.
func (p *format) arrange(order []verifier.Field, c *claim) []byte {
	var text []byte
	next := 0
	for _, part := range p.parts {
		if part.literal != "" {
			text = append(text, part.literal...)
			continue
		}
		text = append(text, c[order[next]]...)
		next++
	}
	return text
}
