package secrettext

import (
	"errors"
	"regexp"
	"strings"
)

// errUnreplaced refuses the name of a secret in the secret's place: whoever
// guesses the name would sign for everybody. Like all errors about secrets it
// does not quote the text.
var errUnreplaced = errors.New("this looks like a variable that nothing has replaced, not like a secret")

// unreplaced matches what is left of a variable where its syntax is another
// program's, or was misspelled. Secrets are random text, hexadecimal, base64 and
// pass phrases, with any punctuation: so each pattern says what the whole text
// is, and none is one that random characters come upon.
var unreplaced = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`\S*\{\$?(?:env|file)[.:]\S*`,                      // {env.NAME, closed or not, also within a word
	`\W{0,3}(?i:env)[.:]` + variableName + `\W{0,3}`,   // env.NAME, $env:NAME
	`\W{0,3}(?i:file)[.:](?:\S*[/\\]\S*|[^\s.]+)`,      // file./PATH, file:///PATH; pass phrases have more dots, and no slash
	`\{[$%?]?` + variableName + `(?:[.:][^\s{}]*)?\}`,  // {NAME}, {http.NAME}, {$NAME:otherwise}
	`\{[$%?]?` + variableName + `[.:][\w./:-]*`,        // {http.NAME, not closed
	`\$?\{\$?` + shellName + `|\$` + shellName + `\}?`, // {NAME, ${NAME, $NAME, $NAME}
	shellName + `\}`,                              // NAME}
	`\$\{` + variableName + `[^{}]*\}`,            // ${name}, ${name:-otherwise}
	`\$\(.*\)|\{\{.*\}\}`,                         // a shell's command, a template's value
	`%` + variableName + `%|<[A-Za-z][\w ./:-]*>`, // %NAME%, <your secret>
}, "|") + `)$`)

const (
	variableName = `[A-Za-z_]\w*`
	shellName    = `[A-Z_][A-Z0-9_]*`
)

// CheckReplaced refuses a text that is a variable's name.
func CheckReplaced(text string) error {
	if unreplaced.MatchString(strings.TrimSpace(text)) {
		return errUnreplaced
	}
	return nil
}
