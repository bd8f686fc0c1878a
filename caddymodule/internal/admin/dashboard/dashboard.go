// Package dashboard is the page for managing chat widgets, and the code samples for
// signing that it shows. It knows neither Caddy nor the admin API, which the page
// calls by relative URLs: it works wherever it is mounted.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed page
var embedded embed.FS

// file is a part of the page, as it is sent.
type file struct {
	content []byte
	kind    string // its media type
	etag    string
}

// files are the parts by their path below the page; the page itself is "".
var files = load()

// kinds are the media types of the page's files. The system's own table may lack
// them, or have others.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
}

func load() map[string]*file {
	found := make(map[string]*file)
	err := fs.WalkDir(embedded, "page", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		kind, known := kinds[path.Ext(name)]
		if !known {
			return fmt.Errorf("%s has no media type", name)
		}
		digest := sha256.Sum256(content)
		below := strings.TrimPrefix(name, "page/")
		if below == "index.html" {
			below = ""
		}
		found[below] = &file{content, kind, `"` + hex.EncodeToString(digest[:12]) + `"`}
		return nil
	})
	if err != nil {
		panic(err) // the files were embedded when this was compiled
	}
	return found
}

// policy is the page's Content-Security-Policy: its own scripts, styles and
// calls and nothing else, no text that becomes script, no frame around it. The
// one image is the icon, which the page holds itself: Caddy's admin endpoint
// refuses requests in the mode in which browsers load images.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// Serve answers a GET or HEAD request for a part of the page, by its path below
// the page: "" is the page. It reports whether there is such a part.
func Serve(w http.ResponseWriter, r *http.Request, name string) bool {
	f := files[name]
	if f == nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	// The page's own calls need a referrer: without an Origin, which browsers
	// leave out of GET requests, it is what Caddy's admin endpoint looks at.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
	return true
}

// Has reports whether the page has a part of that path.
func Has(name string) bool { return files[name] != nil }
