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
	x.cut(x.plan.places, &x.reading, x.plan.cuts)
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
		if x.cut(p.places, &x.reading, p.cuts); body && x.body.Unclear(&x.reading) {
			// It was not refused in this dialect, but what is ambiguous cannot be cut.
			x.body.Discard(x.r)
		}
	}
}

// withoutUnjudged removes proofs that did not count from a request of a known widget, so that
// no upstream can believe what nobody has verified: a signature beside the token, a token
// beside the signature, and one in the handler's dialect that the widget's does not read.
func (x *exchange) withoutUnjudged() {
	if x.h.Unverified == claimKeep || x.widget == nil {
		return
	}
	verified, byToken := x.claim == nil, x.identity.ByToken()
	if verified && byToken && x.plan.signatures != nil && x.reading.Has(verifier.Signature) {
		x.cutOnly(x.plan.signatures, "")
	}
	if verified && !byToken && x.reading.Has(verifier.TokenField) {
		x.cutOnly(x.plan.tokens, "")
	}
	if x.plan != x.h.plan && x.h.plan.tokens != nil {
		judged := ""
		if verified && byToken {
			judged = string(x.reading.Single(verifier.TokenField))
		}
		x.cutOnly(x.h.plan.tokens, judged)
	}
}

// cutOnly removes what is found in those places, unless it is the token that was judged.
func (x *exchange) cutOnly(p *intake.Places, judged string) {
	found := &x.named // which is free by now
	defer empty(found)
	p.ReadHead(x.r, found)
	if p.InBody() {
		x.body.Parse(p, found)
	}
	if judged == "" || string(found.Single(verifier.TokenField)) != judged {
		x.cut(p, found, verifier.Field.Proves)
	}
}

// cut removes what was read in those places, if there is a proof.
func (x *exchange) cut(p *intake.Places, read *verifier.Reading, cuts func(verifier.Field) bool) {
	if !read.HasProof() {
		return
	}
	cutQuery(x.r, p)
	p.CutHead(x.r.Header, cuts)
	x.body.Cut(read)
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
