package redislink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/sync/singleflight"
)

const (
	// Timeout is how long it may take to connect, and how long to answer: what
	// waits for a server waits no longer.
	Timeout = time.Second
	// pause is how long a failure to connect is the answer for all who ask, so
	// that not each of them waits for one of its own.
	pause = 250 * time.Millisecond
	// refresh is how often sentinels are asked for the primary. What they say on
	// their own may be lost, and nothing else tells of a primary that was demoted
	// and lives on.
	refresh = 5 * time.Second
	// buffer is for each direction of a connection. What is sent is small.
	buffer = 64 << 10
)

// ErrClosed says that a link was closed.
var ErrClosed = errors.New("redis: the link is closed")

// Link is a client that is created when it is first asked for.
type Link struct {
	// Prefix begins every key.
	Prefix string
	// Cluster says that keys of one command must be in one slot.
	Cluster bool

	options    Options
	option     rueidis.ClientOption
	client     atomic.Pointer[rueidis.Client]
	connecting singleflight.Group

	mu     sync.Mutex // held while connecting; guards what follows
	failed error
	until  time.Time // failed is the answer till then
	closed bool
}

// Open prepares a link. It reads the files that the options name, but connects
// to nobody, since it also runs to validate a configuration.
func Open(options Options) (*Link, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	config, err := options.tlsConfig()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: Timeout, KeepAlive: Timeout}
	option := rueidis.ClientOption{
		InitAddress:      options.Addrs,
		Username:         options.Username,
		Password:         options.Password,
		SelectDB:         options.DB,
		TLSConfig:        config,
		Dialer:           dialer,
		ConnWriteTimeout: Timeout,
		ClientName:       "chat-identity",
		ClientSetInfo:    rueidis.DisableClientSetInfo, // a user with few rights may not send it
		// The client's own cache trusts answers for a fixed time.
		DisableCache:      true,
		ForceSingleClient: options.Kind == Single,
		// One connection to a server, on which all commands are pipelined. With
		// several, a change could be the first to use one that broke unnoticed, and
		// nobody would know whether it happened. With one, the read before the
		// change has found out.
		PipelineMultiplex:   -1,
		ReadBufferEachConn:  buffer,
		WriteBufferEachConn: buffer,
	}
	// Two more attempts are for a connection that broke unnoticed. To retry for as
	// long as there is time would hide that nobody is there.
	option.RetryDelay = func(attempt int, _ rueidis.Completed, _ error) time.Duration {
		if attempt > 2 {
			return -1
		}
		return time.Duration(attempt) * 5 * time.Millisecond
	}
	if options.Unix {
		option.DialCtxFn = func(ctx context.Context, path string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		}
	}
	if options.Kind == Sentinel {
		option.Sentinel = rueidis.SentinelOption{
			MasterSet:               options.Master,
			Username:                options.SentinelUsername,
			Password:                options.SentinelPassword,
			ClientName:              option.ClientName,
			Dialer:                  dialer,
			TLSConfig:               config,
			TopologyRefreshInterval: refresh,
		}
	}
	return &Link{Prefix: options.Prefix, Cluster: options.Kind == Cluster, options: options, option: option}, nil
}

// String returns the URL without passwords.
func (l *Link) String() string { return l.options.String() }

// Client returns the client. Where there is none yet it connects; the client
// then connects again by itself as often as it must.
func (l *Link) Client(ctx context.Context) (rueidis.Client, error) {
	if client := l.client.Load(); client != nil {
		return *client, nil
	}
	select {
	case result := <-l.connecting.DoChan("", l.connect):
		client, _ := result.Val.(rueidis.Client)
		return client, result.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("redis: no connection yet: %w", ctx.Err())
	}
}

// connect connects for all who wait, whoever of them gives up.
func (l *Link) connect() (any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if client := l.client.Load(); client != nil {
		return *client, nil
	}
	switch {
	case l.closed:
		return nil, ErrClosed
	case time.Now().Before(l.until):
		return nil, l.failed
	}
	client, err := rueidis.NewClient(l.option)
	if err != nil {
		if client != nil {
			client.Close() // one for a single server is created though nobody answers
		}
		l.failed, l.until = err, time.Now().Add(pause)
		return nil, err
	}
	l.client.Store(&client)
	return client, nil
}

// Close ends all connections. What is asked of the client then fails.
func (l *Link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if client := l.client.Load(); client != nil && !l.closed {
		(*client).Close()
	}
	l.closed = true
	return nil
}

// tlsConfig reads the files that the options name.
func (o *Options) tlsConfig() (*tls.Config, error) {
	if !o.TLS {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, wrong("ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, wrong("ca: there is no certificate in %s", o.CA)
		}
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, wrong("cert and key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
