//go:build !unix

package parsertest

import "os/exec"

func ownGroup(cmd *exec.Cmd) (end func()) { return func() { _ = cmd.Process.Kill() } }
