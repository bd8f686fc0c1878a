package dashboard

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
)

// Snippets is the code that claims identities of a widget.
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

// The servers' templates are filled with names that need no escaping in any language.
var templates = template.Must(template.New("").Funcs(template.FuncMap{"name": jsName}).ParseFS(sources, "snippets/*.tmpl"))

// For returns the snippets for a widget of a site.
func For(s *Site, widget string) *Snippets {
	snippets := &Snippets{Dialect: s.Dialect.Name, Message: s.Dialect.Message, Fields: s.keys(s.signed())}
	browser := s.browser(widget)
	if s.byToken() {
		snippets.Message = "header.payload"
		for _, l := range s.tokenLanguages() {
			snippets.Snippets = append(snippets.Snippets, Snippet{Language: l.keyword, Title: l.title, Code: fill(l.keyword+".token", s.tokenSigner(&l)), Browser: browser})
		}
		return snippets
	}
	signer := s.signer()
	for _, l := range languages {
		signer.Message, signer.Key = l.expression(s.Dialect.Message), l.keys[signer.KeyEncoding]
		snippets.Snippets = append(snippets.Snippets, Snippet{Language: l.keyword, Title: l.title, Code: fill(l.keyword, signer), Browser: browser})
	}
	return snippets
}

func fill(name string, n any) string {
	var text strings.Builder
	if err := templates.ExecuteTemplate(&text, name+".tmpl", n); err != nil {
		panic(fmt.Errorf("%s: %w", name, err)) // templates and dialects are both compiled in, and tested
	}
	return text.String()
}
