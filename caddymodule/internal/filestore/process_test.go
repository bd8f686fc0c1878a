//go:build unix

package filestore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestMain makes the test binary the other process, too, when it is started as such.
func TestMain(m *testing.M) {
	role, path := os.Getenv("FILESTORE_ROLE"), os.Getenv("FILESTORE_PATH")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := roles[role](path, os.Getenv("FILESTORE_NAME")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// roles are what another process does.
var roles = map[string]func(path, name string) error{
	"write":     writeMuch,
	"hold":      holdLock,
	"limited":   writeUnderLimit,
	"full":      writeUntilRoom,
	"read-only": writeReadOnly,
	"unsynced":  writeUnsynced,
}

// process is another process.
type process struct {
	*exec.Cmd
	out   *bufio.Scanner
	input io.Closer
}

func start(t *testing.T, role, path, name string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	// The race detector would let each process sleep for a second at its end.
	p.Env = append(os.Environ(), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0", "FILESTORE_ROLE="+role, "FILESTORE_PATH="+path, "FILESTORE_NAME="+name)
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if p.input, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	return p
}

// succeeds lets the process end, and fails unless it ends well.
func (p *process) succeeds(t *testing.T) {
	t.Helper()
	_ = p.input.Close()
	for p.out.Scan() {
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
}

// writeMuch makes widgets name-0, name-1 and so on, adds a secret to the widget
// count for each, and prints the number of each that is durable.
func writeMuch(path, name string) error {
	name, amount, _ := strings.Cut(name, "*")
	n, err := strconv.Atoi(amount)
	if err != nil {
		return err
	}
	s := Open(Options{Path: path})
	defer s.Close()
	for i := range n {
		id := fmt.Sprintf("%s-%d", name, i)
		err := s.Update(context.Background(), []string{id, "count"}, func(asked string, old *widgets.Record) (*widgets.Record, error) {
			if asked == id {
				return widget(id, ""), nil
			}
			return withSecret("V-"+id)(asked, old)
		})
		if err != nil {
			return err
		}
		fmt.Println(i)
	}
	untilClosed()
	return nil
}

// written returns how many of the widgets a writer has made are in the file,
// and fails unless they are the first ones, each with its secret in count.
func written(t *testing.T, s *Store, name string) int {
	t.Helper()
	count, err := s.Lookup(t.Context(), []byte("count"))
	if err != nil {
		t.Fatal(err)
	}
	made := make(map[string]bool)
	for _, r := range s.current.Load().snapshot.sorted {
		if strings.HasPrefix(r.ID, name+"-") {
			made[r.ID] = true
		}
	}
	secrets := 0
	for _, secret := range count.Secrets {
		if id := strings.TrimPrefix(secret.Version, "V-"); strings.HasPrefix(id, name+"-") {
			secrets++
			if !made[id] {
				t.Fatalf("of the change that made widget %s, a half is there", id)
			}
		}
	}
	if secrets != len(made) {
		t.Fatalf("there are %d widgets with %d secrets", len(made), secrets)
	}
	for i := range len(made) {
		if id := fmt.Sprintf("%s-%d", name, i); !made[id] {
			t.Fatalf("widget %s was lost", id)
		}
	}
	return len(made)
}

// TestKill: whenever a process is killed, every change it was told of is in the
// file, and the file is whole.
func TestKill(t *testing.T) {
	padding := make([]*widgets.Record, 500) // so that writing takes a while
	for i := range padding {
		padding[i] = widget(fmt.Sprintf("pad-%04d", i), "bookbag")
	}
	path := filed(t, append([]*widgets.Record{widget("count", "")}, padding...)...)
	stale := 0
	for round := range 12 {
		name := fmt.Sprintf("round%d", round)
		p := start(t, "write", path, name+"*500")
		kill := time.AfterFunc(time.Minute, func() { t.Error("the process writes nothing") })
		acknowledged := 0
		for first := true; p.out.Scan(); first = false {
			acknowledged++
			if first && kill.Stop() {
				time.AfterFunc(time.Duration(rand.IntN(300_000))*time.Microsecond, func() { _ = p.Process.Kill() })
			}
		}
		if err := p.Wait(); err == nil {
			t.Fatal("the process ended before it was killed")
		}
		if strings.Contains(beside(t, path), ".new") {
			stale++
		}
		s, _ := logged(path)
		if err := s.Err(); err != nil {
			t.Fatal(err)
		}
		// One more may be written and not yet acknowledged.
		if n := written(t, s, name); n < acknowledged || n > acknowledged+1 {
			t.Fatalf("acknowledged %d changes, there are %d", acknowledged, n)
		}
		if got := len(s.current.Load().snapshot.after("pad-", 1000)); got < len(padding) {
			t.Fatalf("of %d others there are %d", len(padding), got)
		}
		// The next process is not hindered. It also makes room for more secrets.
		update(t, s, widget("count", ""))
		if strings.Contains(beside(t, path), ".new") {
			t.Fatal("what a killed process left is still there")
		}
	}
	t.Logf("%d times a file was being written", stale)
}

// TestProcesses: processes that change one file lose nothing of each other's,
// and see it.
func TestProcesses(t *testing.T) {
	const each = 40
	path := filed(t, widget("count", ""))
	s := watched(t, Options{Path: path})
	names := []string{"a", "b", "c", "d"}
	var writers []*process
	for _, name := range names {
		writers = append(writers, start(t, "write", path, fmt.Sprintf("%s*%d", name, each)))
	}
	for _, p := range writers {
		p.succeeds(t)
	}
	testbed.Until(t, "all changes are seen", func() bool {
		r, err := s.Lookup(t.Context(), []byte("count"))
		return err == nil && len(r.Secrets) == 1+each*len(names)
	})
	for _, name := range names {
		if n := written(t, s, name); n != each {
			t.Errorf("process %s made %d widgets, there are %d", name, each, n)
		}
	}
}

// untilClosed waits until the first process has no more to say.
func untilClosed() { _, _ = io.Copy(io.Discard, os.Stdin) }

func holdLock(path, _ string) error {
	lock := flock.New(path + ".lock")
	if err := lock.Lock(); err != nil {
		return err
	}
	fmt.Println("held")
	untilClosed()
	return lock.Unlock()
}

func TestBusy(t *testing.T) {
	path := filed(t, widget("a", ""))
	s, _ := logged(path)
	p := start(t, "hold", path, "")
	if !p.out.Scan() {
		t.Fatal("the process does not hold the lock")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := s.Update(ctx, []string{"b"}, becomes(widget("b", "")))
	if !errors.Is(err, widgets.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "another process has held the lock on "+path+".lock") {
		t.Errorf("the error is %v", err)
	}
	if got := ids(t, s); got != "a" {
		t.Errorf("there are %s", got)
	}
	_ = p.input.Close()
	update(t, s, widget("b", "")) // waits for the lock
}

// unprivileged gives up what a superuser may do.
func unprivileged() error {
	if os.Getuid() != 0 {
		return nil
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setgid(nobody); err != nil {
		return err
	}
	return syscall.Setuid(nobody)
}

const nobody = 65534

// own makes a file of one widget in a folder of that mode, which belongs to the
// user that [unprivileged] turns into.
func own(t *testing.T, mode os.FileMode) string {
	t.Helper()
	path := filed(t, widget("a", ""))
	folder := filepath.Dir(path)
	if os.Getuid() == 0 {
		for _, name := range []string{filepath.Dir(folder), folder, path} {
			if err := os.Chown(name, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(folder, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	return path
}

// fails makes a change that is not to be written.
func fails(s *Store, text string, records ...*widgets.Record) error {
	names := make([]string, len(records))
	for i, r := range records {
		names[i] = r.ID
	}
	i := -1
	err := s.Update(context.Background(), names, func(string, *widgets.Record) (*widgets.Record, error) {
		i++
		return records[i], nil
	})
	if !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), text) {
		return fmt.Errorf("the error is %w; want: %s", err, text)
	}
	for _, s := range []*Store{s, open(Options{Path: s.path})} {
		r, err := s.Lookup(context.Background(), []byte(names[0]))
		if r != nil || err != nil {
			return fmt.Errorf("there is %v, %w", r, err)
		}
		if r, err = s.Lookup(context.Background(), []byte("a")); r == nil || err != nil {
			return fmt.Errorf("there is no widget a: %w", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(s.path), ".widgets.jsonl.new")); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the new file was left: %w", err)
	}
	return nil
}

func writeReadOnly(path, _ string) error {
	if err := unprivileged(); err != nil {
		return err
	}
	s := Open(Options{Path: path})
	defer s.Close()
	if err := fails(s, "belong to the user that this process runs as", widget("b", "")); err != nil {
		return err
	}
	if err := s.Err(); !errors.Is(err, widgets.ErrUnwritable) {
		return fmt.Errorf("after a change that was not written, the state is %w", err)
	}
	return nil
}

func TestReadOnlyFolder(t *testing.T) {
	t.Run("no lock", func(t *testing.T) {
		start(t, "read-only", own(t, 0o500), "").succeeds(t)
	})
	t.Run("a lock", func(t *testing.T) {
		path := own(t, 0o500)
		put(t, path+".lock", nil)
		if err := os.Chmod(path+".lock", 0o644); err != nil {
			t.Fatal(err)
		}
		start(t, "read-only", path, "").succeeds(t)
	})
}

// writeUnsynced changes a file in a folder that cannot be opened, and so cannot
// be synced.
func writeUnsynced(path, _ string) error {
	if err := unprivileged(); err != nil {
		return err
	}
	s := Open(Options{Path: path})
	defer s.Close()
	err := s.Update(context.Background(), []string{"b"}, becomes(widget("b", "")))
	if !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "the change is in effect, but may not survive a power cut") {
		return fmt.Errorf("the error is %w", err)
	}
	for _, s := range []*Store{s, open(Options{Path: path})} {
		if r, err := s.Lookup(context.Background(), []byte("b")); r == nil || err != nil {
			return fmt.Errorf("the change is not in effect: %w", err)
		}
	}
	return s.Err()
}

func TestUnsyncedFolder(t *testing.T) {
	start(t, "unsynced", own(t, 0o300), "").succeeds(t)
}

func TestFullDisk(t *testing.T) {
	path := filed(t, widget("a", ""))
	start(t, "limited", path, "").succeeds(t)
	s, _ := logged(path)
	if got := ids(t, s); got != "a b" {
		t.Errorf("there are %s", got)
	}
}

// writeUnderLimit runs into a limit on the size of files, as into a full disk.
func writeUnderLimit(path, _ string) error {
	signal.Ignore(syscall.SIGXFSZ) // so that write fails instead
	if err := limitFiles(64 << 10); err != nil {
		return err
	}
	s := Open(Options{Path: path})
	defer s.Close()
	big := make([]*widgets.Record, 1000)
	for i := range big {
		big[i] = widget(fmt.Sprintf("big-%04d", i), "")
	}
	if err := fails(s, "ulimit -f", big...); err != nil {
		return err
	}
	if err := s.Err(); !errors.Is(err, widgets.ErrUnwritable) {
		return fmt.Errorf("after a change that was not written, the state is %w", err)
	}
	if err := s.Update(context.Background(), []string{"b"}, becomes(widget("b", ""))); err != nil {
		return err
	}
	return s.Err()
}

func limitFiles(bytes uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(bytes, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// writeUntilRoom has no room for any change, and then has some again.
func writeUntilRoom(path, _ string) error {
	signal.Ignore(syscall.SIGXFSZ)
	if err := limitFiles(1); err != nil {
		return err
	}
	core, logs := observer.New(zap.DebugLevel)
	s := Open(Options{Path: path, Log: zap.New(core)})
	defer s.Close()
	if err := fails(s, "ulimit -f", widget("b", "")); err != nil {
		return err
	}
	// tries waits until it was tried again, and then for what the store says.
	tries := func(well bool) error {
		s.mu.Lock()
		s.tried = time.Time{} // as if it were long ago
		s.mu.Unlock()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			s.mu.Lock()
			tried := !s.tried.IsZero()
			s.mu.Unlock()
			if err := s.Err(); tried && (err == nil) == well {
				return err
			}
		}
		return fmt.Errorf("the state is %w", s.Err())
	}
	if err := tries(false); !errors.Is(err, widgets.ErrUnwritable) || !strings.Contains(err.Error(), "ulimit -f") {
		return fmt.Errorf("without room: %w", err)
	}
	if r, err := s.Lookup(context.Background(), []byte("a")); r == nil || err != nil {
		return fmt.Errorf("what was read is not served: %w", err)
	}
	if logs.Len() != 1 || logs.All()[0].Level != zap.ErrorLevel {
		return fmt.Errorf("logged: %v", logs.All())
	}
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := limitFiles(1 << 30); err != nil {
		return err
	}
	// Nobody asks for a change, and yet it is found out that there is room.
	if err := tries(true); err != nil {
		return err
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		return fmt.Errorf("the attempt touched the file: %w", err)
	}
	if logs.Len() != 2 || logs.All()[1].Level != zap.InfoLevel {
		return fmt.Errorf("logged: %v", logs.All())
	}
	return s.Update(context.Background(), []string{"b"}, becomes(widget("b", "")))
}

func TestRoomAgain(t *testing.T) {
	path := filed(t, widget("a", ""))
	start(t, "full", path, "").succeeds(t)
	s, _ := logged(path)
	if got := ids(t, s); got != "a b" {
		t.Errorf("there are %s", got)
	}
	if got := beside(t, path); got != "widgets.jsonl widgets.jsonl.lock" {
		t.Errorf("the folder holds %s", got)
	}
}

// TestPipe: opening a pipe would wait for somebody to write into it.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.jsonl")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := logged(path)
	refused(t, s, "it is a folder or a device")
}
