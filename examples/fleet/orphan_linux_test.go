package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// testKilled kills the demo, which cannot tidy up then: the kernel does.
func testKilled(t *testing.T, program, caddy string) {
	d := start(t, program, caddy)
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.wait(t); err == nil {
		t.Error("a killed process ended well")
	}
	d.assertEnded(t)
}

// runs reports whether there is such a process. One that has ended and is listed
// does not run: whoever inherits orphans need not ask how they ended.
func runs(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !bytes.Contains(status, []byte("State:\tZ"))
}
