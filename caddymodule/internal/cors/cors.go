// Package cors lets scripts of other origins read this module's own answers (CORS,
// https://fetch.spec.whatwg.org/#http-cors-protocol). What an upstream answers is the
// upstream's.
package cors

import (
	"net/http"
	"slices"
)

// Origins are those whose scripts may read the answers; * is every origin.
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

// IsPreflight reports whether the request is a browser's question whether it may
// send another.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 && len(r.Header["Access-Control-Request-Method"]) > 0
}

// Allow lets the request's origin read the answer with that header, if it is one
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

// AnswerPreflight tells a browser that a page of these origins may send a POST, with
// what headers it likes.
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
