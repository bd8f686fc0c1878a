package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func TestNoFolder(t *testing.T) {
	file := filed(t)
	s, logs := logged(filepath.Join(file, "widgets.jsonl"))
	refused(t, s)
	if logs.Len() != 1 {
		t.Errorf("logged: %v", logs.All())
	}
	s, _ = logged(filepath.Join(filepath.Dir(file), strings.Repeat("long", 100)))
	refused(t, s)
}

// TestObstacle: a change that cannot be written leaves everything as it was.
func TestObstacle(t *testing.T) {
	path := filed(t, widget("a", ""))
	s, _ := logged(path)
	fresh := filepath.Join(filepath.Dir(path), ".widgets.jsonl.new")
	if err := os.MkdirAll(filepath.Join(fresh, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := s.Update(context.Background(), []string{"b"}, becomes(widget("b", "")))
	if !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), fresh) {
		t.Errorf("the error is %v", err)
	}
	again, _ := logged(path)
	if got, stored := known(t, s), ids(t, again); got != "a" || stored != "a" {
		t.Errorf("there are %s, in the file %s", got, stored)
	}
	if err := os.RemoveAll(fresh); err != nil {
		t.Fatal(err)
	}
	update(t, s, widget("b", ""))
}

// TestStaleFile: what a killed process left is no obstacle.
func TestStaleFile(t *testing.T) {
	path := filed(t, widget("a", ""))
	put(t, filepath.Join(filepath.Dir(path), ".widgets.jsonl.new"), []byte("half a fi"))
	s, _ := logged(path)
	update(t, s, widget("b", ""))
	if got := beside(t, path); got != "widgets.jsonl widgets.jsonl.lock" {
		t.Errorf("the folder holds %s", got)
	}
}

func TestBusyInProcess(t *testing.T) {
	s, _ := logged(filed(t, widget("a", "")))
	inside, leave := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		done <- s.Update(context.Background(), []string{"b"}, func(string, *widgets.Record) (*widgets.Record, error) {
			close(inside)
			<-leave
			return widget("b", ""), nil
		})
	}()
	<-inside
	for want, make := range map[error]func() (context.Context, context.CancelFunc){
		context.DeadlineExceeded: func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Millisecond)
		},
		context.Canceled: func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return ctx, cancel
		},
	} {
		ctx, cancel := make()
		if err := s.Update(ctx, []string{"c"}, becomes(widget("c", ""))); !errors.Is(err, widgets.ErrBusy) || !errors.Is(err, want) {
			t.Errorf("the error is %v, want %v", err, want)
		}
		cancel()
	}
	close(leave)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	update(t, s, widget("d", ""))
	if got := ids(t, s); got != "a b d" {
		t.Errorf("there are %s", got)
	}
}

func TestRemedies(t *testing.T) {
	for _, c := range []struct {
		err  error
		says func(error) error
		want string
	}{
		{syscall.ENOSPC, unwritable, "nothing was changed: widgets file: write /w: no space left on device: free some space"},
		{syscall.EINVAL, unwritable, "can create files in the folder"},
		{syscall.EINVAL, func(err error) error { return unreadable(err, "") }, "can read the file"},
		{errNewer, func(err error) error { return unreadable(err, "") }, "run a version that is at least as new"},
		{syscall.EINVAL, unsure, "the change is in effect, but may not survive a power cut"},
	} {
		err := c.says(&fs.PathError{Op: "write", Path: "/w", Err: c.err})
		if !errors.Is(err, widgets.ErrUnavailable) || !errors.Is(err, c.err) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%v: %v; want: %s", c.err, err, c.want)
		}
	}
}
