package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
)

// largestMaxSpool bounds max_spool, in bytes: more is a typo.
const largestMaxSpool = 1 << 50

// provisionSpool determines where the temporary files of multipart bodies go. A
// configured folder must exist, or multipart bodies would be refused one by one later.
// The system's is not checked, since many sites never need it.
func (a *App) provisionSpool() error {
	a.MaxSpool = cmp.Or(a.MaxSpool, body.DefaultMaxSpool)
	if a.MaxSpool < 1 || a.MaxSpool > largestMaxSpool {
		return fmt.Errorf("max_spool: %d bytes is not from 1 byte to 1 PiB", a.MaxSpool)
	}
	if a.Spool != "" {
		err := checkPath(a.Spool)
		if err == nil {
			a.Spool, err = resolvePath(a.Spool, "")
		}
		if err == nil {
			err = checkSpool(a.Spool)
		}
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	err := a.sharedSpool.take("", func() (*body.Spool, error) { return new(body.Spool), nil }) // its files are their requests'
	a.spool = a.sharedSpool.shared
	return err
}

// useSpool puts the files where this configuration says.
func (a *App) useSpool() {
	a.spool.Configure(a.Spool, a.MaxSpool)
	a.checkSpoolFolder(a.spool.Dir())
}

// checkSpool reports why temporary files cannot be created in a folder, and what to do
// about it.
func checkSpool(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: create it, owned by the user that Caddy runs as, or leave the option out for the system's temporary folder", dir)
	case err != nil:
		return fmt.Errorf("the folder %s cannot be examined: %w", dir, err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: name one for temporary files", dir)
	}
	file, err := os.CreateTemp(dir, ".chat_identity-*")
	if err != nil {
		return fmt.Errorf("no file can be created in %s: let the user that Caddy runs as write there, or name another folder: %w", dir, err)
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
