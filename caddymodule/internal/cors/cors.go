// Package cors lets scripts of other origins read this module's own answers, not an
// upstream's (https://fetch.spec.whatwg.org/#http-cors-protocol).
package cors

import (
	"net/http"
	"slices"
)

// Origins are the origins whose scripts may read the answers; * is any origin.
type Origins []string

// Check refuses an origin that no browser would send.
func (o Origins) Check() error {
	for _, origin := range o {
		if err := check(origin); err != nil {
			return err
		}
	}
	return nil
}

// IsPreflight reports whether the request is a preflight.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 && len(r.Header["Access-Control-Request-Method"]) > 0
}

// Allow sets the headers of an answer that let the request's origin read it, if it is one
// of these.
func (o Origins) Allow(header http.Header, r *http.Request) {
	if len(o) == 0 {
		return
	}
	header.Add("Vary", "Origin")
	origins := r.Header["Origin"]
	if len(origins) != 1 {
		return
	}
	switch {
	case slices.Contains(o, origins[0]):
		header.Set("Access-Control-Allow-Origin", origins[0])
		header.Set("Access-Control-Allow-Credentials", "true")
	case slices.Contains(o, "*"):
		header.Set("Access-Control-Allow-Origin", "*")
	default:
		return
	}
	header.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
}

// AnswerPreflight lets pages of these origins send a POST with any headers.
func (o Origins) AnswerPreflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	o.Allow(header, r)
	if header.Get("Access-Control-Allow-Origin") != "" {
		header.Set("Access-Control-Allow-Methods", http.MethodPost)
		header.Set("Access-Control-Max-Age", "600")
		for _, asked := range r.Header["Access-Control-Request-Headers"] {
			header.Add("Access-Control-Allow-Headers", asked)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
