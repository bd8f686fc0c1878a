// Package filestore stores widgets in a file that several processes may share.
package filestore

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/alarm"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Options are the settings of a store.
type Options struct {
	// Path is the file's. If it does not exist, there are no widgets, and the first
	// change creates it and its folders. If it is a symbolic link, its target is
	// replaced. Beside the file there are its lock, <path>.lock, and its notes,
	// <path>.<name>, and a change writes .<name of the file>.new first.
	Path string
	// Log gets failures of the file and their ends. Default: none.
	Log *zap.Logger
	// Note is where it is noted that there is a file. Default: nowhere.
	Note durable.Note
	// Changed, if not nil, is called after another process, or a person, has changed the
	// file and the store has read it. It must not close the store.
	Changed func()
}

// Store implements [widgets.Store] with a file.
type Store struct {
	path    string
	changed func()
	current atomic.Pointer[state]

	turn     chan struct{} // holds a value while a change is written
	released time.Time     // when the lock was last released; guarded by turn

	mu      sync.Mutex // guards what follows, and stores to current
	log     *zap.Logger
	alarm   alarm.Alarm
	note    durable.Note
	noted   string    // by the last process
	before  *snapshot // the widgets that were lost, nil if none were
	existed bool      // whether there ever was a file
	known   *fileVersion
	bad     *fileVersion // of a damaged file
	badErr  error        // and its damage
	failed  bool         // at the last look
	unread  error        // why the file cannot be read, nil if it can
	full    error        // why the last change could not be written, nil if it could
	tried   time.Time    // when that was last tried

	outside chan struct{}   // holds a value when Changed is to be called
	alive   context.Context // until the store is closed
	stop    context.CancelFunc
	watcher sync.WaitGroup
}

// state is what lookups use.
type state struct {
	snapshot *snapshot // of the last undamaged file, nil before the first
	err      error     // why it cannot be read or, if it can, not be written
	lost     bool      // another file than before
}

// Open opens the store. It does not fail and creates no file: while the file cannot be used,
// [Store.Err] says why.
func Open(options Options) *Store {
	s := open(options)
	s.watcher.Go(s.watch)
	return s
}

// open opens a store that does not watch its file.
func open(options Options) *Store {
	s := &Store{
		path:    options.Path,
		changed: options.Changed,
		turn:    make(chan struct{}, 1),
	}
	s.alive, s.stop = context.WithCancel(context.Background())
	if path, err := filepath.Abs(options.Path); err == nil {
		s.path = path
	}
	s.log = cmp.Or(options.Log, zap.NewNop()).With(zap.String("path", s.path))
	s.alarm.Log, s.alarm.Good = s.log, "the file of widgets can be used again"
	s.current.Store(new(state))
	s.mu.Lock()
	// The lock is created with the file and never removed, which distinguishes a missing
	// file from a new store, and so does the note, which may be on another disk.
	s.note = options.Note
	s.noted = s.note.Read(s.log)
	_, err := os.Lstat(s.path + lockSuffix)
	s.existed = err == nil || s.noted != ""
	if err := s.refresh(); err != nil {
		s.publish(nil, err)
		s.failed = true
	}
	s.outside = make(chan struct{}, 1) // only now, since the first reading is no change
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

// Speaks implements [widgets.Store].
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

// Note implements [widgets.Store]. A note is a file beside the store's.
func (s *Store) Note(_ context.Context, name string) (string, error) {
	text, err := durable.ReadLine(s.path + "." + name)
	if err != nil {
		err = unreadable(err, "")
	}
	return text, err
}

// SetNote implements [widgets.Store].
func (s *Store) SetNote(_ context.Context, name, text string) error {
	if err := durable.WriteLine(s.path+"."+name, text); err != nil {
		return unwritable(err)
	}
	return nil
}

// Err implements [widgets.Store].
func (s *Store) Err() error { return s.current.Load().err }

// Serves implements [widgets.Store]: what was last read is served without a time limit.
func (s *Store) Serves() bool { return s.current.Load().snapshot != nil }

// Close implements [widgets.Store]. Lookups are still answered.
func (s *Store) Close() error {
	s.stop()
	s.watcher.Wait()
	return nil
}

var _ widgets.Store = (*Store)(nil)
