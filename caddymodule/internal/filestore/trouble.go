package filestore

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// What can be wrong with a file besides its content.
var (
	errGone      = errors.New("the file is gone")
	errDangling  = errors.New("it is a symbolic link to a file that is not there")
	errIrregular = errors.New("it is a folder or a device, not a regular file")
)

// unreadable tells an operator what to do about a file that cannot be read. way is another
// one than a backup to have its widgets again, "" for none.
func unreadable(err error, way string) error {
	var wrong *damage
	remedy := "make sure that this process can read the file"
	switch {
	case errors.Is(err, errGone):
		remedy = cmp.Or(way, "put it back, or ") + "put a backup or an export in its place, or go on without its widgets (" + acceptance + ")"
	case errors.Is(err, errDangling):
		remedy = "put the file back, or mount its file system"
	case errors.Is(err, errIrregular):
		remedy = "name a file in it, or move what is there away"
	case errors.Is(err, errNewer):
		remedy = "run a version that is at least as new"
	case errors.As(err, &wrong):
		remedy = way + "restore the file from a backup or an export"
	}
	return fmt.Errorf("%w: widgets file: %w", widgets.ErrUnavailable, durable.Explain(err, remedy))
}

// unwritable tells an operator what to do about a change that could not be written.
func unwritable(err error) error {
	return fmt.Errorf("%w: widgets file: %w", widgets.ErrUnwritable, durable.Explain(err, "make sure that this process can create files in the folder"))
}

// unsure says that a change is visible but may not be durable.
func unsure(err error) error {
	return fmt.Errorf("%w: the change is in effect, but may not survive a power cut: widgets file: %w",
		widgets.ErrUnavailable, durable.Explain(err, "make sure that this process can open the folder, then make any other change"))
}
