package names_test

import (
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

func TestKnownCharset(t *testing.T) {
	for _, known := range []string{
		"", " utf-8 ", "UTF-8", "utf8", "US-ASCII", "ascii", "ISO-8859-1", "iso8859-15", "ISO_8859-1", "latin1", "windows-1252", "Windows-1258",
		"cp1251", "utf-16", "UTF-16LE", "utf-16be", "utf-32", "utf-32le", "UTF-32BE",
	} {
		if !names.KnownCharset(known) {
			t.Errorf("%q is not known", known)
		}
	}
	for _, unknown := range []string{
		"utf-7", "x-utf-8", "utf-8x", "utf", "cp037", "IBM500", "iso-2022-jp", "iso-8859-", "iso-8859-x", "windows-125", "windows-12", "gb2312", "hz-gb-2312",
		"unicode", "utf-8,utf-16", `"utf-8"`, "utf-8\x00",
	} {
		if names.KnownCharset(unknown) {
			t.Errorf("%q is known", unknown)
		}
	}
}
