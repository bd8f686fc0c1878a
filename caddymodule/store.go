package caddymodule

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/filestore"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/observe"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redisstore"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func init() {
	caddy.RegisterModule(new(FileWidgets))
	caddy.RegisterModule(new(RedisWidgets))
}

// FileWidgets stores chat widgets in a file, with encrypted secrets.
//
// Every change is written to a new file, which then replaces the old one. Several processes may share the file: a change
// by another is noticed within a second. A file that is damaged or missing counts as unreachable, and so does one to which
// the last change could not be written; what was read last is served until that is repaired.
type FileWidgets struct {
	// The file's path. Default: `chat_identity/widgets.jsonl` in Caddy's data directory.
	Path string `json:"path,omitempty"`

	pooled[*filestore.Store]
}

// CaddyModule returns the Caddy module information.
func (*FileWidgets) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.widgets.file",
		New: func() caddy.Module { return new(FileWidgets) },
	}
}

// Provision reads the file. It creates none.
func (f *FileWidgets) Provision(ctx caddy.Context) error {
	path, err := resolvePath(f.Path, "widgets.jsonl")
	if err != nil {
		return err
	}
	f.Path = path
	return f.take(path, func() (*filestore.Store, error) {
		return filestore.Open(filestore.Options{
			Path: path, Note: storeNote(path),
			// Not the context's logger: the file outlives the configuration.
			Log:     caddy.Log().Named("chat_identity.widgets.file"),
			Changed: storeChanged,
		}), nil
	})
}

// storeNote is the note in Caddy's data directory about the store at that place. A
// configuration that is only validated, perhaps by another user, writes none.
func storeNote(place string) durable.Note {
	return durable.Note{Path: dataPath("widgets-" + digestOf(place)), May: func() bool {
		_, err := activeApp()
		return err == nil
	}}
}

// storeChanged checks the store after another process has changed it.
func storeChanged() {
	if app, err := activeApp(); err == nil {
		app.checkStore()
	}
}

// Store implements [WidgetStore]. The store serves what it read last without a time limit.
func (f *FileWidgets) Store(time.Duration, int64) (widgets.Store, error) { return f.shared, nil }

// UnmarshalCaddyfile sets up the store. Syntax:
//
//	widgets file [<path>]
func (f *FileWidgets) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return pathArg(d, "widgets file", &f.Path)
}

// pathArg takes the optional path of a file.
func pathArg(d *caddyfile.Dispenser, option string, to *string) error {
	d.Next() // the kind
	if args := d.RemainingArgs(); len(args) == 1 {
		*to = args[0]
		if err := checkPath(*to); err != nil {
			return err
		}
	} else if len(args) > 1 {
		return fmt.Errorf("%s takes one path: quote it if it has spaces", option)
	}
	if d.NextBlock(0) {
		return fmt.Errorf("%s has no block: the path follows it", option)
	}
	return nil
}

// resolvePath replaces a path's placeholders and makes it absolute. An empty path is the
// file of that name in Caddy's data directory.
func resolvePath(path, name string) (string, error) {
	if path == "" {
		path = dataPath(name)
	}
	resolved, err := caddy.NewReplacer().ReplaceOrErr(path, true, true)
	if err != nil {
		return "", fmt.Errorf("a variable in the path %s is not set or is empty: set it for the process that runs Caddy", path)
	}
	return filepath.Abs(resolved)
}

// checkPath refuses a path that is probably a mistake.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("the path is empty, as a variable leaves it that is not set: write the path")
	case strings.HasPrefix(path, "~"):
		return errors.New("a path that begins with ~ is not expanded here: write it out")
	}
	return nil
}

// RedisWidgets stores chat widgets in Redis or Valkey, for any number of gateways, with encrypted secrets.
//
// A gateway caches what it has looked up, and asks Redis four times a second whether anything has changed. A change that
// retires a secret takes a second: when it is answered, no gateway uses that secret any more.
type RedisWidgets struct {
	RedisServer
	pooled[*redisstore.Store]
}

// RedisServer is where a Redis or Valkey is.
type RedisServer struct {
	// `redis://[user:password@]host[:6379][/db]`, or the same with `redis+unix` and a path, `redis+sentinel` and the
	// master's name, or `redis+cluster`; `rediss` speaks TLS. The whole URL, the user and the password may each be one
	// `{env.NAME}` or `{file.PATH}`. Options behind a `?`: `prefix` (default `chat_identity:`), `sentinel_username`, `sentinel_password`,
	// and with TLS `ca`, `server_name`, `cert` and `key`.
	URL string `json:"url"`

	link pooled[*redislink.Link]
}

// connect acquires the link to the server, which a store and a ledger at one URL share,
// and returns the key under which it is shared. It does not connect yet, since it also
// runs for `caddy validate`.
func (r *RedisServer) connect() (key string, err error) {
	address := r.URL
	if _, kind := placeholder(address); kind != "" {
		if address, _, err = resolveText(address); err != nil {
			return "", err
		}
	}
	options, err := redislink.Parse(address)
	if err != nil && address != r.URL {
		err = fmt.Errorf("%w, in %s", err, r.URL)
	}
	if err != nil {
		return "", err
	}
	for _, text := range []*string{&options.Username, &options.Password, &options.SentinelUsername, &options.SentinelPassword} {
		if *text == "" {
			continue
		}
		if *text, _, err = resolveText(*text); err != nil {
			return "", fmt.Errorf("%w, as the user or password in the URL", err)
		}
	}
	r.URL = "" // cleared: Caddy's request trace prints exported fields
	sum := sha256.Sum256([]byte(options.String() + "\x00" + options.Username + "\x00" + options.Password + "\x00" + options.SentinelPassword))
	key = string(sum[:])
	return key, r.link.take(key, func() (*redislink.Link, error) { return redislink.Open(options) })
}

// unmarshal reads the URL of a line in a Caddyfile.
func (r *RedisServer) unmarshal(d *caddyfile.Dispenser, option string) error {
	d.Next() // redis
	args := d.RemainingArgs()
	if len(args) != 1 || args[0] == "" { // not quoted: they may hold a password
		return fmt.Errorf("%s redis takes one argument: a URL without spaces, as in '%[1]s redis redis://localhost:6379'%s", option, unsetNote)
	}
	r.URL = args[0]
	if _, kind := placeholder(r.URL); kind == "" {
		if _, err := redislink.Parse(r.URL); err != nil {
			return err
		}
	}
	if d.NextBlock(0) {
		return fmt.Errorf("%s redis has no block: all settings are part of the URL", option)
	}
	return nil
}

// CaddyModule returns the Caddy module information.
func (*RedisWidgets) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.widgets.redis",
		New: func() caddy.Module { return new(RedisWidgets) },
	}
}

// Store implements [WidgetStore].
func (r *RedisWidgets) Store(staleIfError time.Duration, cache int64) (widgets.Store, error) {
	key, err := r.connect()
	if err != nil {
		return nil, err
	}
	if err := r.take(fmt.Sprint(key, staleIfError, cache), func() (*redisstore.Store, error) {
		return redisstore.Open(redisstore.Options{
			Link: r.link.shared, StaleIfError: staleIfError, Cache: cache, Asked: observe.Lookup, Note: storeNote(r.link.shared.String()),
			// Not the context's logger: the store outlives the configuration.
			Log: caddy.Log().Named("chat_identity.widgets.redis"),
		}), nil
	}); err != nil {
		return nil, err
	}
	return r.shared, nil
}

// Cleanup releases the store and the connection.
func (r *RedisWidgets) Cleanup() error { return errors.Join(r.pooled.Cleanup(), r.link.Cleanup()) }

// UnmarshalCaddyfile sets up the store. Syntax:
//
//	widgets redis <url>
func (r *RedisWidgets) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return r.unmarshal(d, "widgets")
}

var errRedisKey = errors.New("widgets redis needs an encryption_key, the same for all gateways: " +
	"for a Redis without widgets 'caddy chat-identity keygen --encryption-key' creates one")

// Interface guards
var (
	_ caddy.Provisioner = (*FileWidgets)(nil)
	_ storeModule       = (*FileWidgets)(nil)
	_ storeModule       = (*RedisWidgets)(nil)
)

// storeModule is what a module of a store has.
type storeModule interface {
	caddy.CleanerUpper
	caddyfile.Unmarshaler
	WidgetStore
}
