package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/user"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// OpenStore returns the admin API on the store of a configuration. The module sets it,
// which this package does not import.
var OpenStore func(config []byte) (http.Handler, error)

// storeClient calls the admin API in this process, on the store of a configuration. So
// commands, locks and messages are those of a running gateway, which notices the change
// as it notices another gateway's.
func (f *adminFlags) storeClient() (*adminClient, error) {
	switch {
	case f.flags.Changed("address"):
		return nil, errors.New("--address is a running gateway and --config the store itself: pass one of the two")
	case f.config == "":
		return nil, errors.New("--config is missing or empty: name the configuration file")
	}
	config, err := loadConfig(f.config, f.adapter)
	if err != nil {
		return nil, fmt.Errorf("the configuration %s cannot be read: %w", plain(f.config), err)
	}
	api, err := OpenStore(config)
	if err != nil {
		return nil, fmt.Errorf("the configuration %s cannot be used: %w", plain(f.config), err)
	}
	caller := "the command line"
	if u, err := user.Current(); err == nil {
		caller += ", as user " + u.Username
	}
	c := &adminClient{address: "the store of " + plain(f.config), origin: "http://127.0.0.1", unix: true, left: maxAnswers}
	c.client.Transport = inProcess{api, caller}
	return c, nil
}

// loadConfig returns a configuration as JSON, adapted if it is none. As in Caddy's own
// commands, no file is the Caddyfile in the current directory, and a dash is standard input.
func loadConfig(file, adapter string) (config []byte, err error) {
	if file == "" && adapter != "" {
		file = "Caddyfile"
	}
	config, _, _, err = caddycmd.LoadConfig(file, adapter)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return nil, errors.New("there is no Caddyfile in the current directory: name the configuration with --config")
	}
	return caddy.RemoveMetaFields(config), nil
}

// soon says when a running gateway follows a change of the store itself.
func (f *adminFlags) soon() string {
	if f.config == "" {
		return ""
	}
	return ", at a running gateway within a second"
}

// inProcess has a handler answer requests, which come from the caller.
type inProcess struct {
	http.Handler
	caller string
}

// RoundTrip implements [http.RoundTripper].
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host, r.RemoteAddr = r.URL.Host, p.caller
	if r.Body == nil {
		r.Body = http.NoBody
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	p.ServeHTTP(a, r)
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(&a.body), Request: r}, nil
}

// answer is a response writer.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header               { return a.header }
func (a *answer) WriteHeader(status int)            { a.status = status }
func (a *answer) Write(content []byte) (int, error) { return a.body.Write(content) }
