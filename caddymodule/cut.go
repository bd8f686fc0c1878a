package caddymodule

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// withoutClaim removes the user id and its proof from an unverified request, so that no
// upstream can believe them.
func (x *exchange) withoutClaim() {
	if x.h.Unverified == claimKeep {
		return
	}
	x.cut(x.plan)
	if x.widget != nil || x.h.single != nil {
		return
	}
	// The request has no known widget, so a backend may read it in any widget's dialect.
	for i := range verifier.Dialects {
		dialect := verifier.Dialects[i].Name
		p := x.h.plans[dialect]
		if p == nil || dialect == x.h.Dialect || !x.h.app.speaks(dialect) {
			continue
		}
		x.reading.Reset()
		x.readHead(p)
		body := p.places.InBody()
		if body {
			x.body.Parse(p.places, &x.reading)
		}
		if x.cut(p); body && x.body.Unclear(&x.reading) {
			// It was not refused in this dialect, but what is ambiguous cannot be cut.
			x.body.Discard(x.r)
		}
	}
}

// cut removes what was read by the plan, if it has a proof.
func (x *exchange) cut(p *plan) {
	if !x.reading.HasProof() {
		return
	}
	cutQuery(x.r, p.places)
	p.places.CutHead(x.r.Header, p.cuts)
	x.body.Cut(&x.reading)
}

// cutQuery removes the claim from the query, and from the original one, which Caddy
// restores for its error routes.
func cutQuery(r *http.Request, p *intake.Places) {
	query := p.CutQuery(r.URL.RawQuery)
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	changed := query != r.URL.RawQuery
	r.URL.RawQuery = query
	if ok && original.URL != nil {
		query = p.CutQuery(original.URL.RawQuery)
		changed = changed || query != original.URL.RawQuery
		original.URL.RawQuery = query
	}
	if !changed {
		return
	}
	r.RequestURI = withQuery(r.RequestURI, r.URL.RawQuery)
	if ok {
		original.RequestURI = withQuery(original.RequestURI, query)
		*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
		// If an earlier handler copied the request, the server's still has the original URI.
		if repl, known := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); known {
			repl.Set("http.request.orig_uri", original.RequestURI)
		}
	}
}

func withQuery(uri, query string) string {
	path, _, _ := strings.Cut(uri, "?")
	return strings.TrimSuffix(path+"?"+query, "?")
}
