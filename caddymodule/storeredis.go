package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redisstore"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func init() {
	caddy.RegisterModule(new(RedisWidgets))
}

// RedisWidgets keeps chat widgets in Redis or Valkey, for any number of gateways, their secrets sealed.
//
// What a gateway has looked up it keeps in memory, and asks Redis four times a second whether anything has changed. A
// change that retires something takes a second: when it is answered, no gateway uses what it retired.
type RedisWidgets struct {
	RedisServer

	key string // of the pool, where one is held
}

// RedisServer is where a Redis or Valkey is.
type RedisServer struct {
	// `redis://[user:password@]host[:6379][/db]`, or the same with `redis+unix` and a path, `redis+sentinel` and the
	// master's name, or `redis+cluster`; `rediss` speaks TLS. The user and the password may each be one `{env.NAME}` or
	// `{file.PATH}`. Options behind a `?`: `prefix` (default `chat_identity:`), `sentinel_username`, `sentinel_password`,
	// and with TLS `ca`, `server_name`, `cert` and `key`.
	URL string `json:"url"`
}

// resolve parses the URL and looks up what it names.
func (r *RedisServer) resolve() (redislink.Options, error) {
	options, err := redislink.Parse(r.URL)
	if err != nil {
		return options, err
	}
	for _, text := range []*string{&options.Username, &options.Password, &options.SentinelUsername, &options.SentinelPassword} {
		if *text == "" {
			continue
		}
		if *text, _, err = resolveText(*text); err != nil {
			return options, fmt.Errorf("user or password: %w", err)
		}
	}
	return options, nil
}

// unmarshal reads the rest of a Caddyfile's line: the URL.
func (r *RedisServer) unmarshal(d *caddyfile.Dispenser, option string) error {
	d.Next() // redis
	if err := oneArg(d, &r.URL, "a URL, as in '"+option+" redis redis://localhost:6379'"); err != nil {
		return err
	}
	if _, err := redislink.Parse(r.URL); err != nil {
		return d.WrapErr(err)
	}
	if d.NextBlock(0) {
		return d.Errf("%s redis has no block: all settings are part of the URL", option)
	}
	return nil
}

// fingerprint tells two servers, or two users of one, apart.
func fingerprint(o redislink.Options) string {
	sum := sha256.Sum256([]byte(o.String() + "\x00" + o.Username + "\x00" + o.Password + "\x00" + o.SentinelPassword))
	return hex.EncodeToString(sum[:])
}

// redisLinks are the links in use. A store and a ledger at the same URL share one.
var redisLinks = caddy.NewUsagePool()

type pooledLink struct{ *redislink.Link }

// Destruct ends the connections.
func (p pooledLink) Destruct() error {
	p.Close()
	return nil
}

// acquireLink returns the link with that key, until [releaseLink].
func acquireLink(key string, options redislink.Options) (*redislink.Link, error) {
	loaded, _, err := redisLinks.LoadOrNew(key, func() (caddy.Destructor, error) {
		link, err := redislink.Open(options)
		return pooledLink{link}, err
	})
	if err != nil {
		return nil, err
	}
	return loaded.(pooledLink).Link, nil
}

func releaseLink(key string) error {
	_, err := redisLinks.Delete(key)
	return err
}

// redisStores are the open stores: they outlive a configuration.
var redisStores = caddy.NewUsagePool()

type pooledRedisStore struct {
	*redisstore.Store
	link string // its key
}

// Destruct closes the store. Requests of the old configuration that still look
// something up find it unavailable.
func (p *pooledRedisStore) Destruct() error { return errors.Join(p.Close(), releaseLink(p.link)) }

// CaddyModule returns the Caddy module information.
func (*RedisWidgets) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.widgets.redis",
		New: func() caddy.Module { return new(RedisWidgets) },
	}
}

// Store implements [WidgetStore].
func (r *RedisWidgets) Store(staleIfError time.Duration) (widgets.Store, error) {
	options, err := r.resolve()
	if err != nil {
		return nil, err
	}
	r.URL = "" // cleared: Caddy's request trace prints exported fields
	link := fingerprint(options)
	key := link + staleIfError.String()
	loaded, _, err := redisStores.LoadOrNew(key, func() (caddy.Destructor, error) {
		l, err := acquireLink(link, options)
		if err != nil {
			return nil, err
		}
		return &pooledRedisStore{redisstore.Open(redisstore.Options{
			Link: l, StaleIfError: staleIfError, Asked: lookupAsked,
			// Not the context's logger: the store outlives the configuration.
			Log: caddy.Log().Named("chat_identity.widgets.redis"),
		}), link}, nil
	})
	if err != nil {
		return nil, err
	}
	r.key = key
	return loaded.(*pooledRedisStore).Store, nil
}

// Cleanup gives the store back.
func (r *RedisWidgets) Cleanup() error {
	if r.key == "" {
		return nil
	}
	_, err := redisStores.Delete(r.key)
	return err
}

// UnmarshalCaddyfile sets up the store. Syntax:
//
//	widgets redis <url>
func (r *RedisWidgets) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return r.unmarshal(d, "widgets")
}

var errRedisKey = errors.New("widgets redis needs an encryption_key, the same for all gateways: " +
	"'caddy chat-identity keygen --encryption-key' makes one")

// Interface guards
var (
	_ caddy.CleanerUpper    = (*RedisWidgets)(nil)
	_ caddyfile.Unmarshaler = (*RedisWidgets)(nil)
	_ WidgetStore           = (*RedisWidgets)(nil)
)
