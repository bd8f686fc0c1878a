package sites

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// passingOn are the handlers that send a request to no upstream.
var passingOn = [...]string{
	"chat_identity", "encode", "error", "file_server", "headers", "log_append", "map", "request_body",
	"rewrite", "static_response", "templates", "vars",
}

// passesOn reports whether a handler is one of those.
func passesOn(handler caddyhttp.MiddlewareHandler) bool {
	module, ok := handler.(caddy.Module)
	return ok && slices.Contains(passingOn[:], strings.TrimPrefix(string(module.CaddyModule().ID), "http.handlers."))
}

// ErrorRoutesProxy reports whether the server's error routes may send the request to an
// upstream. Of their matchers only the host can be evaluated before the error is handled.
func ErrorRoutesProxy(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return true
	}
	if server.Errors == nil {
		return false
	}
	asked := []*http.Request{r}
	// Error routes have the original request, whose host a handler may have changed.
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.Host != r.Host {
		asked = append(asked, original.WithContext(r.Context()))
	}
	for i := range server.Errors.Routes {
		route := &server.Errors.Routes[i]
		matches := func(r *http.Request) bool { return hostMatches(route.MatcherSets, r) }
		if slices.ContainsFunc(asked, matches) && mayProxy(route.Handlers) {
			return true
		}
	}
	return false
}

// hostMatches reports whether a route's hosts match the request, or it has none.
func hostMatches(sets caddyhttp.MatcherSets, r *http.Request) bool {
	return len(sets) == 0 || slices.ContainsFunc(sets, func(set caddyhttp.MatcherSet) bool {
		return !slices.ContainsFunc(set, func(matcher any) bool {
			host, ok := matcher.(*caddyhttp.MatchHost)
			if !ok {
				return false
			}
			matched, err := host.MatchWithError(r)
			return !matched && err == nil
		})
	})
}

// mayProxy reports whether any handler, nested ones included, may send the request to an
// upstream. Unknown handlers may.
func mayProxy(handlers []caddyhttp.MiddlewareHandler) bool {
	within := func(routes caddyhttp.RouteList) bool {
		return slices.ContainsFunc(routes, func(route caddyhttp.Route) bool { return mayProxy(route.Handlers) })
	}
	return slices.ContainsFunc(handlers, func(handler caddyhttp.MiddlewareHandler) bool {
		if h, ok := handler.(*caddyhttp.Subroute); ok {
			return within(h.Routes) || h.Errors != nil && within(h.Errors.Routes)
		}
		return !passesOn(handler)
	})
}
