package dashboard

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Snippets is the code that claims identities in a dialect.
type Snippets struct {
	Dialect string `json:"dialect"`
	// Message is the template of what is signed.
	Message string `json:"message"`
	// Fields are the names of the server's part of the claim, in the order of the
	// samples.
	Fields   []string  `json:"fields"`
	Snippets []Snippet `json:"snippets"`
}

// Snippet is the code for a server of one language.
type Snippet struct {
	Language string `json:"language"` // a keyword
	Title    string `json:"title"`    // its display name
	Code     string `json:"code"`     // of the server
	Browser  string `json:"browser"`  // of the page, whatever the server's language
}

//go:embed snippets/*.tmpl
var sources embed.FS

// The templates are filled with field names and widget ids, whose characters need
// no escaping in any language.
var templates = template.Must(template.ParseFS(sources, "snippets/*.tmpl"))

var languages = []struct{ keyword, title string }{
	{"node", "Node.js"}, {"python", "Python"}, {"php", "PHP"}, {"ruby", "Ruby"}, {"go", "Go"},
}

// names are a dialect's names for the fields, in their first spelling.
type names struct {
	UserID, Signature, Nonce, Timestamp string
	Name, Email, Attributes, Widget     string
	ID                                  string // of the widget, for dialects whose claims name it
	Nested                              bool   // whether name and e-mail are within the attributes
}

// For returns the snippets for a widget in a dialect, with its default message and
// nonces of the default length.
func For(dialect, widget string) (*Snippets, error) {
	d, err := verifier.LookupDialect(dialect)
	if err != nil {
		return nil, err
	}
	n := namesOf(&d)
	n.ID = widget
	snippets := &Snippets{Dialect: d.Name, Message: d.Message, Fields: []string{n.UserID, n.Signature}}
	if n.Nonce != "" {
		snippets.Fields = []string{n.UserID, n.Nonce, n.Timestamp, n.Signature}
	}
	browser := fill("browser", n)
	for _, language := range languages {
		snippets.Snippets = append(snippets.Snippets, Snippet{
			Language: language.keyword, Title: language.title, Code: fill(language.keyword, n), Browser: browser,
		})
	}
	return snippets, nil
}

func namesOf(d *verifier.Dialect) names {
	var n names
	of := map[verifier.Field]*string{
		verifier.UserID: &n.UserID, verifier.Signature: &n.Signature, verifier.Nonce: &n.Nonce, verifier.Timestamp: &n.Timestamp,
		verifier.Name: &n.Name, verifier.Email: &n.Email, verifier.Attributes: &n.Attributes, verifier.Widget: &n.Widget,
	}
	for _, place := range d.Places {
		name := of[place.Field]
		if name == nil || *name != "" {
			continue // not in the snippets, or another spelling
		}
		above, last, _ := strings.Cut(strings.TrimPrefix(place.Name, "/"), "/")
		if last != "" {
			n.Nested = true
			*name = last
		} else {
			*name = above
		}
	}
	return n
}

func fill(name string, n names) string {
	var text strings.Builder
	if err := templates.ExecuteTemplate(&text, name+".tmpl", n); err != nil {
		panic(fmt.Errorf("%s: %w", name, err)) // templates and dialects are both compiled in, and tested
	}
	return text.String()
}
