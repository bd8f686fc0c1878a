package fold

import (
	"strings"
	"testing"
	"unicode"
)

// TestRune compares with strings.EqualFold, which uses the same orbits.
func TestRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if folded := Rune(r); unicode.IsLetter(r) && !strings.EqualFold(string(r), string(folded)) || Rune(folded) != folded {
			t.Fatalf("%U folds to %U", r, folded)
		}
	}
	for _, same := range []string{"kK\u212a", "sS\u017f", "µ\u03bcΜ", "ßẞ"} {
		for _, r := range same {
			if first := []rune(same)[0]; Rune(r) != Rune(first) {
				t.Errorf("%c and %c differ", r, first)
			}
		}
	}
}

// TestIs compares with Rune.
func TestIs(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		for _, folded := range []rune{'A', 'K', 'S', 'Z', '_', '1', Rune('é'), Rune('я'), Rune('µ'), Rune(r)} {
			if Is(r, folded) != (Rune(r) == folded) {
				t.Fatalf("%U and %U", r, folded)
			}
		}
	}
}
