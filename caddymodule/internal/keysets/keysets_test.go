package keysets

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

// source is an https server with a key set.
type source struct {
	*httptest.Server
	fetches atomic.Int64
	mu      sync.Mutex
	answer  http.HandlerFunc
}

func newSource(t *testing.T, ids ...string) *source {
	t.Helper()
	s := &source{}
	s.holds(t, ids...)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *source) answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// holds has the source answer with keys of these ids.
func (s *source) holds(t *testing.T, ids ...string) {
	t.Helper()
	text := setOf(t, ids...)
	s.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
}

func setOf(t *testing.T, ids ...string) []byte {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, id := range ids {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: id})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// clock is set by hand.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_800_000_000, c.Load()) }
func (c *clock) forward(d time.Duration) { c.Add(int64(d)) }

// newTestSet returns a set of the source that nothing reads in the background.
func newTestSet(t *testing.T, s *source) (*Set, *clock, *[]error) {
	t.Helper()
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	var told []error
	c := new(clock)
	set := newSet(s.URL, newFetcher(target, roots).fetch, Options{Log: func(_ string, err error) { told = append(told, err) }}, c.now, nil)
	t.Cleanup(func() { _ = set.Close() })
	return set, c, &told
}

func count(t *testing.T, s *Set, id string, want int) {
	t.Helper()
	keys, err := s.Keys(context.Background(), []byte(id), time.Minute)
	if err != nil || len(keys) != want {
		t.Fatalf("%d keys, want %d: %v", len(keys), want, err)
	}
}

// TestRefresh: keys are replaced as a whole, and an unknown id has the source read at most
// once in 30 seconds.
func TestRefresh(t *testing.T) {
	source := newSource(t, "a", "b")
	set, clock, _ := newTestSet(t, source)
	count(t, set, "a", 2) // the first request waits for the first read
	count(t, set, "c", 2)
	if n := source.fetches.Load(); n != 1 {
		t.Fatalf("%d fetches at once", n)
	}
	source.holds(t, "c")
	clock.forward(eager)
	count(t, set, "a", 2) // known: nothing is asked
	if keys, err := set.Keys(t.Context(), nil, time.Minute); err != nil || len(keys) != 2 {
		t.Fatalf("%d keys without an id: %v", len(keys), err)
	}
	count(t, set, "c", 1)
	count(t, set, "a", 1)
	if n := source.fetches.Load(); n != 2 {
		t.Fatalf("%d fetches, want 2", n)
	}
	clock.forward(eager)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { _, _ = set.Keys(context.Background(), []byte("unknown"), time.Minute) })
	}
	group.Wait()
	if n := source.fetches.Load(); n != 3 {
		t.Errorf("20 tokens with an unknown id had the source read %d times", n-2)
	}
	source.holds(t)
	if err := set.Update(); err != nil {
		t.Fatal(err)
	}
	count(t, set, "c", 0)
}

// TestOutage: keys are served for a while after the source has failed, and then are
// unavailable until it is back.
func TestOutage(t *testing.T) {
	source := newSource(t, "a")
	set, clock, told := newTestSet(t, source)
	count(t, set, "a", 1)
	source.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for range 3 {
		clock.forward(20 * time.Second)
		if err := set.Update(); err == nil {
			t.Fatal("a gateway's error is a key set")
		}
	}
	count(t, set, "a", 1)
	if is := set.State(time.Minute); !is.Served || is.Err == nil || !strings.Contains(is.Err.Error(), "answers with status 502") {
		t.Errorf("%+v", is)
	}
	clock.forward(20 * time.Second)
	if _, err := set.Keys(context.Background(), []byte("a"), time.Minute); !errors.Is(err, ErrUnavailable) || set.State(time.Minute).Served {
		t.Error(err)
	}
	source.holds(t, "b")
	if err := set.Update(); err != nil {
		t.Fatal(err)
	}
	count(t, set, "b", 1)
	if len(*told) != 2 || (*told)[0] == nil || (*told)[1] != nil || set.State(0).Err != nil {
		t.Errorf("told %v", *told)
	}
}

// TestNeverRead: without a first set there is nothing to serve, and the request does not
// wait for a source that hangs.
func TestNeverRead(t *testing.T) {
	source := newSource(t)
	release := make(chan struct{})
	source.answers(func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	set, _, _ := newTestSet(t, source)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := set.Keys(ctx, []byte("a"), time.Minute); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

// TestFetches is what a source may answer.
func TestFetches(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "a redirect to /elsewhere, which is not followed"},
		"not found":  {http.NotFound, "status 404"},
		"a page":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "not a JWK Set"},
		"too much":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, keyset.MaxBytes+1)) }, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			source := newSource(t)
			source.answers(test.answer)
			set, _, _ := newTestSet(t, source)
			if err := set.Update(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if n := source.fetches.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
		})
	}
	t.Run("an unknown authority", func(t *testing.T) {
		source := newSource(t, "a")
		target, _ := url.Parse(source.URL)
		if _, err := newFetcher(target, x509.NewCertPool()).fetch(context.Background()); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Error(err)
		}
	})
}

// TestSources is what may be configured.
func TestSources(t *testing.T) {
	for source, want := range map[string]string{
		"https://login.example.com/jwks": "",
		"keys.json":                      "",
		"http://login.example.com/jwks":  "without TLS",
		"ftp://login.example.com/jwks":   "by https, not by ftp",
		"https://user@login.example.com": "has a user or password",
		"https://":                       "not valid",
		"":                               "no source",
	} {
		if err := CheckSource(source); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", source, err, want)
		}
	}
	for address, ok := range map[string]bool{
		"127.0.0.1:443": true, "10.0.0.1:443": true, "[2001:db8::1]:443": true,
		"169.254.169.254:443": false, "[fe80::1]:443": false, "[::ffff:169.254.169.254]:443": false, "[fd00:ec2::254]:443": false,
		"100.100.100.200:443": false, "0.0.0.0:443": false, "[::]:443": false, "224.0.0.1:443": false,
	} {
		if err := checkAddress(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestFile: a set in a file is read again like any other.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	sets := NewSets(Options{Log: func(string, error) {}})
	defer sets.Close()
	set, err := sets.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	set.Start()
	if again, err := sets.Open(path); again != set || err != nil {
		t.Error("one source is two sets", err)
	}
	if err := os.WriteFile(path, setOf(t, "a"), 0o600); err != nil {
		t.Fatal(err)
	}
	testbed.Until(t, "the file is read", func() bool {
		_ = set.Update()
		keys, err := set.Keys(context.Background(), []byte("a"), time.Minute)
		return err == nil && len(keys) == 1
	})
}

// watched runs a test with a set of a file that holds key a and is read in the background,
// in a time of its own.
func watched(t *testing.T, test func(t *testing.T, sets *Sets, set *Set, path string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	write(t, path, "a")
	synctest.Test(t, func(t *testing.T) {
		sets := NewSets(Options{Log: func(string, error) {}})
		defer sets.Close()
		set, err := sets.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		set.Start()
		synctest.Wait()
		count(t, set, "a", 1)
		test(t, sets, set, path)
	})
}

func write(t *testing.T, path string, ids ...string) {
	t.Helper()
	if err := os.WriteFile(path, setOf(t, ids...), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestFailureForUnknownKey: anybody can have the source read by a token with an unknown id.
// If that fails once, the set is read again soon, and not when it would have been.
func TestFailureForUnknownKey(t *testing.T) {
	watched(t, func(t *testing.T, _ *Sets, set *Set, path string) {
		time.Sleep(eager + time.Second)
		remove(t, path)
		count(t, set, "unknown", 1)
		if set.State(time.Minute).Err == nil {
			t.Fatal("the source was not read for an unknown key")
		}
		write(t, path, "a")
		time.Sleep(retry)
		synctest.Wait()
		if is := set.State(0); is.Err != nil || !is.Served {
			t.Errorf("after a read had failed that a token began: %+v", is)
		}
	})
}

// TestIdleOutage: a source that went while nobody used the set, and is back, serves the
// first who does.
func TestIdleOutage(t *testing.T) {
	watched(t, func(t *testing.T, _ *Sets, set *Set, path string) {
		remove(t, path)
		time.Sleep(InUse + 2*refresh)
		synctest.Wait()
		if set.State(time.Minute).Served {
			t.Fatal("the source is gone, and its keys are served")
		}
		time.Sleep(eager)
		write(t, path, "a", "b")
		count(t, set, "a", 2)
	})
}

// TestOutageOfUsedSet: while the source is away, a set in use is read all the time, and no
// request reads it.
func TestOutageOfUsedSet(t *testing.T) {
	watched(t, func(t *testing.T, _ *Sets, set *Set, path string) {
		remove(t, path)
		time.Sleep(refresh + retry + time.Minute)
		for range 10 {
			synctest.Wait()
			if _, err, again := set.current([]byte("a"), time.Minute); again || !errors.Is(err, ErrUnavailable) {
				t.Fatalf("read again %v, %v", again, err)
			}
			time.Sleep(7 * time.Second)
		}
		write(t, path, "a")
		time.Sleep(retry)
		synctest.Wait()
		count(t, set, "a", 1)
	})
}

// TestUnused: a set that nobody has used for a day is not read any longer, until it is
// used again, unless a configuration names it.
func TestUnused(t *testing.T) {
	watched(t, func(t *testing.T, sets *Sets, set *Set, path string) {
		held, release := context.WithCancel(context.Background())
		set.Hold(held)
		time.Sleep(2 * unused)
		synctest.Wait()
		if sets.Known(path) != set {
			t.Fatal("a set was closed that a configuration names")
		}
		release() // and at once:
		if again, err := sets.Open(path); again != set || err != nil {
			t.Fatal("a set was closed that is used", err)
		}
		time.Sleep(unused)
		synctest.Wait()
		if sets.Known(path) != set {
			t.Fatal("a set was closed within a day of its use")
		}
		time.Sleep(retry)
		synctest.Wait()
		if sets.Known(path) != nil || set.ctx.Err() == nil {
			t.Fatal("a set is read that nobody has used for a day")
		}
		again, err := sets.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		again.Start()
		count(t, again, "a", 1)
	})
}

// TestKeysNotUsed: which keys of a set are not used is told once, until there are others.
func TestKeysNotUsed(t *testing.T) {
	source := newSource(t)
	set, _, _ := newTestSet(t, source)
	var told []string
	set.Unused = func(_, which string) { told = append(told, which) }
	for _, keys := range []string{
		`{"kid":"a","use":"enc"},{"kid":"b","kty":"RSA"}`, `{"kid":"a","use":"enc"},{"kid":"b","kty":"RSA"}`, ``, `{"kid":"a","use":"enc"}`,
	} {
		source.answers(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[` + keys + `]}`)) })
		if err := set.Update(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"2 of 2 keys are not used: 'a': its use is 'enc'; 'b': it is damaged, or of a kind that is not supported", "1 of 1 keys are not used: 'a': its use is 'enc'"}
	if !slices.Equal(told, want) || set.State(0).Unused != want[1] {
		t.Errorf("%q, want %q", told, want)
	}
}

func TestVerdicts(t *testing.T) {
	v := NewVerdicts()
	good, over := sha256.Sum256([]byte("good")), sha256.Sum256([]byte("over"))
	v.Remember(good, time.Now().Add(time.Hour))
	v.Remember(over, time.Now().Add(-time.Second))
	v.cache().Wait()
	if !v.Verified(good) || v.Verified(over) || v.Verified(sha256.Sum256(nil)) {
		t.Error(v.Verified(good), v.Verified(over))
	}
	if n := testing.AllocsPerRun(100, func() { v.Verified(good) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
