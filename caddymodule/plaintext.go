package caddymodule

import (
	"errors"
	"regexp"
	"strings"
)

// Whatever stands around a secret would be part of it, and no signature of a
// server that has it without would ever match. Like all errors about secrets these
// do not quote the text.
var (
	errUTF16  = errors.New("the text is in UTF-16, as some Windows programs save it: save it as UTF-8, in PowerShell by Set-Content -Encoding ascii")
	errMarked = errors.New("the text begins with a byte-order mark, which would be part of it: save it as UTF-8 without one, in PowerShell by Set-Content -Encoding ascii")
	errQuoted = errors.New("the text is in quotes, which would be part of it: remove them (docker's --env-file keeps them, and so does a file)")
	errNamed  = errors.New("the text is an assignment, NAME=value: only the value belongs here")
	errLines  = errors.New("the text has several lines: put one secret in each file or variable")
	errSpaced = errors.New("the text begins or ends with a space, tab or newline, which would be part of it: remove it (echo adds a newline, printf does not)")
)

// assignment matches a line of an environment file. The end is no padding of base64.
var assignment = regexp.MustCompile(`^\s*(?:export\s+)?\w*(?i:secret|key|token|hmac)\w*\s*=\s*[^\s=]`)

// checkPlain refuses a text that a file, an environment variable or a pipe holds
// where it is the name of a variable, or not the bare text itself.
//
// A random secret may look like that by chance: of those of all 94 printable
// characters one in 4,400 begins and ends with the same quote, of binary ones one
// in four has a newline, or a space at one end; hexadecimal and base64 never do. It
// is refused all the same: in a file or variable the slip is far likelier, it would
// go unnoticed until customers cannot chat, and whoever hits on such a secret is
// told at once and makes another. What is written out in the configuration is taken
// as it is, since the Caddyfile's own quotes are off by then.
func checkPlain(text string) error {
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"), everySecondNUL(text, 0), everySecondNUL(text, 1):
		return errUTF16
	case strings.HasPrefix(text, "\ufeff"):
		return errMarked
	case checkReplaced(text) != nil:
		return errUnreplaced
	case len(trimmed) > 1 && strings.ContainsAny(trimmed[:1], `"'`) && trimmed[0] == trimmed[len(trimmed)-1]:
		return errQuoted
	case assignment.MatchString(text):
		return errNamed
	case strings.ContainsAny(trimmed, "\r\n"):
		return errLines
	case trimmed != text && trimmed != "": // what is all spaces is empty, which says more
		return errSpaced
	}
	return nil
}

// everySecondNUL reports whether that is how the text goes on from the first or
// second byte, as ASCII in UTF-16 does.
func everySecondNUL(text string, first int) bool {
	for i := range len(text) {
		if (text[i] == 0) != (i%2 == first) {
			return false
		}
	}
	return len(text) > 1
}
