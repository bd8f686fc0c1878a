//go:build !linux

package main

import (
	"os/exec"
	"strconv"
	"testing"
)

// testKilled has nothing to check: elsewhere than on Linux, a child's life is not
// bound to its parent's.
func testKilled(*testing.T, string, string) {}

// runs reports whether there is such a process.
func runs(pid int) bool { return exec.Command("ps", "-p", strconv.Itoa(pid)).Run() == nil }
