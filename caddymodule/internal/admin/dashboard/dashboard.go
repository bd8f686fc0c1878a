// Package dashboard is the page for managing chat widgets, and the code samples for
// signing that it shows. It depends neither on Caddy nor on the admin API. The page
// calls the API by relative URLs, so it works wherever it is mounted.
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

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

//go:embed page
var embedded embed.FS

// file is a part of the page.
type file struct {
	content []byte
	kind    string // its media type
	etag    string
}

// files are the parts by their path below the page, which itself is "".
var files = load()

// kinds are the media types of the page's files. The system's own table may differ.
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
		if name == "page/assets/dialog.js" {
			var names []string
			for _, d := range verifier.Dialects {
				names = append(names, "'"+d.Name+"'")
			}
			content = bytes.Replace(content, []byte("'bookbag'"), []byte(strings.Join(names, ", ")), 1)
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
		panic(err) // the files are compiled in
	}
	return found
}

// policy is the page's Content-Security-Policy: only its own scripts, styles and
// calls, no text that becomes script, and no frame around it. Its only image is an
// icon in a data URL, because Caddy's admin endpoint refuses requests with
// Sec-Fetch-Mode: no-cors, which is how browsers load images.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// Serve answers a GET or HEAD request for a part that the page has.
func Serve(w http.ResponseWriter, r *http.Request, name string) {
	f, h := files[name], w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	// Caddy's admin endpoint checks the referrer of requests without an Origin, such
	// as a browser's GET requests.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// Has reports whether the page has a part with that path below it; "" is the page.
func Has(name string) bool { return files[name] != nil }
