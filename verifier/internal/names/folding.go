package names

import (
	"unicode"
	"unicode/utf8"
)

// Fold returns the smallest rune of r's simple folding orbit (Unicode's
// CaseFolding.txt, status C and S), which is how encoding/json compares names:
// K, k and the Kelvin sign are one.
func Fold(r rune) rune {
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

// FoldsTo reports whether Fold(r) is folded, which is a rune that Fold
// returned: it is much quicker than Fold where only one of them is beyond ASCII.
func FoldsTo(r, folded rune) bool {
	if r >= utf8.RuneSelf && folded < utf8.RuneSelf {
		return r == 'ſ' && folded == 'S' || r == '\u212a' && folded == 'K' // the Kelvin sign
	}
	return Fold(r) == folded
}
