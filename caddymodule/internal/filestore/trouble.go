package filestore

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// What can be wrong with a file besides its content.
var (
	errGone      = errors.New("the file is gone")
	errDangling  = errors.New("it is a symbolic link to a file that is not there")
	errIrregular = errors.New("it is a folder or a device, not a regular file")
)

// unreadable tells an operator what to do about a file that cannot be read.
func unreadable(err error) error {
	var wrong *damage
	remedy := "make sure that this process can read the file"
	switch {
	case errors.Is(err, errGone):
		remedy = "put it back, from a backup if necessary, or go on without its widgets (" + acceptance + ")"
	case errors.Is(err, errDangling):
		remedy = "put the file back, or mount its file system"
	case errors.Is(err, errIrregular):
		remedy = "name a file in it, or move what is there away"
	case errors.Is(err, errNewer):
		remedy = "run a version that is at least as new"
	case errors.As(err, &wrong):
		remedy = "restore the file from a backup"
	}
	return fmt.Errorf("%w: widgets file: %w", widgets.ErrUnavailable, durable.Explain(err, remedy))
}

// unwritable tells an operator what to do about a change that could not be written.
func unwritable(err error) error {
	return fmt.Errorf("%w: widgets file: %w", widgets.ErrUnwritable, durable.Explain(err, "make sure that this process can create files in the folder"))
}

// lacksDisk reports whether a change failed because of the disk. Missing rights and a
// read-only file system may be intended, for a gateway that only reads.
func lacksDisk(err error) bool {
	return errors.Is(err, widgets.ErrUnwritable) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		errors.Is(err, syscall.EFBIG) || errors.Is(err, syscall.EIO))
}

// unsure says that a change is visible but may not be durable.
func unsure(err error) error {
	return fmt.Errorf("%w: the change is in effect, but may not survive a power cut: widgets file: %w",
		widgets.ErrUnavailable, durable.Explain(err, "make sure that this process can open the folder, then make any other change"))
}
