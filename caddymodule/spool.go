package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// What the temporary files of multipart bodies may take together, in bytes.
const (
	defaultMaxSpool  = 4 << 30
	leastMaxSpool    = 8 << 20
	largestMaxSpool  = 1 << 50
	spoolClientShare = 8 // one client address holds at most an eighth
)

// provisionSpool settles where the temporary files of multipart bodies lie. A folder
// that is configured must be there, or multipart bodies would be refused one by one
// later; the system's is looked at when it is needed, since many never need it.
func (a *App) provisionSpool() error {
	if a.MaxSpool == 0 {
		a.MaxSpool = defaultMaxSpool
	}
	if a.MaxSpool < leastMaxSpool || a.MaxSpool > largestMaxSpool {
		return fmt.Errorf("max_spool: %d bytes is not from 8 MiB to 1 PiB", a.MaxSpool)
	}
	if a.Spool == "" {
		return nil
	}
	dir, err := caddy.NewReplacer().ReplaceOrErr(a.Spool, true, true)
	if err == nil {
		err = checkPath(dir)
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err == nil {
		err = checkSpool(dir)
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	a.Spool = dir
	return nil
}

// checkSpool returns what is wrong with a folder for temporary files, if anything,
// and what to do about it.
func checkSpool(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: create it, owned by the user that Caddy runs as, or leave the option out for the system's temporary folder", dir)
	case err != nil:
		return fmt.Errorf("the folder %s cannot be looked at: %w", dir, err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: name one for temporary files", dir)
	}
	file, err := os.CreateTemp(dir, ".chat_identity-*")
	if err != nil {
		return fmt.Errorf("no file can be created in %s: let the user that Caddy runs as write there, or name another folder: %w", dir, err)
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// warnUpload warns of a max_upload for which one client never gets the room.
func (h *Handler) warnUpload() {
	if share := h.app.MaxSpool / spoolClientShare; h.MaxUpload > share && !h.Guard {
		h.log.zap.Warn("max_upload is more than one client may have of max_spool, of which it is an eighth: larger multipart bodies get 503. Raise max_spool",
			zap.Int64("max_upload", h.MaxUpload), zap.Int64("share", share))
	}
}
