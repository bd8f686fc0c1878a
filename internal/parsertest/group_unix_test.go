//go:build unix

package parsertest

import (
	"os/exec"
	"syscall"
)

// ownGroup has the program and its children be a group of their own, and returns what
// ends all of them: PHP's workers survive their server.
func ownGroup(cmd *exec.Cmd) (end func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
