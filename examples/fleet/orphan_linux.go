package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// The kernel's parent-death signal follows the thread that started the child,
// so main must stay on the one thread that lives as long as the process.
func init() { runtime.LockOSThread() }

// endWithParent makes a child stop even if this program is killed without a
// chance to stop it. A terminal's Ctrl-C is left to this program alone.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
