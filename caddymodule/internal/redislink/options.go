// Package redislink connects to Redis or Valkey by the URL that an operator
// writes, and says what its errors mean.
package redislink

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// ErrURL says that a URL, or what it names, cannot be used. The text never
// quotes the URL, since there may be a password in it.
var ErrURL = errors.New("redis: bad URL")

// DefaultPrefix begins every key, unless the URL names another.
const DefaultPrefix = "chat_identity:"

// Kind is how servers are found.
type Kind int

const (
	Single   Kind = iota // the one server at the address
	Sentinel             // the primary that the sentinels at the addresses name
	Cluster              // the nodes that those at the addresses name
)

// Options is what a URL says. Username, Password and the sentinels' may hold
// placeholders, written as they are: whoever parses resolves them before [Open].
type Options struct {
	Kind  Kind
	Addrs []string // host:port, or one path of a socket
	Unix  bool     // the address is a path
	// Master is the name by which the sentinels know the primary.
	Master             string
	DB                 int
	Username, Password string
	// SentinelUsername and SentinelPassword are for the sentinels: they have
	// users of their own, and refuse a password where they ask for none.
	SentinelUsername, SentinelPassword string
	Prefix                             string

	TLS        bool
	CA         string // a file of certificates in PEM, in place of the system's
	ServerName string // in the certificate, in place of the address' host
	Cert, Key  string // files in PEM: this client's certificate
}

// String returns the URL without passwords.
func (o Options) String() string {
	var b strings.Builder
	b.WriteString("redis")
	if o.TLS {
		b.WriteString("s")
	}
	switch {
	case o.Unix:
		b.WriteString("+unix")
	case o.Kind == Sentinel:
		b.WriteString("+sentinel")
	case o.Kind == Cluster:
		b.WriteString("+cluster")
	}
	b.WriteString("://")
	if o.Username != "" || o.Password != "" {
		b.WriteString(url.PathEscape(o.Username))
		if o.Password != "" {
			b.WriteString(":***")
		}
		b.WriteByte('@')
	}
	if o.Unix {
		b.WriteString((&url.URL{Path: strings.Join(o.Addrs, "")}).EscapedPath())
	} else {
		b.WriteString(strings.Join(o.Addrs, ","))
	}
	if o.Master != "" {
		b.WriteString("/" + url.PathEscape(o.Master))
	}
	if o.DB != 0 && !o.Unix {
		b.WriteString("/" + strconv.Itoa(o.DB))
	}
	query := url.Values{}
	for name, value := range map[string]string{
		"prefix": o.Prefix, "ca": o.CA, "server_name": o.ServerName, "cert": o.Cert, "key": o.Key,
		"sentinel_username": o.SentinelUsername,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.Unix && o.DB != 0 {
		query.Set("db", strconv.Itoa(o.DB))
	}
	if len(query) > 0 {
		// In a form a space is a plus; Parse takes a plus for one.
		b.WriteString("?" + strings.ReplaceAll(query.Encode(), "+", "%20"))
	}
	return b.String()
}

// GoString and MarshalText are for those who print options without [Options.String].
func (o Options) GoString() string             { return o.String() }
func (o Options) MarshalText() ([]byte, error) { return []byte(o.String()), nil }
