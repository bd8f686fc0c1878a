// Package admin is the module's part of Caddy's admin endpoint: the API for
// widgets and what is counted of them, and the dashboard that uses it.
package admin

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/admin/dashboard"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// mux routes the calls of the API by method and path.
var mux = newMux(map[string]operation{
	"GET widgets":                (*call).list,
	"POST widgets":               (*call).create,
	"GET widgets/{id}":           (*call).show,
	"PATCH widgets/{id}":         (*call).set,
	"DELETE widgets/{id}":        (*call).delete,
	"POST widgets/{id}/rotate":   (*call).rotate,
	"POST widgets/{id}/reveal":   (*call).reveal,
	"GET widgets/{id}/readiness": (*call).readiness,
	"POST reseal":                (*call).reseal,
	"POST store/accept-loss":     (*call).acceptStoreLoss,
	"POST ledger/accept-loss":    (*call).acceptLoss,
	"GET health":                 (*call).health,
	"GET export":                 (*call).export,
	"POST import":                (*call).importRecords,
	"GET overview":               (*call).overview,
	"GET stats":                  (*call).stats,
	"GET history":                (*call).history,
	"GET snippets":               (*call).snippets,
})

func newMux(operations map[string]operation) *http.ServeMux {
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
// the routes of a configuration that never ran.
func Handler(active func() (*Gateway, error)) caddy.AdminHandler {
	return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if err := crossOrigin.Check(r); err != nil {
			return adminError(http.StatusForbidden, "this request changes something and comes from a page of another origin")
		}
		if name := strings.TrimPrefix(r.URL.Path, adminapi.Path); dashboard.Has(name) {
			return servePage(w, r, name)
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		if _, pattern := mux.Handler(r); pattern == "" {
			return noCall(w, r)
		}
		gateway, err := active()
		if err != nil {
			return adminError(http.StatusServiceUnavailable, "%v", err)
		}
		c := &call{ResponseWriter: w, Gateway: gateway}
		mux.ServeHTTP(c, r)
		return c.failure()
	})
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
