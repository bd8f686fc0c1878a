package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// What can be wrong with a file beside what it says.
var (
	errGone      = errors.New("the file is gone")
	errDangling  = errors.New("it is a symbolic link to a file that is not there")
	errIrregular = errors.New("it is not a regular file")
)

// unreadable says what to do about a file that cannot be used.
func unreadable(err error) error {
	var wrong *damage
	remedy := "see to it that this process can read the file"
	switch {
	case errors.Is(err, errGone):
		remedy = "put it back, from a backup if need be; to begin with no widgets, remove its lock, too, and restart"
	case errors.Is(err, errDangling):
		remedy = "put the file back, or mount what it is on"
	case errors.Is(err, errNewer):
		remedy = "run a version that is at least as new"
	case errors.As(err, &wrong):
		remedy = "restore the file from a backup"
	case errors.Is(err, fs.ErrPermission):
		remedy = "the file must belong to the user that this process runs as, and its folders be open to him"
	}
	return fmt.Errorf("%w: %w: %s", widgets.ErrUnavailable, err, remedy)
}

// unwritable says what to do about a change that could not be written.
func unwritable(err error) error {
	remedy := "see to it that this process can make files in the folder"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = "free some space on the disk"
	case errors.Is(err, syscall.EROFS):
		remedy = "the file system is mounted for reading only: put the file on one that is not"
	case errors.Is(err, syscall.EFBIG):
		remedy = "raise the limit on the size of files for this process (ulimit -f)"
	case errors.Is(err, fs.ErrPermission):
		remedy = "the folder and what is in it must belong to the user that this process runs as"
	}
	return fmt.Errorf("%w: %w: %s", widgets.ErrUnwritable, err, remedy)
}

// lacksDisk reports whether a change could not be written for want of the disk.
// Rights, and what is mounted for reading only, may be meant so: a gateway that
// only reads is not in trouble for having been asked to write.
func lacksDisk(err error) bool {
	return errors.Is(err, widgets.ErrUnwritable) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		errors.Is(err, syscall.EFBIG) || errors.Is(err, syscall.EIO))
}

// unsure says that a change is there, but not yet for good.
func unsure(err error) error {
	return fmt.Errorf("%w: the change is in effect, but may not survive a power cut: %w: "+
		"see to it that this process can open the folder, then make any other change", widgets.ErrUnavailable, err)
}
