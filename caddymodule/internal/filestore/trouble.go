package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// What can be wrong with a file besides its content.
var (
	errGone      = errors.New("the file is gone")
	errDangling  = errors.New("it is a symbolic link to a file that is not there")
	errIrregular = errors.New("it is not a regular file")
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
	case errors.Is(err, errNewer):
		remedy = "run a version that is at least as new"
	case errors.As(err, &wrong):
		remedy = "restore the file from a backup"
	case errors.Is(err, fs.ErrPermission):
		remedy = "the file must belong to the user that this process runs as, who needs access to its folders"
	}
	return fmt.Errorf("%w: %w: %s", widgets.ErrUnavailable, err, remedy)
}

// unwritable tells an operator what to do about a change that could not be written.
func unwritable(err error) error {
	remedy := "make sure that this process can create files in the folder"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "free some space on the disk"
	case errors.Is(err, syscall.EROFS):
		remedy = "the file system is mounted read-only: put the file on a writable one"
	case errors.Is(err, syscall.EFBIG):
		remedy = "raise the limit on the size of files for this process (ulimit -f)"
	case errors.Is(err, fs.ErrPermission):
		remedy = "the folder and its content must belong to the user that this process runs as"
	}
	return fmt.Errorf("%w: %w: %s", widgets.ErrUnwritable, err, remedy)
}

// lacksDisk reports whether a change failed because of the disk. Missing rights and a
// read-only file system may be intended, for a gateway that only reads.
func lacksDisk(err error) bool {
	return errors.Is(err, widgets.ErrUnwritable) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		errors.Is(err, syscall.EFBIG) || errors.Is(err, syscall.EIO))
}

// unsure says that a change is visible but may not be durable.
func unsure(err error) error {
	return fmt.Errorf("%w: the change is in effect, but may not survive a power cut: %w: "+
		"make sure that this process can open the folder, then make any other change", widgets.ErrUnavailable, err)
}
