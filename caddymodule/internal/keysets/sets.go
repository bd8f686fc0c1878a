package keysets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// Sets are the key sets of a process, by source. One is kept while it is used, whatever
// configuration it was first named in, so that a reload needs no source.
type Sets struct {
	options Options

	mu   sync.Mutex
	sets map[string]*Set
}

// NewSets returns no sets yet.
func NewSets(o Options) *Sets { return &Sets{options: o, sets: make(map[string]*Set)} }

// Open returns the set of a source, an https URL or the path of a file. Nothing is read
// before its Start or a call of Keys.
func (s *Sets) Open(source string) (*Set, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set := s.sets[source]; set != nil {
		set.opened()
		return set, nil
	}
	read, err := reader(source)
	if err != nil {
		return nil, err
	}
	set := newSet(source, read, s.options, time.Now, s.tidy)
	s.sets[source] = set
	return set, nil
}

// tidy closes the sets that were not used for long, such as those of deleted widgets. One
// that is used again is opened again.
func (s *Sets) tidy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, set := range s.sets {
		if set.idle() {
			_ = set.Close()
			delete(s.sets, name)
		}
	}
}

// Known returns the set of a source that was opened, else nil.
func (s *Sets) Known(source string) *Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sets[source]
}

// All returns the sets that are known.
func (s *Sets) All() []*Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sets))
}

// Close ends the background work of all sets.
func (s *Sets) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range s.sets {
		_ = set.Close()
	}
	return nil
}

// IsURL reports whether a source is a URL rather than the path of a file.
func IsURL(source string) bool { return strings.Contains(source, "://") }

// CheckSource refuses what is neither an https URL nor the path of a file.
func CheckSource(source string) error {
	_, err := reader(source)
	return err
}

// reader returns what reads a source.
func reader(source string) (func(context.Context) ([]byte, error), error) {
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("the key set has no source: give an https URL or the path of a file")
	}
	if !IsURL(source) {
		return readFile(source), nil
	}
	target, err := parseURL(source)
	if err != nil {
		return nil, err
	}
	return newFetcher(target, nil).fetch, nil
}

// ReadFile returns the keys of a set in a file, and what [keyset.SayUnused] says of it.
func ReadFile(path string) (keys []verifier.PublicKey, unused string, err error) {
	text, err := readFile(path)(context.Background())
	if err != nil {
		return nil, "", err
	}
	keys, left, err := keyset.Parse(text)
	if unused = keyset.SayUnused(keys, left); err == nil && len(keys) == 0 && unused != "" {
		err = errors.New(unused)
	}
	if err != nil {
		return nil, "", fmt.Errorf("the file %s: %w", path, err)
	}
	return keys, unused, nil
}
