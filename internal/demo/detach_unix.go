//go:build unix

package demo

import (
	"os/exec"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from the process, so that the demo ends its
// processes in order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func resume(cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGCONT) }
