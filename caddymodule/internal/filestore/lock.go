package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

const (
	// lockTimeout is how long a change waits for others.
	lockTimeout = 10 * time.Second
	// lockSuffix follows the file's name in that of its lock.
	lockSuffix = ".lock"
	// lockRetry is how often the lock is tried.
	lockRetry = 2 * time.Millisecond
	// lockRest is how long this process does not take the lock after releasing it.
	// Without this pause a busy writer starves other processes, which only poll.
	lockRest = 3 * lockRetry
)

// lock waits until no other goroutine and no other process changes the file. It returns the
// path of the file to replace.
func (s *Store) lock(ctx context.Context) (target string, unlock func(), err error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	if err := s.takeTurn(ctx); err != nil {
		return "", nil, busy("this process is making other changes", began, err)
	}
	defer func() {
		if err != nil {
			<-s.turn
		}
	}()
	for {
		if target, err = resolve(s.path); err != nil {
			return "", nil, unreadable(err, "")
		}
		if err := durable.CreateFolder(filepath.Dir(target)); err != nil {
			return "", nil, unwritable(err)
		}
		if err := createLock(target + lockSuffix); err != nil {
			return "", nil, unwritable(err)
		}
		lock := flock.New(target + lockSuffix)
		_, err := lock.TryLockContext(ctx, lockRetry)
		if err != nil && err == ctx.Err() {
			return "", nil, busy("another process has held the lock on "+lock.Path(), began, err)
		}
		if err != nil {
			return "", nil, unwritable(err)
		}
		// If a link was moved meanwhile, this is the lock of another file.
		if again, err := resolve(s.path); err == nil && again == target {
			return target, func() {
				_ = lock.Unlock() // fails only for a lock that is not held
				s.released = time.Now()
				<-s.turn
			}, nil
		}
		_ = lock.Unlock()
	}
}

// createLock creates the lock's file if there is none.
func createLock(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(durable.Adopt(f, filepath.Dir(path)), f.Close())
}

// takeTurn waits for the other goroutines, and then gives other processes a chance.
func (s *Store) takeTurn(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-time.After(time.Until(s.released.Add(lockRest))):
	case <-ctx.Done():
	}
	err := ctx.Err() // select chooses at random
	if err != nil {
		<-s.turn
	}
	return err
}

func busy(what string, began time.Time, err error) error {
	f := durable.Explain(err, "")
	f.What = fmt.Sprintf("%s, for %s, so nothing was changed", what, time.Since(began).Round(time.Millisecond))
	f.Advice = "try again, and see what it does"
	return fmt.Errorf("%w: %w", widgets.ErrBusy, f)
}

// resolve follows symbolic links. The file need not exist, unless a link points to it.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	var named *fs.PathError
	switch {
	case err == nil:
		return target, nil
	case errors.As(err, &named) && !errors.Is(err, fs.ErrNotExist):
		return "", err
	case !errors.Is(err, fs.ErrNotExist):
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if _, err := os.Lstat(path); err == nil {
		return "", &fs.PathError{Op: "open", Path: path, Err: errDangling}
	}
	return path, nil
}
