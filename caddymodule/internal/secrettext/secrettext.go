// Package secrettext tells a secret from what a file, a variable or a pipe contains
// instead by mistake.
package secrettext

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// Anything around a secret would become part of it, and signatures with the bare
// secret would not match. Like all errors about secrets, these do not quote it.
var (
	errUTF16  = errors.New("the text is in UTF-16, as some Windows programs save it: save it as UTF-8, in PowerShell by Set-Content -Encoding ascii")
	errMarked = errors.New("the text begins with a byte-order mark, which would become part of it: save it as UTF-8 without one, in PowerShell by Set-Content -Encoding ascii")
	errQuoted = errors.New("the text is in quotes, which would become part of it: remove them")
	errNamed  = errors.New("the text is an assignment (NAME=value): keep only the value")
	errLines  = errors.New("the text has several lines: put one secret in each file or variable")
	errPublic = errors.New("the text is a public key, which everybody may know: write public_key in place of secret")
	errSpaced = errors.New("the text begins or ends with a space, tab or newline, which would become part of it: remove it (echo adds a newline, printf does not)")
	errNUL    = errors.New("the text begins or ends with a NUL byte, which would become part of it: remove it")
	errJSON   = errors.New("the text is a JSON object, all of which would be the secret: keep only the value")
)

// assignment matches a line of an environment file, but not the padding of base64.
var assignment = regexp.MustCompile(`^\s*(?:export\s+)?\w*(?i:secret|key|token|hmac)\w*\s*=\s*[^\s=]`)

// Check refuses the text of a file or pipe that is not the bare secret, or is
// the name of a variable.
//
// A random secret may look like that by chance: one in 4,400 random strings of
// printable ASCII begins and ends with the same quote, though no hexadecimal or
// base64 does. It is refused all the same. In a file, a mistake is far likelier and
// would go unnoticed until customers cannot chat, while an operator with such a
// secret learns about it at load and can generate another.
func Check(text string) error {
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"), everySecondNUL(text, 0), everySecondNUL(text, 1):
		return errUTF16
	case strings.HasPrefix(text, "\ufeff"):
		return errMarked
	case CheckReplaced(text) != nil:
		return errUnreplaced
	case len(trimmed) > 1 && strings.ContainsAny(trimmed[:1], `"'`) && trimmed[0] == trimmed[len(trimmed)-1]:
		return errQuoted
	case assignment.MatchString(text):
		return errNamed
	case strings.HasPrefix(trimmed, "-----BEGIN") && strings.Contains(trimmed, "PUBLIC KEY-----"):
		return errPublic
	case strings.ContainsAny(trimmed, "\r\n"):
		return errLines
	case strings.Trim(text, "\x00") != text:
		return errNUL
	case trimmed != text && trimmed != "": // only spaces: reported as empty instead
		return errSpaced
	}
	return nil
}

// errMore doubts a secret.
var errMore = errors.New(`the text has at an end what is seldom part of a secret, such as b'…', typographic quotes, a comma, a semicolon, a comment, \n in letters or a character that nobody sees, or is two secrets or one twice: if it is a mistake, remove it`)

var more = regexp.MustCompile("^(?:b'.*'|b\".*\"|`.*`|[“„‘].*[”“’]|.*[,;]|.*\\s(?:#|//).*|.*\\\\[nrt]|\\p{Cf}.*|.*\\p{Cf}|\\S{16,}\\s+\\S{16,})$")

// Doubt says why a text is unlikely to be meant as a secret: what [Check] refuses, and what
// a random secret may look like more often.
func Doubt(text string) error {
	if err := Check(text); err != nil {
		return err
	}
	if half := text[:len(text)/2]; more.MatchString(text) || text != "" && text == half+half {
		return errMore
	}
	if strings.HasPrefix(text, "{") && json.Valid([]byte(text)) {
		return errJSON
	}
	return nil
}

// everySecondNUL reports whether every second byte is NUL, from the given one on, as
// in ASCII text in UTF-16.
func everySecondNUL(text string, first int) bool {
	for i := range len(text) {
		if (text[i] == 0) != (i%2 == first) {
			return false
		}
	}
	return len(text) > 1
}
