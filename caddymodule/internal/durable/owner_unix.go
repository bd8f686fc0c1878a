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

// BecomeOwner has a superuser's process go on as the user whose folder a file is in: the
// first on the path that is not root's. He could replace any name in it by a link at any
// moment, so that the superuser would write elsewhere, or give something else away. Where
// he cannot reach the folder himself, the process stays as it is.
func BecomeOwner(path string) error {
	path, err := filepath.Abs(path)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	for end := range path {
		if end == 0 || path[end] != filepath.Separator {
			continue
		}
		info, err := os.Lstat(path[:end])
		if err != nil {
			return nil // it is created within root's folders
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 0 {
			return become(int(owner.Uid), int(owner.Gid), path[:end])
		}
	}
	return nil
}

func become(uid, gid int, folder string) error {
	groups, err := syscall.Getgroups()
	if err != nil {
		return err
	}
	if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setegid(gid), syscall.Seteuid(uid)); err != nil {
		return fmt.Errorf("%s belongs to user %s, as whom this process cannot go on: run it as that user (%w)", folder, Owner(folder), err)
	}
	if _, err := os.Lstat(folder); err != nil {
		return errors.Join(syscall.Seteuid(0), syscall.Setegid(0), syscall.Setgroups(groups))
	}
	return nil
}

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
