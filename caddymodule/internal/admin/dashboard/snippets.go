package dashboard

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Snippets are the code with which a website claims identities in a dialect.
type Snippets struct {
	Dialect string `json:"dialect"`
	// Message is the template of what is signed.
	Message string `json:"message"`
	// Fields are the names that the server's part of the claim has, in the
	// order in which the samples write them.
	Fields   []string  `json:"fields"`
	Snippets []Snippet `json:"snippets"`
}

// Snippet is the code for a server of one language.
type Snippet struct {
	Language string `json:"language"` // a keyword
	Title    string `json:"title"`    // its name, for people
	Code     string `json:"code"`     // of the server
	Browser  string `json:"browser"`  // of the page, whatever the server's language
}

//go:embed snippets/*.tmpl
var sources embed.FS

// Templates are filled with names of fields and a widget's id, which are letters
// and digits, so that nothing needs escaping in any language.
var templates = template.Must(template.ParseFS(sources, "snippets/*.tmpl"))

var languages = []struct{ keyword, title string }{
	{"node", "Node.js"}, {"python", "Python"}, {"php", "PHP"}, {"ruby", "Ruby"}, {"go", "Go"},
}

// names are what a dialect calls the fields, by the first of their spellings.
type names struct {
	UserID, Signature, Nonce, Timestamp string
	Name, Email, Attributes, Widget     string
	// ID is the widget's, for dialects whose claims name it.
	ID string
	// Nested says that name and e-mail stand within the attributes.
	Nested bool
}

// For returns the snippets of a widget, by its id, in a dialect with the default
// message and nonces of the default length. It is an error where there is no such
// dialect.
func For(dialect, widget string) (*Snippets, error) {
	d, err := verifier.LookupDialect(dialect)
	if err != nil {
		return nil, err
	}
	n := namesOf(&d)
	n.ID = widget
	made := &Snippets{Dialect: d.Name, Message: d.Message, Fields: []string{n.UserID, n.Signature}}
	if n.Nonce != "" {
		made.Fields = []string{n.UserID, n.Nonce, n.Timestamp, n.Signature}
	}
	browser := fill("browser", n)
	for _, language := range languages {
		made.Snippets = append(made.Snippets, Snippet{
			Language: language.keyword, Title: language.title, Code: fill(language.keyword, n), Browser: browser,
		})
	}
	return made, nil
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
			continue // of no use here, or another spelling
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
