package diagnose

import (
	"slices"
	"strings"
)

// Mistake is what an integrator did differently from what the gateway checks.
type Mistake struct {
	// ID is a keyword for logs, such as "email_signed". Where several mistakes
	// were made at once, their keywords are joined by "+".
	ID string
	// Text is one sentence: what was done, and what to do instead. It is made
	// of fixed words and the configuration's alone, so it never holds a
	// secret, a digest or the user's data.
	Text string
	// Detail is about this claim alone, such as how long ago a token has expired; "" for
	// nothing. It holds no value of the claim either.
	Detail string
}

// deviation is one thing that was done differently.
type deviation struct {
	id  string
	did string // a clause, such as "the secret was used in upper case"
	fix string // an imperative, such as "use the secret as it is"
}

// compose makes one sentence of what was done.
func compose(deviations []deviation) Mistake {
	var ids, did, fix []string
	for _, s := range deviations {
		ids = append(ids, s.id)
		did = append(did, s.did)
		if !slices.Contains(fix, s.fix) {
			fix = append(fix, s.fix)
		}
	}
	text := enumerate(did) + ": " + enumerate(fix) + "."
	return Mistake{ID: strings.Join(ids, "+"), Text: strings.ToUpper(text[:1]) + text[1:]}
}

// enumerate writes "a", "a, and b", "a, b, and c".
func enumerate(clauses []string) string {
	last := len(clauses) - 1
	if last == 0 {
		return clauses[0]
	}
	return strings.Join(clauses[:last], ", ") + ", and " + clauses[last]
}
