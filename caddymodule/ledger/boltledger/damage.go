package boltledger

import "fmt"

const (
	// forgetting is what a ledger that begins anew does not know any more.
	forgetting = "one-time signatures of the last minutes could be used again, and conversations are free to take"
	// wayOut is what can be done about a file that is refused.
	wayOut = ": restore it from a copy, or move it away to begin anew, which forgets what it knew: " + forgetting
)

// damageError says what is wrong with a file.
type damageError struct{ what string }

func damaged(format string, arguments ...any) error {
	return &damageError{fmt.Sprintf(format, arguments...)}
}

func (e *damageError) Error() string { return "the file is damaged: " + e.what + wayOut }
