package names

import "strings"

// KnownCharset reports whether it can be told what a text in a charset says:
// whether the readings of this package are all that there are of its names. An
// empty charset is the reader's default. Of any other charset it cannot be
// told, since UTF-7, EBCDIC and ISO-2022 write the letters of ASCII in other
// bytes.
func KnownCharset(charset string) bool {
	charset = strings.ToLower(strings.Trim(charset, " \t"))
	switch charset {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "latin1",
		"utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be":
		return true
	}
	for _, family := range []string{"iso-8859-", "iso8859-", "iso_8859-", "windows-125", "cp125"} {
		if number, ok := strings.CutPrefix(charset, family); ok {
			return number != "" && '0' <= number[0] && number[0] <= '9'
		}
	}
	return false
}
