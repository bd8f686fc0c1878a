package boltledger

import "fmt"

const (
	// acceptance is how to begin anew, and what is forgotten then.
	acceptance = " ('caddy chat-identity ledger accept-loss'), after which conversations that were taken are free to take"
	// wayOut is what can be done about a file that is refused.
	wayOut = ": restore it from a copy, or move it away and accept the loss" + acceptance
)

// damageError says what is wrong with a file.
type damageError struct{ what string }

func damaged(format string, arguments ...any) error {
	return &damageError{fmt.Sprintf(format, arguments...)}
}

func (e *damageError) Error() string { return "the file is damaged: " + e.what + wayOut }
