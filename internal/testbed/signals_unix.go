//go:build unix

package testbed

import "syscall"

// Suspend and Resume are the signals that stop a process and let it go on.
const Suspend, Resume = syscall.SIGSTOP, syscall.SIGCONT
