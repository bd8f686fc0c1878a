package redislink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/sync/singleflight"
)

const (
	// Timeout bounds a connection attempt, and an answer.
	Timeout = time.Second
	// pause is how long all callers get the error of a failed connection attempt.
	pause = 250 * time.Millisecond
	// refresh is how often sentinels are asked for the primary. Their notifications may be
	// lost, and a demoted primary goes on answering.
	refresh = 5 * time.Second
	// buffer is the size, in bytes, of a connection's buffer in each direction.
	buffer = 64 << 10
)

// ErrClosed says that the link is closed.
var ErrClosed = errors.New("redis: the link is closed")

// Link is a client that connects when it is first needed.
type Link struct {
	Prefix  string // of all keys
	Cluster bool   // the keys of a command must be in one slot

	options    Options
	option     rueidis.ClientOption
	client     atomic.Pointer[rueidis.Client]
	connecting singleflight.Group

	mu     sync.Mutex // held while connecting; guards what follows
	failed error
	until  time.Time // when to try again
	closed bool
}

// Open returns a link. It reads the files that the options name, but does not connect,
// since it also runs to validate a configuration.
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
		ClientSetInfo:    rueidis.DisableClientSetInfo, // a user with few rights may not send it
		// The client's own cache trusts answers for a fixed time.
		DisableCache:      true,
		ForceSingleClient: options.Kind == Single,
		// All commands to a server are pipelined on one connection. With several, a
		// change could be the first command on one that broke unnoticed, with unknown
		// result. With one, the read before the change notices.
		PipelineMultiplex:   -1,
		ReadBufferEachConn:  buffer,
		WriteBufferEachConn: buffer,
		DialCtxFn:           options.dial,
		// Two retries are for a connection that broke unnoticed. More would only delay
		// the error.
		RetryDelay: func(attempt int, _ rueidis.Completed, _ error) time.Duration {
			if attempt > 2 {
				return -1
			}
			return time.Duration(attempt) * 5 * time.Millisecond
		},
	}
	if options.Kind == Sentinel {
		option.Sentinel = rueidis.SentinelOption{
			MasterSet:               options.Master,
			Username:                options.SentinelUsername,
			Password:                options.SentinelPassword,
			Dialer:                  dialer,
			TLSConfig:               config,
			TopologyRefreshInterval: refresh,
		}
	}
	return &Link{Prefix: options.Prefix, Cluster: options.Kind == Cluster, options: options, option: option}, nil
}

// String returns the URL without passwords.
func (l *Link) String() string { return l.options.String() }

// Client returns the client, after connecting if there is none yet. The client reconnects
// by itself.
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

// connect connects on behalf of all who wait, and goes on if some of them give up.
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
	if err != nil && Explain(err).Of("NOPROTO", "ERR") {
		// Where HELLO is unknown, the client does this by itself.
		option := l.option
		option.AlwaysRESP2 = true
		if client != nil {
			client.Close()
		}
		client, err = rueidis.NewClient(option)
	}
	if err != nil {
		if client != nil {
			client.Close() // for a single server there is one even after an error
		}
		l.failed, l.until = err, time.Now().Add(pause)
		return nil, err
	}
	l.client.Store(&client)
	return client, nil
}

// Info returns what a server says about itself, from its answer to INFO.
func Info(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		info[name] = value
	}
	return info
}

// Close closes all connections.
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

// Poll calls look at once and repeatedly, until ctx ends.
func Poll(ctx context.Context, every time.Duration, look func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		look()
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}
