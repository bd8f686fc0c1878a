// Package redislink connects to Redis or Valkey by the URL that an operator writes, and
// explains its errors.
package redislink

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// ErrURL says that a URL, or what it names, cannot be used. Its text never quotes the URL,
// which may contain a password.
var ErrURL = errors.New("redis: bad URL")

// DefaultPrefix is the prefix of all keys unless the URL names another.
const DefaultPrefix = "chat_identity:"

// Kind is how servers are found.
type Kind int

const (
	Single   Kind = iota // the one server at the address
	Sentinel             // the primary, as the sentinels at the addresses know it
	Cluster              // all nodes, as those at the addresses know them
)

// Options are the settings of a URL. User names and passwords may be placeholders, which
// the caller of [Parse] replaces before [Open].
type Options struct {
	Kind  Kind
	Addrs []string // host:port, or one path of a socket
	Unix  bool     // the address is a path
	// Master is the sentinels' name for the primary.
	Master             string
	DB                 int
	Username, Password string
	// SentinelUsername and SentinelPassword are for the sentinels, which have users of
	// their own and refuse a password if they require none.
	SentinelUsername, SentinelPassword string
	Prefix                             string

	TLS        bool
	CA         string // a file of certificates in PEM, in place of the system's
	ServerName string // in the certificate, in place of the address's host
	Cert, Key  string // files in PEM: this client's certificate
}

// texts are the options behind the question mark, but for db.
func (o *Options) texts() map[string]*string {
	return map[string]*string{
		"prefix": &o.Prefix, "ca": &o.CA, "server_name": &o.ServerName, "cert": &o.Cert, "key": &o.Key,
		"sentinel_username": &o.SentinelUsername, "sentinel_password": &o.SentinelPassword,
	}
}

// String returns the URL without passwords.
func (o Options) String() string {
	var b strings.Builder
	for scheme, of := range schemes {
		if of.TLS == o.TLS && of.Unix == o.Unix && of.Kind == o.Kind {
			b.WriteString(scheme + "://")
		}
	}
	if o.Username != "" || o.Password != "" {
		b.WriteString(url.PathEscape(o.Username))
		if o.Password != "" {
			b.WriteString(":***")
		}
		b.WriteByte('@')
	}
	hosts, query := strings.Join(o.Addrs, ","), url.Values{}
	if o.Unix {
		hosts = (&url.URL{Path: hosts}).EscapedPath()
	}
	b.WriteString(hosts)
	if o.Master != "" {
		b.WriteString("/" + url.PathEscape(o.Master))
	}
	switch db := strconv.Itoa(o.DB); {
	case o.DB != 0 && o.Unix:
		query.Set("db", db)
	case o.DB != 0:
		b.WriteString("/" + db)
	}
	for name, value := range o.texts() {
		if *value != "" && name != "sentinel_password" {
			query.Set(name, *value)
		}
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
