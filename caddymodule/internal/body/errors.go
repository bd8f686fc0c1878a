package body

import (
	"errors"
	"fmt"
	"net/http"
)

// Why a body cannot be read.
var (
	// ErrTooLarge says that the body is larger than the limit given, or than one
	// that was set on the request before.
	ErrTooLarge = errors.New("body: larger than its limit")
	// ErrBroken says that the client stopped before the body was complete.
	ErrBroken = errors.New("body: ended before it was complete")
	// ErrStalled says that the client sends too slowly, or no longer.
	ErrStalled = errors.New("body: arrives too slowly")
	// ErrNoRoom is what every [NoRoomError] is.
	ErrNoRoom = errors.New("body: no room for a temporary file")
)

// NoRoomError says why there is no room for a temporary file. It is for the
// operator's log and never for the client: it names a folder of this machine.
type NoRoomError struct {
	Cause  error  // what failed
	Remedy string // what an operator can do about it
}

// Error implements error.
func (e *NoRoomError) Error() string {
	return fmt.Sprintf("%v: %v: %s", ErrNoRoom, e.Cause, e.Remedy)
}

// Is reports whether target is [ErrNoRoom].
func (e *NoRoomError) Is(target error) bool { return target == ErrNoRoom }

// Unwrap returns the cause.
func (e *NoRoomError) Unwrap() error { return e.Cause }

// reason maps an error of reading: a limit that was set on the request before
// is a limit, anything else is a client that stopped.
func (b *Body) reason(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || b.tooLarge != nil && b.tooLarge(err) {
		return ErrTooLarge
	}
	return ErrBroken
}
