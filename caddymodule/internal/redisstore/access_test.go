package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// rights are those in the package's documentation.
const rights = "+get +mget +set +del +setrange +zadd +zrem +zrangebylex +hincrby +hdel +hgetall +eval +ping"

// denied waits for the state to be an error with that text, and fails if it has
// the password in it.
func denied(t *testing.T, s *Store, text string) {
	t.Helper()
	testbed.Until(t, text, func() bool {
		err := s.Err()
		return err != nil && strings.Contains(err.Error(), text)
	})
	if err := s.Err(); !errors.Is(err, widgets.ErrUnavailable) || strings.Contains(err.Error(), "hunter") {
		t.Errorf("the state: %v", err)
	}
	wants(t, s, "w", "unavailable")
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "gateway", "on", ">hunter2", "~*", "+@all")
	s := ready(t, "redis://gateway:hunter2@"+server.Addr, Options{})
	change(t, s, to("1"), "w")
	denied(t, gateway(t, "redis://gateway:hunter3@"+server.Addr, Options{}), "correct the user and the password")
	server.Do("ACL", "SETUSER", "default", "off")
	denied(t, gateway(t, "redis://"+server.Addr, Options{}), "asks for a password")
}

// TestRights: the rights in the documentation are enough, and without any one of
// them the error names it.
func TestRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := strings.Fields(rights)
	user := func(name string, rights []string) {
		server.Do(append([]string{"ACL", "SETUSER", name, "on", ">hunter2", "resetkeys", "~chat_identity:{w}*"}, rights...)...)
	}
	user("gateway", all)
	url := "redis://%s:hunter2@" + server.Addr
	s := ready(t, fmt.Sprintf(url, "gateway"), Options{})
	change(t, s, func(id string, _ *widgets.Record) (*widgets.Record, error) { return widget(id, "bookbag", "1"), nil }, "w")
	change(t, s, to("2"), "w")
	wants(t, s, "w", "2")
	if got := listed(t, s, "", 10); got != "w" {
		t.Errorf("there are %s", got)
	}
	change(t, s, becomes(nil), "w")
	for _, right := range []string{"+get", "+setrange", "+hgetall", "+eval"} {
		name := strings.NewReplacer("+", "", "|", "").Replace(right)
		var rest []string
		for _, r := range all {
			if r != right {
				rest = append(rest, r)
			}
		}
		user(name, rest)
		denied(t, gateway(t, fmt.Sprintf(url, name), Options{}), "give the user this right")
	}
	user("reader", []string{"+get", "+setrange", "+hgetall", "+eval", "+mget"})
	reader := gateway(t, fmt.Sprintf(url, "reader"), Options{})
	testbed.Until(t, "a lease", func() bool { return leased(reader) })
	if err := reader.Update(context.Background(), []string{"w"}, to("1")); !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "give the user this right") {
		t.Errorf("a change: %v", err)
	}
	wants(t, reader, "w", "unknown")
	user("elsewhere", append([]string{"resetkeys", "~other*"}, all...))
	denied(t, gateway(t, fmt.Sprintf(url, "elsewhere"), Options{}), "give the user this right")
}

// TestBadRecords: a value that cannot be read is an error of that widget alone.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options, logs := logged()
	s := ready(t, "redis://"+server.Addr, options)
	change(t, s, to("1"), "w", "x")
	good := server.Do("GET", "chat_identity:{w}:w")
	for name, value := range map[string]string{
		"no JSON":            "hunter2{",
		"cut off":            good[:len(good)-1],
		"another's":          strings.Replace(good, `"id":"w"`, `"id":"x"`, 1),
		"no secrets":         `{"format":1,"record":{"id":"w","created":"2026-03-04T05:06:07Z","rotated":"2026-03-04T05:06:07Z","secrets":[]}}`,
		"empty":              "",
		"null":               "null",
		"no record":          `{"format":1,"record":null}`,
		"an unknown member":  strings.Replace(good, `"id":"w"`, `"id":"w","hunter":1`, 1),
		"a member twice":     strings.Replace(good, `"id":"w"`, `"id":"w","id":"w"`, 1),
		"a newer format":     strings.Replace(good, `"format":1`, `"format":2,"hunter":1`, 1),
		"no format":          strings.Replace(good, `"format":1,`, ``, 1),
		"of no text at all ": "\xff\xfe\x00",
	} {
		t.Run(name, func(t *testing.T) {
			server.Do("SET", "chat_identity:{w}:w", value)
			var err error
			testbed.Until(t, "an error", func() bool {
				var r *widgets.Record
				r, err = s.Lookup(t.Context(), []byte("w"))
				if r == nil && err == nil {
					t.Fatal("it is unknown")
				}
				return err != nil
			})
			if !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "the record of widget w") || strings.Contains(err.Error(), "hunter") {
				t.Errorf("a lookup: %v", err)
			}
			if err := s.Update(context.Background(), []string{"w"}, to("2")); !errors.Is(err, widgets.ErrUnavailable) {
				t.Errorf("a change: %v", err)
			}
			if _, err := s.List(context.Background(), "", 10); !errors.Is(err, widgets.ErrUnavailable) {
				t.Errorf("a list: %v", err)
			}
			wants(t, s, "x", "1")
		})
	}
	server.Do("DEL", "chat_identity:{w}:w")
	server.Do("LPUSH", "chat_identity:{w}:w", "1")
	if _, err := s.Lookup(t.Context(), []byte("w")); !errors.Is(err, widgets.ErrUnavailable) || !strings.Contains(err.Error(), "the record of widget w") {
		t.Errorf("a list in its place: %v", err)
	}
	if logs.Len() != 1 {
		t.Errorf("logged: %v", logs.All())
	}
	server.Do("DEL", "chat_identity:{w}:w")
	testbed.Until(t, "it is gone", func() bool { return version(s, "w") == "unknown" })
	if got := listed(t, s, "", 10); got != "x" {
		t.Errorf("there are %s", got)
	}
	change(t, s, to("3"), "w")
	wants(t, s, "w", "3")
}

// TestOldServer: neither HELLO nor CLIENT nor CONFIG is needed.
func TestOldServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "HELLO", "", "--rename-command", "CLIENT", "", "--rename-command", "CONFIG", "")
	s := ready(t, "redis://"+server.Addr, Options{})
	change(t, s, to("1"), "w")
	change(t, s, to("2"), "w")
	wants(t, s, "w", "2")
	if got := listed(t, s, "", 10); got != "w" {
		t.Errorf("there are %s", got)
	}
	change(t, s, becomes(nil), "w")
	wants(t, s, "w", "unknown")
}
