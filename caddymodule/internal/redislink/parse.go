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
	rest, query := cut(rest, '?')
	authority, path := cut(rest, '/')
	if err := o.parseUser(&authority); err != nil {
		return Options{}, err
	}
	if err := o.parseHosts(authority, path); err != nil {
		return Options{}, err
	}
	if err := o.parsePath(path); err != nil {
		return Options{}, err
	}
	o.Prefix = DefaultPrefix
	if err := o.parseQuery(query); err != nil {
		return Options{}, err
	}
	return o, o.check()
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

func (o *Options) parseUser(authority *string) error {
	i := strings.LastIndexByte(*authority, '@')
	if i < 0 {
		return nil
	}
	user, password := cut((*authority)[:i], ':')
	*authority = (*authority)[i+1:]
	var err1, err2 error
	o.Username, err1 = url.PathUnescape(user)
	o.Password, err2 = url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return wrong("a percent sign in the user or password is written %%25")
	}
	if o.Password == "" {
		return wrong("a user without a password: write user:password@, or :password@ for the default user")
	}
	return nil
}

func (o *Options) parseHosts(authority, path string) error {
	if o.Unix {
		if authority != "" || path == "" {
			return wrong("the path of a socket is absolute: redis+unix:///path")
		}
		return nil
	}
	port := "6379"
	if o.Kind == Sentinel {
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
	if o.Unix {
		socket, err := url.PathUnescape("/" + path)
		if err != nil {
			return wrong("a percent sign in the path is written %%25")
		}
		o.Addrs = []string{socket}
		return nil
	}
	if o.Kind == Sentinel {
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
	for query != "" {
		var pair string
		pair, query = cut(query, '&')
		if pair == "" {
			continue
		}
		name, escaped, _ := strings.Cut(pair, "=")
		value, err := url.PathUnescape(escaped) // a plus is a plus
		if err != nil {
			return wrong("a percent sign behind the question mark is written %%25")
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
