// Package filestore keeps widgets in a file that several processes may share.
package filestore

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Options says what a store is opened with.
type Options struct {
	// Path is the file's. It need not be there: then there are no widgets, and
	// the first change creates it, and the folders it is in. Where it is a symbolic
	// link, what it points to is replaced. Beside the file lies its lock, with
	// .lock behind the name, and while it is written a file of the name with a
	// dot before and .new behind it. A note has its own name behind the file's.
	Path string
	// Log is told when the file cannot be used, and when it can be again.
	Log *zap.Logger
	// Changed, if any, is called after another process, or a person, has changed
	// the file and the store has taken the change. It must not close the store.
	Changed func()
}

// Store implements [widgets.Store] over a file.
type Store struct {
	path    string
	changed func()
	current atomic.Pointer[state]

	turn     chan struct{} // holds a value while a change is written
	released time.Time     // when the lock was last given back; belongs to who has the turn

	mu      sync.Mutex // guards what follows, and that current is stored by one at a time
	alarm   alarm
	existed bool // whether there ever was a file
	known   *fileVersion
	bad     *fileVersion // of a file that was not whole, and
	badErr  error        // what was wrong with it
	failed  bool         // at the last look
	full    error        // why the last change could not be written for want of the disk, nil where it could
	tried   time.Time    // when that was last found

	outside   chan struct{} // holds a value when Changed is to be called
	stop      chan struct{}
	done      chan struct{}
	closeOnce sync.Once
}

// state is what lookups are answered from.
type state struct {
	snapshot *snapshot // what was last read from a whole file, nil before
	err      error
}

// Open opens the store. It does not fail and creates no file: where the file
// cannot be used, [Store.Err] says so until it can.
func Open(options Options) *Store {
	s := open(options)
	go s.watch()
	return s
}

// open opens a store that nobody watches the file for.
func open(options Options) *Store {
	s := &Store{
		path:    options.Path,
		changed: options.Changed,
		turn:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	if path, err := filepath.Abs(options.Path); err == nil {
		s.path = path
	}
	s.alarm = newAlarm(options.Log, s.path)
	s.current.Store(new(state))
	s.mu.Lock()
	// The lock is created with the file, and never removed: a store that was not
	// mounted is not one without widgets.
	_, err := os.Lstat(s.path + lockSuffix)
	s.existed = err == nil
	if err := s.refresh(); err != nil {
		s.fail(err)
	}
	s.outside = make(chan struct{}, 1) // not before: the first reading is no change
	s.mu.Unlock()
	return s
}

// Lookup implements [widgets.Store].
func (s *Store) Lookup(_ context.Context, id []byte) (*widgets.Record, error) {
	current := s.current.Load()
	if current.snapshot == nil {
		return nil, current.err
	}
	return current.snapshot.byID[string(id)], nil
}

// List implements [widgets.Store].
func (s *Store) List(_ context.Context, after string, limit int) ([]*widgets.Record, error) {
	current := s.current.Load()
	if current.snapshot == nil {
		return nil, current.err
	}
	return current.snapshot.after(after, limit), nil
}

// Speaks implements [widgets.Store]. Where nothing could be read yet, it may be any.
func (s *Store) Speaks(dialect string) bool {
	current := s.current.Load()
	return current.snapshot == nil || current.snapshot.dialects[dialect] > 0
}

// KeyIDs implements [widgets.Store].
func (s *Store) KeyIDs() map[string]int {
	current := s.current.Load()
	if current.snapshot == nil {
		return nil
	}
	return maps.Clone(current.snapshot.keys)
}

// Note implements [widgets.Store]. A note is a file beside the widgets' own.
func (s *Store) Note(_ context.Context, name string) (string, error) {
	text, err := durable.ReadLine(s.notePath(name))
	if err != nil {
		err = unreadable(err)
	}
	return text, err
}

// SetNote implements [widgets.Store].
func (s *Store) SetNote(_ context.Context, name, text string) error {
	if err := durable.WriteLine(s.notePath(name), text); err != nil {
		return unwritable(err)
	}
	return nil
}

func (s *Store) notePath(name string) string { return s.path + "." + name }

// Err implements [widgets.Store].
func (s *Store) Err() error { return s.current.Load().err }

// Close implements [widgets.Store]: it ends the watch over the file.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { close(s.stop) })
	<-s.done
	return nil
}

var _ widgets.Store = (*Store)(nil)
