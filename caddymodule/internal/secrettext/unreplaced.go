package secrettext

import (
	"errors"
	"regexp"
	"strings"
)

// errUnreplaced refuses the name of a variable in place of its value: anyone who
// guesses the name could sign for everyone.
var errUnreplaced = errors.New("this looks like a variable that nothing has replaced, not like a secret")

// unreplaced matches variables that were not replaced because they are misspelled or
// in another program's syntax. Secrets are random text, hexadecimal, base64 and pass
// phrases, with any punctuation, so each pattern matches the whole text, and none
// matches random characters.
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

// CheckReplaced refuses the name of a variable.
func CheckReplaced(text string) error {
	if unreplaced.MatchString(strings.TrimSpace(text)) {
		return errUnreplaced
	}
	return nil
}
