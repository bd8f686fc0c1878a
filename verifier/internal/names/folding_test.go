package names

import (
	"strings"
	"testing"
	"unicode"
)

// TestFold compares with strings.EqualFold, which uses the same orbits.
func TestFold(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if folded := Fold(r); unicode.IsLetter(r) && !strings.EqualFold(string(r), string(folded)) || Fold(folded) != folded {
			t.Fatalf("%U folds to %U", r, folded)
		}
	}
	for _, same := range []string{"kK\u212a", "sS\u017f", "µ\u03bcΜ", "ßẞ"} {
		for _, r := range same {
			if first := []rune(same)[0]; Fold(r) != Fold(first) {
				t.Errorf("%c and %c differ", r, first)
			}
		}
	}
}

// TestFoldsTo compares with Fold.
func TestFoldsTo(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		for _, folded := range []rune{'A', 'K', 'S', 'Z', '_', '1', Fold('é'), Fold('я'), Fold('µ'), Fold(r)} {
			if FoldsTo(r, folded) != (Fold(r) == folded) {
				t.Fatalf("%U and %U", r, folded)
			}
		}
	}
}
