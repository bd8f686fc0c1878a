package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// testKilled kills the demo, which cannot tidy up then: the kernel does.
func testKilled(t *testing.T, d *demo) {
	d.start(t, freePort(t))
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := d.wait(t); err == nil {
		t.Error("a killed process ended well")
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(d.gateways(t)) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the gateway outlived the demo")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processes returns the command lines of all processes.
func processes(t *testing.T) map[int]string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]string{}
	for _, f := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if err != nil {
			t.Fatal(err)
		}
		// One that has just ended has no command line any more.
		if line, err := os.ReadFile(f); err == nil {
			all[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte(" ")))
		}
	}
	return all
}
