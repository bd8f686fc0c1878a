//go:build unix

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// KeepOwner gives a new file the owner, group and mode of the one at the path, which it is
// to replace, or, if there is none, the owner of its folder, as [Adopt] does.
func KeepOwner(fresh *os.File, path string) error {
	replaced, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Adopt(fresh, filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	if err := give(fresh, replaced); err != nil {
		return fmt.Errorf("%s belongs to user %s and group %d, to whom this process cannot give the file that would replace it: %w",
			path, Owner(path), replaced.Sys().(*syscall.Stat_t).Gid, err)
	}
	return fresh.Chmod(replaced.Mode().Perm())
}

// Owner returns the name of the user to whom a file belongs, or, where this process cannot see
// it, the lowest folder above it that it can see.
func Owner(path string) string {
	info, err := os.Stat(path)
	for err != nil && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		info, err = os.Stat(path)
	}
	if err != nil {
		return "unknown"
	}
	uid := strconv.FormatUint(uint64(info.Sys().(*syscall.Stat_t).Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// Adopt gives what the superuser creates in a folder the folder's owner and group: whoever
// works in that folder has to be able to read it.
func Adopt(fresh *os.File, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	parent, err := os.Stat(folder)
	if err != nil {
		return err
	}
	_ = give(fresh, parent) // a superuser in a container may lack the right
	return nil
}

// give changes the owner and group unless they are right.
func give(f *os.File, like fs.FileInfo) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	want, have := like.Sys().(*syscall.Stat_t), info.Sys().(*syscall.Stat_t)
	if want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
