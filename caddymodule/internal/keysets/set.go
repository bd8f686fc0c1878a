// Package keysets keeps the key sets (RFC 7517) of customers whose servers sign tokens
// with a private key: fetched in the background, replaced as a whole, and served for a
// while after their source has gone.
package keysets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// retry is the time between two reads while they fail.
	retry = 10 * time.Second
	// wait is how long a request waits for a read: the first, or one for its key.
	wait = 2 * time.Second
)

// ErrUnavailable says that the keys are currently not known. Errors wrap it with what an
// operator needs to know.
var ErrUnavailable = errors.New("keysets: the key set is unavailable")

// Set is the keys of one source. It is safe for concurrent use.
type Set struct {
	name     string // the source, for messages
	read     func(context.Context) ([]byte, error)
	stale    time.Duration
	verdicts verifier.Verdicts
	clock    func() time.Time
	log      func(error) // told of a failure after a success, and of nil after a failure

	reads singleflight.Group
	ctx   context.Context
	close context.CancelFunc

	mu     sync.Mutex
	keys   []*verifier.Key
	ids    []string
	tried  time.Time // when it was last read
	failed time.Time // since when reading fails; zero while it does not
	err    error     // why it fails
}

// Options are a set's.
type Options struct {
	// Stale is how long the keys are served after the source has failed.
	Stale time.Duration
	// Verdicts remembers what the keys have verified.
	Verdicts verifier.Verdicts
	// Log is called when reading the source begins to fail, and with nil when it works again.
	Log func(error)
}

func newSet(name string, read func(context.Context) ([]byte, error), o Options, clock func() time.Time) *Set {
	s := &Set{name: name, read: read, stale: o.Stale, verdicts: o.Verdicts, log: o.Log, clock: clock}
	s.ctx, s.close = context.WithCancel(context.Background())
	return s
}

// watch reads the set until it is closed.
func (s *Set) watch() {
	for {
		pause := refresh
		if s.update() != nil {
			pause = retry
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return
		}
	}
}

// Close ends the background work.
func (s *Set) Close() error {
	s.close()
	return nil
}

// update reads the source, once for all that ask at a time.
func (s *Set) update() error {
	_, err, _ := s.reads.Do("", func() (any, error) {
		text, err := s.read(s.ctx)
		var keys []verifier.PublicKey
		if err == nil {
			keys, err = keyset.Parse(text)
		}
		s.take(keys, err)
		return nil, err
	})
	return err
}

// take replaces the keys, or takes note of a failure.
func (s *Set) take(keys []verifier.PublicKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = s.clock()
	was := s.err
	if s.err = err; err != nil {
		s.err = fmt.Errorf("%w: %s cannot be read (%w)", ErrUnavailable, s.name, err)
		if was == nil {
			s.failed = s.tried
			s.log(s.err)
		}
		return
	}
	s.failed, s.keys, s.ids = time.Time{}, []*verifier.Key{}, nil
	for _, k := range keys {
		k.Verdicts = s.verdicts
		if key, err := verifier.NewPublicKey(k); err == nil {
			s.keys, s.ids = append(s.keys, key), append(s.ids, k.ID)
		}
	}
	if was != nil {
		s.log(nil)
	}
}

// Keys returns the keys for a token that names one of them by that id, "" for none. An id
// that is not known has the source read again, though not often.
func (s *Set) Keys(ctx context.Context, id string) ([]*verifier.Key, error) {
	keys, err, again := s.current(id)
	if !again {
		return keys, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.update()
	}()
	select {
	case <-done:
	case <-time.After(wait):
	case <-ctx.Done():
	}
	keys, err, _ = s.current(id)
	return keys, err
}

// current returns the keys, and whether to read the source before they are used.
func (s *Set) current(id string) (keys []*verifier.Key, err error, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	switch {
	case s.tried.IsZero():
		return nil, fmt.Errorf("%w: %s was not read yet", ErrUnavailable, s.name), true
	case s.keys == nil, s.err != nil && now.Sub(s.failed) >= s.stale:
		return nil, s.err, false
	}
	again = id != "" && !slices.Contains(s.ids, id) && now.Sub(s.tried) >= eager
	if again {
		s.tried = now // one request alone has it read
	}
	return s.keys, nil, again
}

// Err returns why the set cannot be read, nil if it can.
func (s *Set) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Served reports whether requests can still be verified.
func (s *Set) Served() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys != nil && (s.err == nil || s.clock().Sub(s.failed) < s.stale)
}

// CheckSource refuses what is neither an https URL nor the path of a file.
func CheckSource(source string) error {
	if scheme, _, ok := strings.Cut(source, "://"); ok {
		_, err := parseURL(source)
		if err != nil && scheme == "http" {
			return fmt.Errorf("the key set %s would be fetched without TLS, so that anybody on the way could add a key: use https", source)
		}
		return err
	}
	if strings.TrimSpace(source) == "" {
		return errors.New("the key set has no source: give an https URL or the path of a file")
	}
	return nil
}

// Open returns the set of a source, which is read in the background from now on.
func Open(source string, o Options) (*Set, error) {
	if err := CheckSource(source); err != nil {
		return nil, err
	}
	read := readFile(source)
	if strings.Contains(source, "://") {
		target, err := parseURL(source)
		if err != nil {
			return nil, err
		}
		read = newFetcher(target, nil).fetch
	}
	s := newSet(source, read, o, time.Now)
	go s.watch()
	return s, nil
}
