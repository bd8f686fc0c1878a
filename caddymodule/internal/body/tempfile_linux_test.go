package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// openFiles are the names of this process's open files.
func openFiles(t testing.TB) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// TestFileHasNoName: the folder is empty while the file is in use, and nothing
// of it is open afterwards.
func TestFileHasNoName(t *testing.T) {
	for name, create := range map[string]func(string) (*os.File, error){"O_TMPFILE, if there is that": createNameless, "unlinked": createUnlinked} {
		dir := t.TempDir()
		f, err := create(dir)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := f.Stat(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		_ = f.Close()
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s: the folder has %v", name, entries)
		}
	}
	s := testSpool(t)
	b, r := received(bytes.NewReader(randomText(2*MemoryLimit)), -1)
	if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	inSpool := func() (found []string) {
		for _, name := range openFiles(t) {
			if strings.HasPrefix(name, s.Dir()) {
				found = append(found, name)
			}
		}
		return found
	}
	if found := inSpool(); len(found) != 1 || !strings.HasSuffix(found[0], "(deleted)") {
		t.Errorf("open files: %q", found)
	}
	if entries, err := os.ReadDir(s.Dir()); len(entries) > 0 || err != nil {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	b.Pass(r)
	if n, err := io.Copy(io.Discard, r.Body); n != 2*MemoryLimit || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	b.End()
	if found := inSpool(); len(found) > 0 {
		t.Errorf("open afterwards: %q", found)
	}
}

func TestNoRoom(t *testing.T) {
	large := func(s *Spool) (*Body, error) {
		b, _ := received(bytes.NewReader(randomText(2*MemoryLimit)), -1)
		return b, b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: testClient})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir    string
		cause  error
		remedy string
	}{
		{filepath.Join(t.TempDir(), "missing"), fs.ErrNotExist, "create the folder"},
		{file, syscall.ENOTDIR, "name another folder"},
		{"/proc", nil, "another"},
	} {
		s := testSpool(t)
		s.Configure(c.dir, 0)
		_, err := large(s)
		if !errors.Is(err, ErrNoRoom) || c.cause != nil && !errors.Is(err, c.cause) ||
			!strings.Contains(err.Error(), c.remedy) || !strings.Contains(err.Error(), c.dir) {
			t.Errorf("%s: %v", c.dir, err)
		}
	}
}

// TestFullDisk: a disk that has no room any more, as the kernel itself says it.
func TestFullDisk(t *testing.T) {
	s := testSpool(t)
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := &tempFile{f: full, spool: s, client: clientOf(testClient)}
	if err := f.write([]byte("x")); !errors.Is(err, ErrNoRoom) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") {
		t.Error(err)
	}
	f.close()
}

// TestLimitOfFiles: a file that may not get larger, in a process of its own.
func TestLimitOfFiles(t *testing.T) {
	if os.Getenv("BODY_TEST_LIMIT") != "" {
		signal.Ignore(syscall.SIGXFSZ) // so that writing fails with EFBIG, as a full disk would make it fail
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 3 << 20, Max: 3 << 20}); err != nil {
			t.Fatal(err)
		}
		s := testSpool(t)
		for _, size := range []int{5 << 20, 2 << 20, 4 << 20, 1 << 20} {
			b, r := received(bytes.NewReader(randomText(size)), -1)
			err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30, Client: testClient})
			if large := size > 3<<20; large != errors.Is(err, ErrNoRoom) || !large && err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
			b.Pass(r)
			if n, err := io.Copy(io.Discard, r.Body); err == nil && n != int64(size) {
				t.Errorf("%d bytes pass for %d", n, size)
			}
			b.End()
		}
		if found := openFiles(t); strings.Contains(strings.Join(found, " "), s.Dir()) {
			t.Errorf("open afterwards: %q", found)
		}
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestLimitOfFiles$")
	c.Env = append(os.Environ(), "BODY_TEST_LIMIT=1")
	if out, err := c.CombinedOutput(); err != nil || bytes.Contains(out, []byte("no tests")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestKilled: of a process that is killed no file stays.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("BODY_TEST_KILLED"); dir != "" {
		s := new(Spool)
		s.Configure(dir, 0)
		b, _ := received(bytes.NewReader(randomText(2*MemoryLimit)), -1)
		if err := b.Spool(t.Context(), s, Upload{Limit: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("ready", b.Len())
		select {}
	}
	dir := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	c.Env = append(os.Environ(), "BODY_TEST_KILLED="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := io.ReadAll(io.LimitReader(out, 5)); string(line) != "ready" {
		t.Errorf("%q, %v", line, err)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

func TestInMemory(t *testing.T) {
	if !InMemory("/dev/shm") || InMemory("/proc") || InMemory("/nowhere/at/all") {
		t.Errorf("/dev/shm %v, /proc %v", InMemory("/dev/shm"), InMemory("/proc"))
	}
}
