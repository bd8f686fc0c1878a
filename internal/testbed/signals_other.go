//go:build !unix

package testbed

import "syscall"

// Suspend and Resume are no signals of this system: to send one is an error.
const Suspend, Resume = syscall.Signal(-1), syscall.Signal(-2)
