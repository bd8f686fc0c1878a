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
		Use:  "dashboard [--listen <address>]",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := admin.client()
			if err != nil {
				return err
			}
			var stats traffic.Stats
			if _, _, err := c.ask(cmd.Context(), &apiRequest{method: http.MethodGet, path: adminapi.Path + "stats"}, &stats); err != nil {
				return err
			}
			listener, err := listenHere(listen)
			if err != nil {
				return err
			}
			defer listener.Close()
			d := newDashboardProxy(c, listener.Addr().String())
			cmd.PrintErrln("Open this URL in a browser. Whoever has the URL can change widgets until Ctrl-C.")
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), d.url()); err != nil {
				return err
			}
			server := &http.Server{Handler: d, ReadHeaderTimeout: connectLimit, ReadTimeout: answerLimit, IdleTimeout: 2 * time.Minute}
			stop := context.AfterFunc(cmd.Context(), func() { _ = server.Close() })
			defer stop()
			if err = server.Serve(listener); errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			return err
		},
	}
	admin.addAddress(cmd)
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "Loopback address for the browser; port 0 is any free port")
	return cmd
}

// listenHere listens where only programs on this machine can connect.
func listenHere(address string) (net.Listener, error) {
	if !isThisMachine(address) {
		return nil, errors.New("--listen must be a loopback address, such as 127.0.0.1:8019: from another machine, use an SSH tunnel")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return listener, nil
}

// isThisMachine reports whether an address, with a port, is a loopback address.
func isThisMachine(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// dashboardProxy forwards the requests of a browser that knows the key to this
// module's part of an admin endpoint.
type dashboardProxy struct {
	host  string // where it listens
	key   string
	proxy httputil.ReverseProxy
	// crossOrigin guards against other pages in the browser, in case one has learned
	// the key.
	crossOrigin http.CrossOriginProtection
}

func newDashboardProxy(c *adminClient, host string) *dashboardProxy {
	d := &dashboardProxy{host: host, key: rand.Text()}
	origin, _ := url.Parse(c.origin) // it was built from an address
	d.proxy = httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(origin)
			r.Out.URL.Path, r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.Path, "/"+d.key), ""
			r.Out.Host = origin.Host
			// The page's origin was checked here, and the gateway does not know it.
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
			refuseBrowser(w, http.StatusBadGateway, c.failed(&apiRequest{}, err))
		},
	}
	return d
}

// url is the address of the dashboard.
func (d *dashboardProxy) url() string { return "http://" + d.host + "/" + d.key + adminapi.Path }

// ServeHTTP implements [http.Handler].
func (d *dashboardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	below, known := strings.CutPrefix(r.URL.Path, "/"+d.key)
	switch {
	case !isThisMachine(r.Host): // a DNS name that an attacker points here
		refuseBrowser(w, http.StatusForbidden, errors.New("the address is "+d.host))
	case !known || !strings.HasPrefix(below, adminapi.Path) || path.Clean(below) != strings.TrimSuffix(below, "/"): // it has a "." or ".."
		refuseBrowser(w, http.StatusNotFound, errors.New("there is nothing at this path: open the URL that the command printed"))
	case d.crossOrigin.Check(r) != nil:
		refuseBrowser(w, http.StatusForbidden, errors.New("this request changes something and comes from a page of another origin"))
	default:
		d.proxy.ServeHTTP(w, r)
	}
}

func refuseBrowser(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
