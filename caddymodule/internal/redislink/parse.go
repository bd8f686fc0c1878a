package redislink

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// schemes are the schemes of URLs.
var schemes = map[string]Options{
	"redis":           {},
	"rediss":          {TLS: true},
	"redis+unix":      {Unix: true},
	"redis+sentinel":  {Kind: Sentinel},
	"rediss+sentinel": {Kind: Sentinel, TLS: true},
	"redis+cluster":   {Kind: Cluster},
	"rediss+cluster":  {Kind: Cluster, TLS: true},
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrURL, fmt.Errorf(format, args...))
}

// Parse reads a URL:
//
//	redis://[user:password@]host[:6379][/db]      one server
//	redis+unix://[user:password@]/path/of/socket
//	redis+sentinel://[user:password@]host[:26379],host[:26379]/name[/db]
//	redis+cluster://[user:password@]host[:6379],host[:6379]
//
// With rediss in place of redis, it uses TLS. Options behind a question mark are prefix,
// db, sentinel_username, sentinel_password, and with TLS ca, server_name, cert and key.
// net/url does not parse these URLs: it refuses several hosts and placeholders in a
// password, and its errors quote the URL.
func Parse(text string) (Options, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	o, known := schemes[strings.ToLower(scheme)]
	if !ok || !known {
		return Options{}, wrong("it must begin with one of redis://, rediss://, redis+unix://, redis+sentinel://, " +
			"rediss+sentinel://, redis+cluster://, rediss+cluster://")
	}
	o.Prefix = DefaultPrefix
	rest, query := cut(rest, '?')
	authority, path := cut(rest, '/')
	err := o.parseAuthority(authority)
	if err == nil {
		err = o.parsePath(path)
	}
	if err == nil {
		err = o.parseQuery(query)
	}
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return Options{}, err
	}
	return o, nil
}

// cut cuts at the first separator outside of a placeholder's braces.
func cut(text string, separator byte) (before, after string) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == separator && depth == 0:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// unescape decodes percent signs; a plus is a plus.
func unescape(text, where string) (string, error) {
	plain, err := url.PathUnescape(text)
	if err != nil {
		return "", wrong("a percent sign %s is written %%25", where)
	}
	return plain, nil
}

func (o *Options) parseAuthority(authority string) (err error) {
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password := cut(authority[:i], ':')
		authority = authority[i+1:]
		if o.Username, err = unescape(user, "in the user or password"); err == nil {
			o.Password, err = unescape(password, "in the user or password")
		}
		if err != nil {
			return err
		}
		if o.Password == "" {
			return wrong("a user without a password: write user:password@, or :password@ for the default user")
		}
	}
	port := "6379"
	switch {
	case o.Unix && authority != "":
		return wrong(noSocket)
	case o.Unix:
		return nil
	case o.Kind == Sentinel:
		port = "26379"
	}
	for host := range strings.SplitSeq(authority, ",") {
		addr, err := address(host, port)
		if err != nil {
			return err
		}
		o.Addrs = append(o.Addrs, addr)
	}
	if o.Kind == Single && len(o.Addrs) > 1 {
		return wrong("several hosts: write redis+sentinel:// or redis+cluster://")
	}
	return nil
}

const noSocket = "the path of a socket is absolute: redis+unix:///path"

// address returns host:port, with that port if the text has none.
func address(text, port string) (string, error) {
	host := text
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	} else if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		host = text[1 : len(text)-1]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if host == "" || strings.ContainsAny(host, "[]{}@/ ") || strings.Contains(host, ":") && net.ParseIP(host) == nil || err != nil || n == 0 {
		if strings.ContainsAny(host, "{}") {
			return "", wrong("a placeholder can be the user, the password or the whole URL, but no other part")
		}
		// An unescaped slash or at sign in a password leads here.
		return "", wrong("a host is missing or is not host:port; in a password write / as %%2F, @ as %%40, ? as %%3F")
	}
	return net.JoinHostPort(host, port), nil
}

func (o *Options) parsePath(path string) error {
	switch {
	case o.Unix && path == "":
		return wrong(noSocket)
	case o.Unix:
		socket, err := unescape("/"+path, "in the path")
		o.Addrs = []string{socket}
		return err
	case o.Kind == Sentinel:
		name, rest := cut(path, '/')
		master, err := url.PathUnescape(name)
		if err != nil || master == "" {
			return wrong("the name by which the sentinels know the primary is missing: redis+sentinel://host/name")
		}
		o.Master, path = master, rest
	}
	return o.parseDB(path)
}

func (o *Options) parseDB(text string) error {
	if text == "" {
		return nil
	}
	db, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return wrong("the path is not a number of a database; in a password write / as %%2F")
	}
	o.DB = int(db)
	return nil
}

func (o *Options) parseQuery(query string) error {
	seen := map[string]bool{}
	for pair := ""; query != ""; {
		if pair, query = cut(query, '&'); pair == "" {
			continue
		}
		name, escaped, _ := strings.Cut(pair, "=")
		value, err := unescape(escaped, "behind the question mark")
		if err != nil {
			return err
		}
		if seen[name] {
			return wrong("an option appears more than once")
		}
		seen[name] = true
		switch text, known := o.texts()[name]; {
		case known:
			*text = value
		case name == "db" && o.DB != 0:
			return wrong("two databases")
		case name == "db":
			if err := o.parseDB(value); err != nil {
				return err
			}
		default:
			// The name is not quoted: it may be the end of a password.
			return wrong("an option behind the question mark is none of prefix, db, sentinel_username, sentinel_password, ca, server_name, cert, key")
		}
	}
	return nil
}

// check refuses options that contradict each other.
func (o *Options) check() error {
	switch {
	case len(o.Addrs) == 0:
		return wrong("no host")
	case strings.ContainsAny(o.Prefix, "{}"):
		// Keys that must lie together have a hash tag behind the prefix, and
		// only the first braces of a key count.
		return wrong("a prefix cannot have braces")
	case !o.TLS && (o.CA != "" || o.ServerName != "" || o.Cert != "" || o.Key != ""):
		return wrong("ca, server_name, cert and key are for TLS: write rediss")
	case (o.Cert == "") != (o.Key == ""):
		return wrong("cert and key go together")
	case o.Kind == Cluster && o.DB != 0:
		return wrong("a cluster has no databases but 0")
	case o.Kind != Sentinel && (o.SentinelUsername != "" || o.SentinelPassword != ""):
		return wrong("sentinel_username and sentinel_password are for redis+sentinel")
	case o.SentinelUsername != "" && o.SentinelPassword == "":
		return wrong("sentinel_username without sentinel_password")
	}
	return nil
}
