//go:build slow

package body

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestSlowFullDisk: a folder of three megabytes that fills up, mounted where
// nobody else sees it. What was refused leaves room for others.
func TestSlowFullDisk(t *testing.T) {
	dir := os.Getenv("BODY_TEST_FULL")
	if dir == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestSlowFullDisk$")
		c.Env = append(os.Environ(), "BODY_TEST_FULL="+t.TempDir())
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		if out, err := c.CombinedOutput(); err != nil || bytes.Contains(out, []byte("no tests")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := syscall.Mount("spool", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Unmount(dir, 0) }()
	if !InMemory(dir) {
		t.Error("a folder in memory passes for a disk")
	}
	s := testSpool(t)
	s.Configure(dir, 0)
	open := func(size int) (*Body, error) {
		b, r := received(bytes.NewReader(randomText(size)), -1)
		err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: testClient})
		b.Pass(r)
		return b, err
	}
	for range 3 {
		first, err := open(2 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open(2 << 20); !errors.Is(err, ErrNoRoom) || !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		if n, err := io.Copy(io.Discard, first); n != 2<<20 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		first.End()
	}
}
