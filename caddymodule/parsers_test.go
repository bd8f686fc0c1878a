package caddymodule

import (
	"slices"
	"unicode/utf8"

	"github.com/chatidentity/caddy-chat-identity/internal/parsertest"
)

// Where backends read a user: whatever the request holds, and queries alone.
var (
	inBodies  = []string{parsertest.JSON, parsertest.Form, parsertest.Merged}
	inQueries = []string{parsertest.Query, parsertest.Merged}
)

// readAt returns what the parsers of a backend read at any of some paths. One that
// reads in these places and finds nothing is there, too.
func readAt(answer parsertest.Answer, places []string, paths [][]string) map[string][]string {
	read := make(map[string][]string)
	for parser, reading := range answer {
		if slices.Contains(places, reading.Place) {
			read[parser] = nil
			for _, path := range paths {
				read[parser] = append(read[parser], reading.Under(path...)...)
			}
		}
	}
	return read
}

// vouchedFor reports whether what a parser reads is the user id that was verified,
// or nothing.
func vouchedFor(values []string, user string) bool {
	for _, value := range values {
		if !utf8.ValidString(value) || user == "" || value != "s"+user && value != "i"+user {
			return false
		}
	}
	return true
}
