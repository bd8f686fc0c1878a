package secrettext

import (
	"fmt"
	"regexp"
	"strings"
)

// Looks reports whether a text looks like a secret, a digest or a token: it has a part as
// long as one without anything that divides words, or little of that, or is a digest in
// base64url.
func Looks(text string) bool {
	words, run, longest := 0, 0, 0
	for i := range len(text) {
		if run++; strings.IndexByte("-_. ", text[i]) >= 0 {
			words, run = words+1, 0
		}
		longest = max(longest, run)
	}
	return longest >= maxWord || len(text) >= maxWord && (words < 3 || strings.HasPrefix(text, "eyJ") || digest.MatchString(text))
}

// maxWord is how long no word is.
const maxWord = 40

// Hidden is what is shown in place of a text that looks like a secret.
func Hidden(text string) string {
	return fmt.Sprintf("(%d characters that look like a secret)", len(text))
}

var (
	digest = regexp.MustCompile(`^[\w-]{43}=?$`) // of 32 bytes
	run    = regexp.MustCompile(`[\w+/=-]{16,}`)
	piece  = regexp.MustCompile(`[0-9A-Za-z]{16,}`)
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
