package redisstore

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// noting returns options with a note in that folder.
func noting(dir string, stale time.Duration) Options {
	return Options{StaleIfError: stale, Note: durable.Note{Path: filepath.Join(dir, "note"), May: func() bool { return true }}}
}

func loses(t *testing.T, s *Store) {
	t.Helper()
	testbed.Until(t, "the loss", func() bool { return strings.Contains(s.Loss(), " served ") && s.Err() == nil })
}

func recovers(t *testing.T, s *Store) {
	t.Helper()
	testbed.Until(t, "the end of the loss", func() bool { return s.Loss() == "" && s.Serves() && leased(s) })
}

// TestLoss empties Redis in all ways, and has each gateway notice: those that run, and one
// that starts afterwards.
func TestLoss(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*redistest.Server){
		"flushed": func(s *redistest.Server) { s.Do("FLUSHALL") },
		"restarted without its data": func(s *redistest.Server) {
			s.Kill()
			s.Empty()
			s.Restart()
		},
		"replaced by an empty primary": func(s *redistest.Server) {
			other := redistest.Start(t)
			s.Do("REPLICAOF", "127.0.0.1", other.Port)
			testbed.Until(t, "the replica is empty", func() bool { return s.Do("DBSIZE") == "0" })
			s.Do("REPLICAOF", "NO", "ONE")
		},
		"filled again at once": func(s *redistest.Server) {
			s.Do("EVAL", "redis.call('FLUSHALL') redis.call('SET', 'chat_identity:{w}store', 'another')", "0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, dir := redistest.Start(t), t.TempDir()
			url := "redis://" + server.Addr
			serves, strict := ready(t, url, noting(dir, time.Hour)), ready(t, url, noting(t.TempDir(), 0))
			change(t, serves, to("1"), "w", "x")
			remembers(t, serves, "w", "1")
			remembers(t, strict, "w", "1")
			lose(server)
			loses(t, serves)
			loses(t, strict)
			if !serves.Serves() || strict.Serves() {
				t.Errorf("serves: %t with stale_if_error, %t without", serves.Serves(), strict.Serves())
			}
			testbed.Until(t, "the end of the lease", func() bool { return version(strict, "w") == "unavailable" })
			wants(t, serves, "w", "1")
			wants(t, serves, "x", "unavailable")
			_, err := strict.Lookup(t.Context(), []byte("w"))
			if !errors.Is(err, widgets.ErrUnavailable) || !errors.Is(err, errLost) {
				t.Errorf("a lookup: %v", err)
			}
			late := gateway(t, url, noting(dir, time.Hour))
			wants(t, late, "w", "unavailable") // the first that it is asked
			loses(t, late)
			fresh := ready(t, url, noting(t.TempDir(), 0))
			wants(t, fresh, "w", "unknown")
			// A widget that is created meanwhile is served, but ends nothing.
			change(t, strict, to("2"), "new")
			wants(t, serves, "new", "2")
			beats(t, fresh)
			loses(t, serves)
			// One gateway accepts it for all.
			if accepted, err := strict.AcceptLoss(t.Context()); !accepted || err != nil {
				t.Fatal(accepted, err)
			}
			for _, s := range []*Store{strict, serves, late} {
				recovers(t, s)
				wants(t, s, "w", "unknown")
				wants(t, s, "new", "2")
			}
			if accepted, err := strict.AcceptLoss(t.Context()); accepted || err != nil {
				t.Error("again:", accepted, err)
			}
			recovers(t, ready(t, url, noting(dir, 0)))
		})
	}
}

// TestLossRetires: after a change during the loss, at whatever gateway, none of those that
// knew the store and are asked all the time serves what it retired.
func TestLossRetires(t *testing.T) {
	t.Parallel()
	const wipe = "redis.call('FLUSHALL') "
	known := func(how widgets.Change) widgets.Change { // as the admin API changes widgets
		return func(id string, old *widgets.Record) (*widgets.Record, error) {
			if old == nil {
				return nil, widgets.ErrNotFound
			}
			return how(id, old)
		}
	}
	for name, c := range map[string]struct {
		wipe   string
		change func(t *testing.T, lost, other, fresh *Store)
		w, x   string // what is then served of them
	}{
		"created": {wipe, func(t *testing.T, lost, other, fresh *Store) {
			change(t, fresh, to("2"), "new")
			reads(t, lost, "new", "2")
			time.Sleep(writerWait)
		}, "1", "1"},
		"created, rotated and deleted": {wipe, func(t *testing.T, lost, other, fresh *Store) {
			change(t, fresh, to("2"), "w")
			reads(t, lost, "w", "2")
			change(t, fresh, known(to("3")), "w")
			wants(t, lost, "w", "3")
			change(t, fresh, known(becomes(nil)), "w")
		}, "unavailable", "unavailable"},
		"another one deleted": {wipe, func(t *testing.T, lost, other, fresh *Store) {
			change(t, lost, to("2"), "new")
			change(t, lost, known(becomes(nil)), "new")
		}, "unavailable", "unavailable"},
		"before the loss is noticed": {wipe + "redis.call('SET', KEYS[1], 'another') redis.call('SET', KEYS[2], 'later')", nil, "unavailable", "unavailable"},
		"gone by hand": {wipe, func(t *testing.T, lost, other, fresh *Store) {
			change(t, fresh, to("2"), "w")
			reads(t, lost, "w", "2")
			reads(t, other, "w", "2")
			client, err := fresh.link.Client(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			client.Do(t.Context(), client.B().Del().Key(fresh.keys.record("w")).Build())
			reads(t, lost, "w", "unavailable") // an answer from before may have been on its way
			reads(t, other, "w", "unavailable")
		}, "unavailable", "1"},
		"the lost one rotated": {wipe, func(t *testing.T, lost, _, _ *Store) { refusesLost(t, lost, known(to("2"))) }, "unavailable", "unavailable"},
		"the lost one deleted": {wipe + "redis.call('SET', KEYS[1], 'another')", func(t *testing.T, lost, _, _ *Store) { refusesLost(t, lost, becomes(nil)) }, "unavailable", "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			url := "redis://" + server.Addr
			lost, other := ready(t, url, noting(t.TempDir(), time.Hour)), ready(t, url, noting(t.TempDir(), time.Hour))
			change(t, lost, to("1"), "w", "x")
			for _, s := range []*Store{lost, other} {
				remembers(t, s, "w", "1")
				remembers(t, s, "x", "1")
			}
			for _, s := range []*Store{lost, other} {
				go func() {
					for s.alive.Err() == nil {
						_ = version(s, "w")
						time.Sleep(time.Millisecond)
					}
				}()
			}
			server.Do("EVAL", c.wipe, "2", "chat_identity:{w}store", "chat_identity:{w}version")
			if !strings.HasPrefix(name, "the lost") { // whose change comes before it is noticed
				loses(t, lost)
				loses(t, other)
				beats(t, other)
			}
			if c.change == nil {
				time.Sleep(writerWait)
			} else {
				c.change(t, lost, other, gateway(t, url, Options{}))
			}
			for _, s := range []*Store{lost, other} {
				wants(t, s, "w", c.w)
				wants(t, s, "x", c.x)
				testbed.Until(t, "whether it serves", func() bool { return s.Serves() == (c.x == "1") })
			}
		})
	}
}

// reads waits until the store no longer serves the widget from memory.
func reads(t *testing.T, s *Store, id, want string) {
	t.Helper()
	testbed.Until(t, id+" is read", func() bool { return version(s, id) == want })
}

// refusesLost has the change of a widget that is only remembered say so.
func refusesLost(t *testing.T, s *Store, how widgets.Change) {
	t.Helper()
	err := s.Update(t.Context(), []string{"w"}, how)
	if !errors.Is(err, errEnded) {
		t.Errorf("the change of a lost widget: %v", err)
	}
}

// TestLossReadMeanwhile: what was read during a loss is not used when the data are back, with
// the version of before.
func TestLossReadMeanwhile(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, noting(t.TempDir(), time.Hour))
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	value, name := server.Do("GET", "chat_identity:{w}:w"), server.Do("GET", "chat_identity:{w}store")
	server.Do("SET", "chat_identity:{w}store", "another")
	server.Do("SET", "chat_identity:{w}:w", strings.Replace(value, `"version":"1"`, `"version":"2"`, 1))
	loses(t, s)
	reads(t, s, "w", "2")
	server.Do("SET", "chat_identity:{w}:w", value)
	server.Do("SET", "chat_identity:{w}store", name)
	recovers(t, s)
	wants(t, s, "w", "1")
}

// TestLossEnds: the loss is over when the data are back, and is logged as long as it lasts.
func TestLossEnds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options, logs := logged()
	s := ready(t, "redis://"+server.Addr, options)
	change(t, s, to("1"), "w")
	remembers(t, s, "w", "1")
	keys := map[string]string{}
	for _, key := range []string{"{w}:w", "{w}ids", "{w}version", "{w}store"} {
		keys["chat_identity:"+key] = server.Do("DUMP", "chat_identity:"+key)
	}
	server.Do("FLUSHALL")
	loses(t, s)
	testbed.Until(t, "w is unavailable", func() bool { return version(s, "w") == "unavailable" })
	for key, dump := range keys {
		server.Do("RESTORE", key, "0", dump)
	}
	recovers(t, s)
	wants(t, s, "w", "1")
	testbed.Until(t, "it is logged", func() bool { return logs.FilterMessageSnippet("is over").Len() == 1 })
	if lost := logs.FilterMessage(loss).All(); len(lost) != 1 || lost[0].Level != zapcore.ErrorLevel || logs.Len() != 2 {
		t.Errorf("logged: %v", logs.All())
	}
}

// TestFlushedAtOnce: a Redis that is emptied before a gateway has seen a version of the
// widgets is asked again all the same.
func TestFlushedAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, to("1"), "w")
	wants(t, s, "w", "1")
	server.Do("FLUSHALL")
	testbed.Until(t, "it is not served", func() bool { return version(s, "w") != "1" })
}

// TestNoteNotYet: a configuration that is only validated writes nothing.
func TestNoteNotYet(t *testing.T) {
	t.Parallel()
	server, dir := redistest.Start(t), t.TempDir()
	options := noting(dir, 0)
	options.Note.May = func() bool { return false }
	s := ready(t, "redis://"+server.Addr, options)
	change(t, s, to("1"), "w")
	beats(t, s)
	if found, err := filepath.Glob(filepath.Join(dir, "*")); len(found) > 0 || err != nil {
		t.Errorf("written: %v, %v", found, err)
	}
	server.Do("FLUSHALL") // it is noticed from memory
	loses(t, s)
}

// TestEviction: a policy by which widgets are evicted is logged, once, to a user who may ask.
func TestEviction(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{
		"--maxmemory-policy allkeys-lru --maxmemory 100mb": 1, "--maxmemory-policy allkeys-lru": 1, "--maxmemory-policy volatile-lru --maxmemory 100mb": 0, "": 0,
	} {
		server := redistest.Start(t, strings.Fields(args)...)
		server.Do(append([]string{"ACL", "SETUSER", "few", "on", ">right", "~*"}, strings.Fields(rights)...)...)
		options, logs := logged()
		s := ready(t, "redis://"+server.Addr, options)
		few := ready(t, "redis://few:right@"+server.Addr, options)
		beats(t, s)
		beats(t, few)
		if logs.Len() != want || want == 1 && !strings.Contains(logs.All()[0].Message, "maxmemory-policy to noeviction") {
			t.Errorf("%s: logged %v", args, logs.All())
		}
	}
}
