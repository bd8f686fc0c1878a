package secrettext

import (
	"fmt"
	"regexp"
	"strings"
)

// Looks reports whether a text is a token, or as long as a secret and without anything
// that divides words.
func Looks(text string) bool {
	words := 0
	for _, divider := range []string{"-", "_", ".", " "} {
		words += strings.Count(text, divider)
	}
	return len(text) >= 40 && (words < 3 || strings.HasPrefix(text, "eyJ"))
}

// Hidden is what is shown in place of a text that looks like a secret.
func Hidden(text string) string {
	return fmt.Sprintf("(%d characters that look like a secret)", len(text))
}

var (
	run   = regexp.MustCompile(`[\w+/=-]{16,}`)
	piece = regexp.MustCompile(`[0-9A-Za-z]{16,}`)
)

// Hide returns a message without what looks like a secret in a word that it may quote, such
// as one in the wrong place of a configuration. Names and paths there are rarely as long
// without a divider and with a digit.
func Hide(message, word string) string {
	for _, text := range run.FindAllString(word, -1) {
		if text = strings.Trim(text, "=-"); Looks(text) || strings.ContainsAny(text, "0123456789") && (piece.MatchString(text) || strings.Count(text, "-")+strings.Count(text, "_")+strings.Count(text, "/") < 2) {
			message = strings.ReplaceAll(message, text, Hidden(text))
		}
	}
	return message
}
