package demo

import (
	"encoding/json"
	"io/fs"
	"net/http"
)

// Website serves a page besides the routes that it is given. The page loads nothing from
// other origins and runs no inline script, so the policy forbids both.
func Website(routes *http.ServeMux, page fs.FS) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err)
	}
	routes.Handle("GET /", http.FileServerFS(files))
	guarded := http.NewCrossOriginProtection().Handler(routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})
}

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
