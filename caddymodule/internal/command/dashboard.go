package command

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

func dashboardCommand() *cobra.Command {
	var admin adminFlags
	var listen string
	cmd := &cobra.Command{
		Use:   "dashboard [--listen <address>]",
		Short: "Opens the dashboard to a browser of this machine",
		Long: `
Prints a URL at which a browser of this machine finds the dashboard, and passes
what it asks on to the gateway until it is ended with Ctrl-C.

Browsers cannot open the admin endpoint itself unless it is configured for them:
Caddy refuses a page that no other page links to. And none of them can open a
unix socket. The URL holds a word that is new each time: who does not know it
gets nothing. It is a key to the gateway for as long as the command runs.

For a gateway on another machine, carry the port over:

    ssh -t -L 8019:127.0.0.1:8019 gateway.example.com caddy chat-identity dashboard --listen 127.0.0.1:8019`,
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), answerLimit)
			defer cancel()
			var stats traffic.Stats
			if _, _, err := c.ask(ctx, &apiRequest{method: http.MethodGet, path: adminapi.Path + "stats"}, &stats); err != nil {
				return err
			}
			listener, err := listenHere(listen)
			if err != nil {
				return err
			}
			defer listener.Close()
			d := newDoor(c, listener.Addr().String())
			if _, err := fmt.Fprintln(cmd.ErrOrStderr(), "Open this in a browser. Whoever has the URL can change widgets until Ctrl-C."); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), d.url()); err != nil {
				return err
			}
			server := &http.Server{Handler: d, ReadHeaderTimeout: connectLimit, ReadTimeout: answerLimit, IdleTimeout: 2 * time.Minute}
			stop := context.AfterFunc(cmd.Context(), func() { _ = server.Close() })
			defer stop()
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
	}
	admin.addAddress(cmd)
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "Where the browser finds it, an address of this machine alone; port 0 is any that is free")
	return cmd
}

// listenHere listens where only this machine's own programs get.
func listenHere(address string) (net.Listener, error) {
	if !isThisMachine(address) {
		return nil, errors.New("--listen is not an address of this machine alone, such as 127.0.0.1:8019: from elsewhere, use an SSH tunnel")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return listener, nil
}

// isThisMachine reports whether an address with a port is one that no other
// machine can have.
func isThisMachine(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// door lets a browser into this module's part of an admin endpoint, and only
// one that knows the key.
type door struct {
	host  string // the address that it listens at
	key   string
	proxy httputil.ReverseProxy
	// crossOrigin guards it from other pages of the browser, though those do not
	// know the key.
	crossOrigin http.CrossOriginProtection
}

func newDoor(c *adminClient, host string) *door {
	d := &door{host: host, key: rand.Text()}
	origin, _ := url.Parse(c.origin) // it was made of an address
	d.proxy = httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(origin)
			r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.Path, "/"+d.key), ""
			r.Out.Host = origin.Host
			// The gateway knows nothing of this page's origin, which was checked here.
			for _, name := range []string{"Origin", "Referer", "Cookie", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User"} {
				r.Out.Header.Del(name)
			}
			if !c.unix {
				r.Out.Header.Set("Origin", c.origin)
			}
		},
		Transport: c.client.Transport,
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Access-Control-Allow-Origin")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			refuseAtDoor(w, http.StatusBadGateway, c.failed(&apiRequest{}, err))
		},
	}
	return d
}

// url is where the dashboard is found.
func (d *door) url() string { return "http://" + d.host + "/" + d.key + adminapi.Path }

// ServeHTTP implements [http.Handler].
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	below, known := strings.CutPrefix(r.URL.Path, "/"+d.key)
	switch {
	case !isThisMachine(r.Host): // a name that somebody has pointed here
		refuseAtDoor(w, http.StatusForbidden, errors.New("the address here is "+d.host))
	case !known || !strings.HasPrefix(below, adminapi.Path) || !clean(below):
		refuseAtDoor(w, http.StatusNotFound, errors.New("there is nothing at this path: open the URL that the command has printed"))
	case d.crossOrigin.Check(r) != nil:
		refuseAtDoor(w, http.StatusForbidden, errors.New("this call changes something, and a page of another origin has made it"))
	default:
		d.proxy.ServeHTTP(w, r)
	}
}

// clean reports whether a path leads where it seems to.
func clean(p string) bool { return path.Clean(p) == strings.TrimSuffix(p, "/") }

func refuseAtDoor(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
