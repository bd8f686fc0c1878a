package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/filestore"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

func init() {
	caddy.RegisterModule(new(FileWidgets))
}

// FileWidgets stores chat widgets in a file, with encrypted secrets.
//
// Every change is written to a new file, which then replaces the old one. Several processes may share the file: a change
// by another is noticed within a second. A file that is damaged or missing counts as unreachable, and so does one to which
// the last change could not be written; what was read last is served until that is repaired.
type FileWidgets struct {
	// The file's path. Default: `chat_identity/widgets.jsonl` in Caddy's data directory.
	Path string `json:"path,omitempty"`

	pooled[*filestore.Store]
}

// CaddyModule returns the Caddy module information.
func (*FileWidgets) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "chat_identity.widgets.file",
		New: func() caddy.Module { return new(FileWidgets) },
	}
}

// Provision reads the file. It creates none.
func (f *FileWidgets) Provision(ctx caddy.Context) error {
	path, err := resolvePath(f.Path, "widgets.jsonl")
	if err != nil {
		return err
	}
	f.Path = path
	return f.take(path, func() (*filestore.Store, error) {
		return filestore.Open(filestore.Options{
			Path: path, Note: storeNote(path),
			// Not the context's logger: the file outlives the configuration.
			Log:     caddy.Log().Named("chat_identity.widgets.file"),
			Changed: storeChanged,
		}), nil
	})
}

// storeNote is the note in Caddy's data directory about the store at that place. A
// configuration that is only validated, perhaps by another user, writes none.
func storeNote(place string) durable.Note {
	sum := sha256.Sum256([]byte(place))
	return durable.Note{Path: dataPath("widgets-" + hex.EncodeToString(sum[:8])), May: func() bool {
		_, err := activeApp()
		return err == nil
	}}
}

// storeChanged checks the store after another process has changed it.
func storeChanged() {
	if app, err := activeApp(); err == nil {
		app.checkStore()
	}
}

// Store implements [WidgetStore]. The store serves what it read last without a time limit.
func (f *FileWidgets) Store(time.Duration) (widgets.Store, error) { return f.shared, nil }

// UnmarshalCaddyfile sets up the store. Syntax:
//
//	widgets file [<path>]
func (f *FileWidgets) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return pathArg(d, "widgets file", &f.Path)
}

// pathArg takes the optional path of a file.
func pathArg(d *caddyfile.Dispenser, option string, to *string) error {
	d.Next() // the kind
	if args := d.RemainingArgs(); len(args) == 1 {
		*to = args[0]
		if err := checkPath(*to); err != nil {
			return err
		}
	} else if len(args) > 1 {
		return fmt.Errorf("%s takes one path: quote it if it has spaces", option)
	}
	if d.NextBlock(0) {
		return fmt.Errorf("%s has no block: the path follows it", option)
	}
	return nil
}

// resolvePath replaces a path's placeholders and makes it absolute. An empty path is the
// file of that name in Caddy's data directory.
func resolvePath(path, name string) (string, error) {
	if path == "" {
		path = dataPath(name)
	}
	resolved, err := caddy.NewReplacer().ReplaceOrErr(path, true, true)
	if err != nil {
		return "", fmt.Errorf("a variable in the path %s is not set or is empty: set it for the process that runs Caddy", path)
	}
	return filepath.Abs(resolved)
}

// checkPath refuses a path that is probably a mistake.
func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("the path is empty, as a variable leaves it that is not set: write the path")
	case strings.HasPrefix(path, "~"):
		return errors.New("a path that begins with ~ is not expanded here: write it out")
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*FileWidgets)(nil)
	_ caddy.CleanerUpper    = (*FileWidgets)(nil)
	_ caddyfile.Unmarshaler = (*FileWidgets)(nil)
	_ WidgetStore           = (*FileWidgets)(nil)
)
