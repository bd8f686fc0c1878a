//go:build !linux

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// testKilled has nothing to check: elsewhere than on Linux, a child's life is not
// bound to its parent's.
func testKilled(*testing.T, *demo) {}

// processes returns the command lines of all processes.
func processes(t *testing.T) map[int]string {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatalf("ps: %v", err)
	}
	all := map[int]string{}
	for line := range strings.Lines(string(out)) {
		number, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		var pid int
		if _, err := fmt.Sscan(number, &pid); err != nil {
			t.Fatal(err)
		}
		all[pid] = strings.TrimSpace(command) + " "
	}
	return all
}
