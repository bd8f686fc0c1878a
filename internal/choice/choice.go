// Package choice says what was probably meant by a name that is none of a few.
package choice

import (
	"fmt"
	"strings"
)

// Unknown is the error for a name that is none of the few known ones.
func Unknown(what, name string, known []string) error {
	meant := Nearest(name, known)
	if meant != "" {
		meant = " (did you mean " + meant + "?)"
	}
	return fmt.Errorf("unknown %s '%s'%s: one of %s", what, name, meant, strings.Join(known, ", "))
}

// Nearest returns the known name that a misspelled one resembles most, "" if none does.
func Nearest(name string, known []string) (nearest string) {
	folded := fold(name)
	best := 1 + min(len(folded)/3, 3)
	for _, candidate := range known {
		other := fold(candidate)
		d := Distance(folded, other)
		if len(folded) > 2 && len(other) > 2 && (strings.HasPrefix(other, folded) || strings.HasPrefix(folded, other)) {
			d = min(d, 1) // "sig", "headers"
		}
		if d < best {
			nearest, best = candidate, d
		}
	}
	return nearest
}

// fold removes what does not distinguish names: case, hyphens and underscores.
func fold(name string) string { return separators.Replace(strings.ToLower(name)) }

var separators = strings.NewReplacer("-", "", "_", "")

// Distance is the number of bytes to insert, delete or replace, or of neighbors to swap,
// that make b of a.
func Distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
				continue
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], 1+rows[i-2][j-2])
			}
		}
	}
	return rows[len(a)][len(b)]
}
