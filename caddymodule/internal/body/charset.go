package body

import "strings"

// Charset says whether names can be found in text of a declared charset.
type Charset uint8

// The charsets, from good to bad.
const (
	// CharsetUTF8 is UTF-8, US-ASCII, or none.
	CharsetUTF8 Charset = iota
	// CharsetSearchable is one in which a search finds a name: UTF-16, UTF-32, ISO-8859-*
	// and windows-125*.
	CharsetSearchable
	// CharsetUnknown is any other. UTF-7 and EBCDIC hide names from a search for ASCII.
	CharsetUnknown
)

// charsetOf returns the worst charset that any parser could find in a Content-Type, given
// in lower case.
func charsetOf(folded string) Charset {
	worst := CharsetUTF8
	for {
		_, after, found := strings.Cut(folded, "charset")
		if !found {
			return worst
		}
		folded = after
		after = strings.TrimLeft(after, " \t")
		if strings.HasPrefix(after, "*") { // RFC 2231
			return CharsetUnknown
		}
		if label, found := strings.CutPrefix(after, "="); found {
			label = strings.TrimLeft(label, " \t\"'")
			if end := strings.IndexAny(label, ";, \t\"'"); end >= 0 {
				label = label[:end]
			}
			worst = max(worst, charsetNamed(label))
		}
	}
}

// charsetNamed returns the charset of a label, without regard to punctuation.
func charsetNamed(label string) Charset {
	if label == "utf-8" {
		return CharsetUTF8
	}
	label = strings.Map(func(r rune) rune {
		if r == '-' || r == '_' {
			return -1
		}
		return r
	}, label)
	switch label {
	case "", "utf8", "usascii", "ascii":
		return CharsetUTF8
	case "utf16", "utf16le", "utf16be", "utf32", "utf32le", "utf32be":
		return CharsetSearchable
	}
	for _, family := range [...]string{"iso8859", "latin", "windows125", "cp125"} {
		if number, found := strings.CutPrefix(label, family); found {
			number = strings.TrimRight(number, "ie") // ISO-8859-8-I
			if 1 <= len(number) && len(number) <= 2 && strings.Trim(number, "0123456789") == "" {
				return CharsetSearchable
			}
		}
	}
	return CharsetUnknown
}
