// Package keysets keeps the key sets (RFC 7517) of customers whose servers sign tokens
// with a private key: fetched in the background, replaced as a whole, and served for a
// while after their source has gone.
package keysets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// How often a set is read.
const (
	refresh = 5 * time.Minute
	// eager is the shortest time between two reads for a key that is not known: anybody
	// can send tokens with one.
	eager = 30 * time.Second
	// retry is the time between two reads while they fail, whoever began the one that did.
	retry = 10 * time.Second
	// wait is how long a request waits for a read: the first, or one for its key.
	wait = 2 * time.Second
	// InUse is for how long after a request a set counts as in use. One that is not is not
	// read so often while its source is away.
	InUse = 10 * time.Minute
	// unused is how long a set is kept without a request, if no configuration names it.
	unused = 24 * time.Hour
)

// ErrUnavailable says that the keys are currently not known. Errors wrap it with what an
// operator needs to know.
var ErrUnavailable = errors.New("keysets: the key set is unavailable")

// Set is the keys of one source. It is safe for concurrent use.
type Set struct {
	source string
	read   func(context.Context) ([]byte, error)
	Options
	clock func() time.Time
	tidy  func() // closes sets that nobody uses, this one among them

	start sync.Once
	reads singleflight.Group
	ctx   context.Context
	close context.CancelFunc

	mu      sync.Mutex
	asked   time.Time // when keys were last asked for, or the set was opened
	holds   int       // by configurations
	keys    []*verifier.Key
	ids     []string
	unused  string    // which keys of the source are not among them, "" for none
	reading bool      // a read is under way, or about to begin
	tried   time.Time // when it was last read
	failed  time.Time // since when reading fails; zero while it does not
	cause   error     // why it fails
	err     error     // the same, for who asks for keys
}

// Options are those of sets.
type Options struct {
	// Verdicts remembers what the keys have verified.
	Verdicts verifier.Verdicts
	// Log is called when reading a source begins to fail, and with nil when it works again.
	Log func(source string, err error)
	// Unused is called when a source has other keys than before that are not used.
	Unused func(source, which string)
}

func newSet(source string, read func(context.Context) ([]byte, error), o Options, clock func() time.Time, tidy func()) *Set {
	s := &Set{source: source, read: read, Options: o, clock: clock, tidy: tidy, asked: clock()}
	s.ctx, s.close = context.WithCancel(context.Background())
	return s
}

// Start has the set read in the background from now on, if it is not already.
func (s *Set) Start() { s.start.Do(func() { go s.watch() }) }

// watch reads the set until it is closed.
func (s *Set) watch() {
	for s.ctx.Err() == nil {
		if s.due() {
			_ = s.Update()
		}
		select {
		case <-time.After(retry):
		case <-s.ctx.Done():
		}
		if s.idle() {
			s.tidy()
		}
	}
}

// due reports whether to read the source now. It asks how the set is, not how the last read
// of watch went: one for an unknown key may have failed since, and a set may be used again.
func (s *Set) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	return s.tried.IsZero() || now.Sub(s.tried) > refresh-retry || s.err != nil && now.Sub(s.asked) < InUse
}

// Hold keeps the set open until the context ends, though nothing asks for keys.
func (s *Set) Hold(ctx context.Context) {
	s.hold(1)
	context.AfterFunc(ctx, func() { s.hold(-1) })
}

func (s *Set) hold(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds += more
}

// idle reports whether nothing needs the set any longer.
func (s *Set) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds == 0 && s.clock().Sub(s.asked) > unused
}

// opened takes note of a use.
func (s *Set) opened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = s.clock()
}

// Used returns how long ago keys were last asked for, or the set was opened.
func (s *Set) Used() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock().Sub(s.asked)
}

// Close ends the background work.
func (s *Set) Close() error {
	s.close()
	return nil
}

// Update reads the source, once for all that ask at a time.
func (s *Set) Update() error {
	_, err, _ := s.reads.Do("", func() (any, error) {
		s.mu.Lock()
		s.reading = true
		s.mu.Unlock()
		text, err := s.read(s.ctx)
		var keys []verifier.PublicKey
		var unused []string
		if err == nil {
			keys, unused, err = keyset.Parse(text)
		}
		s.take(keys, keyset.SayUnused(keys, unused), err)
		return nil, err
	})
	return err
}

// take replaces the keys, or takes note of a failure.
func (s *Set) take(keys []verifier.PublicKey, unused string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.reading = s.clock(), false
	was := s.err
	if s.cause, s.err = err, err; err != nil {
		s.err = fmt.Errorf("%w: %s cannot be read: %w", ErrUnavailable, s.source, err)
		if was == nil {
			s.failed = s.tried
			s.Log(s.source, err)
		}
		return
	}
	s.failed, s.keys, s.ids = time.Time{}, []*verifier.Key{}, nil
	for _, k := range keys {
		k.Verdicts = s.Verdicts
		if key, err := verifier.NewPublicKey(k); err == nil {
			s.keys, s.ids = append(s.keys, key), append(s.ids, k.ID)
		}
	}
	if was != nil {
		s.Log(s.source, nil)
	}
	if s.unused != unused {
		if s.unused = unused; unused != "" {
			s.Unused(s.source, unused)
		}
	}
}

// Keys returns the keys for a token that names one of them by that id, nil for none. An id
// that is not known has the source read again, though not often. The keys are served for as
// long as stale after the source has failed.
func (s *Set) Keys(ctx context.Context, id []byte, stale time.Duration) ([]*verifier.Key, error) {
	keys, err, again := s.current(id, stale)
	if !again {
		return keys, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Update()
	}()
	select {
	case <-done:
	case <-time.After(wait):
	case <-ctx.Done():
	}
	keys, err, _ = s.current(id, stale)
	return keys, err
}

// current returns the keys, and whether to read the source before they are used.
func (s *Set) current(id []byte, stale time.Duration) (keys []*verifier.Key, err error, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	s.asked = now
	switch {
	case s.tried.IsZero():
		return nil, fmt.Errorf("%w: %s was not read yet", ErrUnavailable, s.source), true
	case !s.served(stale):
		// Of a set in use the source is tried all the time, and nothing waits for it.
		return nil, s.err, now.Sub(s.tried) >= eager
	}
	known := slices.ContainsFunc(s.ids, func(known string) bool { return known == string(id) })
	if again = len(id) > 0 && !known && (s.reading || now.Sub(s.tried) >= eager); again {
		s.reading = true // all that name a new key wait for the one read
	}
	return s.keys, nil, again
}

// served needs the lock.
func (s *Set) served(stale time.Duration) bool {
	return s.keys != nil && (s.err == nil || s.clock().Sub(s.failed) < stale)
}

// State is how a set is.
type State struct {
	Source string
	Empty  bool      // it was read, and has no key that is used
	Unused string    // which of its keys are not used, "" for none
	Err    error     // why it cannot be read, nil if it can or was not yet
	Failed time.Time // since when
	Served bool      // it has keys that count, or was not read yet
}

// State returns how the set is, if its keys are served for as long as stale.
func (s *Set) State(stale time.Duration) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return State{s.source, s.keys != nil && len(s.keys) == 0, s.unused, s.cause, s.failed, s.tried.IsZero() || s.served(stale)}
}
