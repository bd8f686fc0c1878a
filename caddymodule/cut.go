package caddymodule

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// withoutClaim removes the user id and what should have proved it from a
// request that is not verified, so that no upstream can believe them.
func (x *exchange) withoutClaim() {
	if x.h.Unverified == claimKeep {
		return
	}
	x.cut()
	if x.widget != nil || x.h.single != nil {
		return
	}
	// Nobody knows whose request it is: a backend may read it in the dialect of
	// any widget.
	for i := range verifier.Dialects {
		dialect := verifier.Dialects[i].Name
		if x.h.plans[dialect] == nil || dialect == x.h.Dialect || !x.h.widgets.speaks(dialect) {
			continue
		}
		x.plan = x.h.plans[dialect]
		x.reading.Reset()
		x.readHead()
		x.parseBody()
		if x.cut(); x.body.parsed && x.unclearForm() {
			// What cannot be read in one way cannot be cut in one, and of this
			// dialect nobody has refused it.
			x.discardBody()
		}
	}
}

// unclearForm reports whether the body cannot be read, or is a form that can be
// read in two ways. Of a JSON text whatever could be read is known.
func (x *exchange) unclearForm() bool {
	const json = body.KindJSON | body.KindFramed
	return x.reading.Err() != nil || x.body.declared.Kinds&^json != 0 && !x.reading.Plain()
}

// cut removes what the plan's reader has found, if that is a claim.
func (x *exchange) cut() {
	if !x.reading.HasProof() {
		return
	}
	x.cutHead()
	if x.body.parsed {
		body.Cut(x.body.Body, x.reading.BodyCuts)
	}
}

// cutHead removes the claim from the query, the headers and the cookies.
func (x *exchange) cutHead() {
	x.cutQuery()
	for i := range x.plan.headers {
		place := &x.plan.headers[i]
		if !x.plan.cuts(place.Field) {
			continue
		}
		place.Cut(x.r.Header)
	}
	for i := range x.plan.cookies {
		if place := &x.plan.cookies[i]; x.plan.cuts(place.Field) {
			place.Cut(x.r.Header)
		}
	}
}

// cutQuery removes the claim from the query, and from the one that the request
// came with, to which Caddy returns for its error routes.
func (x *exchange) cutQuery() {
	r := x.r
	query := x.withoutClaimIn(r.URL.RawQuery)
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	changed := query != r.URL.RawQuery
	r.URL.RawQuery = query
	if ok && original.URL != nil {
		query = x.withoutClaimIn(original.URL.RawQuery)
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
		// Where a handler before this one has copied the request, the server's has the original URI still.
		if repl, known := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); known {
			repl.Set("http.request.orig_uri", original.RequestURI)
		}
	}
}

// withoutClaimIn returns a query without the claim. One that cannot be read, or
// has more of it than is kept, is given up as a whole.
func (x *exchange) withoutClaimIn(query string) string {
	if query == "" {
		return ""
	}
	var reading verifier.Reading
	x.plan.verifier.Query([]byte(query), &reading)
	if reading.Err() != nil {
		return ""
	}
	if len(reading.QueryCuts) == 0 {
		return query
	}
	return string(reading.WithoutQuery([]byte(query)))
}

func withQuery(uri, query string) string {
	path, _, _ := strings.Cut(uri, "?")
	if query == "" {
		return path
	}
	return path + "?" + query
}
