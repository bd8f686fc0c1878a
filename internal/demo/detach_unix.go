//go:build unix

package demo

import (
	"os/exec"
	"syscall"
)

// detach leaves a terminal's Ctrl-C to the demo alone, which ends the others in
// their order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func goOn(cmd *exec.Cmd) { _ = cmd.Process.Signal(syscall.SIGCONT) }
