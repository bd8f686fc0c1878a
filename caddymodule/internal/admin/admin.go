// Package admin is the module's part of Caddy's admin endpoint: the API for
// widgets and what is counted of them, and the dashboard that uses it.
package admin

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin/dashboard"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// operations are the calls of the API by method and path.
var operations = map[string]*operation{
	"GET widgets":                {do: (*call).list, takes: []string{"limit", "after"}},
	"POST widgets":               {do: (*call).create, action: "create"},
	"GET widgets/{id}":           {do: (*call).show},
	"PATCH widgets/{id}":         {do: (*call).set, action: "set"},
	"DELETE widgets/{id}":        {do: (*call).delete, action: "delete"},
	"POST widgets/{id}/rotate":   {do: (*call).rotate, action: "rotate"},
	"POST widgets/{id}/reveal":   {do: (*call).reveal, action: "reveal"},
	"GET widgets/{id}/readiness": {do: (*call).readiness},
	"GET keys":                   {do: (*call).keys},
	"POST keys/rotate":           {do: (*call).rotateKeys, action: "rotate-keys", takes: []string{"replace"}},
	"GET jwks":                   {do: (*call).jwks},
	"POST reseal":                {do: (*call).reseal, action: "reseal"},
	"POST store/accept-loss":     {do: (*call).acceptStoreLoss, action: "accept-loss"},
	"POST ledger/accept-loss":    {do: (*call).acceptLoss, action: "accept-loss"},
	"GET health":                 {do: (*call).health},
	"GET export":                 {do: (*call).export, takes: []string{"after"}},
	"POST import":                {do: (*call).importRecords, action: "import", takes: []string{"replace", "missing_keys"}},
	"GET overview":               {do: (*call).overview, takes: []string{"widget", "prefix", "mode", "filter", "sort", "after", "from", "limit"}},
	"GET stats":                  {do: (*call).stats, takes: []string{"top"}},
	"GET history":                {do: (*call).history},
	"GET snippets":               {do: (*call).snippets, takes: []string{"dialect", "widget", "site"}},
}

// Calls returns the method and path of each call.
func Calls() []string { return slices.Sorted(maps.Keys(operations)) }

var mux = newMux()

func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for name, do := range operations {
		method, path, _ := strings.Cut(name, " ")
		mux.Handle(method+" "+adminapi.Path+path, do)
	}
	return mux
}

// crossOrigin refuses requests that would change something and that a browser sends
// for another website. Caddy's own check allows all configured origins. Clients that
// are not browsers, such as the command, send no origin and pass.
var crossOrigin = http.NewCrossOriginProtection()

// Handler returns the API and the dashboard. Each call asks for the gateway of the
// running configuration, because a failed reload leaves Caddy's admin endpoint with
// the routes of a configuration that never ran. So it does for the log of calls that
// change something.
func Handler(active func() (*Gateway, error), audit func() *zap.Logger) caddy.AdminHandler {
	return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		c := &call{ResponseWriter: w, r: r, active: active}
		err := c.serve()
		c.audit(audit(), err)
		return err
	})
}

// serve answers the call, or returns the error to answer with.
func (c *call) serve() error {
	if name := strings.TrimPrefix(c.r.URL.Path, adminapi.Path); dashboard.Has(name) {
		return servePage(c.ResponseWriter, c.r, name)
	}
	c.Header().Set("Cache-Control", "no-store")
	c.Header().Set("X-Content-Type-Options", "nosniff")
	c.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	if _, pattern := mux.Handler(c.r); pattern == "" {
		return noCall(c.ResponseWriter, c.r)
	}
	mux.ServeHTTP(c, c.r)
	return c.failure()
}

// noCall answers a request that matches no call of the API, which the mux would
// answer in plain text.
func noCall(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, pattern := mux.Handler(&http.Request{Method: method, Host: r.Host, URL: r.URL}); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if allowed == nil {
		return nothingHere()
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return adminError(http.StatusMethodNotAllowed, "the method here is %s", strings.Join(allowed, " or "))
}

func nothingHere() error {
	return adminError(http.StatusNotFound, "there is nothing at this path: see %[1]swidgets and %[1]sstats, or open %[1]s in a browser", adminapi.Path)
}
