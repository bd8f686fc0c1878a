// Package fold compares names as parsers do that ignore letter case.
package fold

import (
	"unicode"
	"unicode/utf8"
)

// Rune returns the smallest rune of r's simple folding orbit (Unicode's
// CaseFolding.txt, status C and S), which is how encoding/json compares names:
// K, k and the Kelvin sign are one.
func Rune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// Is reports whether Rune(r) is folded, which is a rune that Rune returned: it
// is much quicker than Rune where only one of them is beyond ASCII.
func Is(r, folded rune) bool {
	if r >= utf8.RuneSelf && folded < utf8.RuneSelf {
		return r == 'ſ' && folded == 'S' || r == '\u212a' && folded == 'K' // the Kelvin sign
	}
	return Rune(r) == folded
}
