package dashboard

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/chatidentity/caddy-chat-identity/examples/page"
	"github.com/chatidentity/caddy-chat-identity/examples/signing"
)

// Snippets is the code that claims identities of a widget.
type Snippets struct {
	Dialect string `json:"dialect"`
	// Message is the template of what is signed.
	Message string `json:"message"`
	// Fields are the names of the server's part of the claim.
	Fields   []string  `json:"fields"`
	Snippets []Snippet `json:"snippets"`
	// Script is what the page loads, whatever the dialect.
	Script string `json:"script"`
}

// Snippet is the code for a server of one language.
type Snippet struct {
	Language string `json:"language"` // a keyword
	Title    string `json:"title"`    // its display name
	Code     string `json:"code"`     // of the server
	Browser  string `json:"browser"`  // of the page, whatever the server's language
}

// language is one of the signers of examples/signing. What it signs stands below its
// code as JSON, between two texts.
type language struct {
	keyword, title, file string
	before, after        string
}

var languages = []language{
	{"node", "Node.js", "sign.js", "const dialect = ", ""},
	{"python", "Python", "sign.py", "DIALECT = ", ""},
	{"php", "PHP", "sign.php", "define('DIALECT', json_decode(<<<'JSON'\n", "\nJSON, true));"},
	{"ruby", "Ruby", "sign.rb", "DIALECT = JSON.parse(<<~'JSON')\n", "\nJSON"},
	{"go", "Go", "go/main.go", "var dialect Dialect\n\nfunc init() {\n\tif err := json.Unmarshal([]byte(`", "`), &dialect); err != nil {\n\t\tpanic(err)\n\t}\n}"},
}

//go:embed snippets/browser.tmpl
var sources embed.FS

var browserTemplate = template.Must(template.ParseFS(sources, "snippets/browser.tmpl"))

// For returns the snippets for a widget of a site.
func For(s *Site, widget string) *Snippets {
	snippets := &Snippets{Dialect: s.Dialect.Name, Message: s.Dialect.Message, Script: page.Script}
	for _, field := range s.signed() {
		snippets.Fields = append(snippets.Fields, strings.Join(s.names(field), "."))
	}
	offered := languages
	if s.byToken() {
		snippets.Message = "header.payload"
		if a := s.algorithm(); !strings.HasPrefix(a, "HS") && !strings.HasPrefix(a, "RS") {
			offered = languages[:1] // only Node.js signs by it without a library
		}
	}
	browser, signer := s.browser(widget), s.signer()
	for _, l := range offered {
		snippets.Snippets = append(snippets.Snippets, Snippet{Language: l.keyword, Title: l.title, Code: l.code(signer), Browser: browser})
	}
	return snippets
}

// section is the line that begins one of a signer's sections.
var section = regexp.MustCompile(`(?m)^(?://|#) --- (\w+).*\n+`)

// code returns the language's signer without what the dialect does not need, and the
// dialect's data.
func (l *language) code(to *signer) string {
	source, err := signing.Sources.ReadFile(l.file)
	if err != nil {
		panic(err) // the files are compiled in
	}
	needed := "signature"
	if to.Algorithm != "" {
		needed = "token"
	}
	begins := section.FindAllSubmatchIndex(source, -1)
	code := string(source[:begins[0][0]])
	for i, at := range begins[:len(begins)-1] { // the last is the command line
		if string(source[at[2]:at[3]]) == needed {
			code += string(source[at[1]:begins[i+1][0]])
		}
	}
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(to) // texts alone
	text := strings.ReplaceAll(strings.TrimSuffix(data.String(), "\n"), "`", `\u0060`)
	return withoutUnused(code + l.before + text + l.after + "\n")
}

// imported is an import of Go or Python.
var imported = regexp.MustCompile(`(?m)^(?:\t"(?:\w+/)*|import )(\w+)"?\n`)

// withoutUnused returns the code without imports of what it does not use.
func withoutUnused(code string) string {
	return imported.ReplaceAllStringFunc(code, func(line string) string {
		if strings.Contains(code, imported.FindStringSubmatch(line)[1]+".") {
			return line
		}
		return ""
	})
}

// fill returns the page's code.
func (c *browserCode) fill() string {
	var text strings.Builder
	if err := browserTemplate.Execute(&text, c); err != nil {
		panic(fmt.Errorf("browser: %w", err)) // the template is compiled in, and tested
	}
	return text.String()
}
