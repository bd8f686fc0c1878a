package durable

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"
)

// Fault is an error of a file as an operator reads it. It wraps that error.
type Fault struct {
	What   string // what is wrong
	Advice string // what an operator can do about it
	cause  error
}

func (f *Fault) Error() string { return f.What + ": " + f.Advice }
func (f *Fault) Unwrap() error { return f.cause }

// remedies are what to do about errors of the system, in the order in which they are looked
// for.
var remedies = []struct {
	causes []error
	what   string // in place of the error's text
	advice string
}{
	{[]error{context.DeadlineExceeded}, "it did not answer in time", "see whether the disk or the machine is overloaded"},
	{[]error{context.Canceled}, "the caller did not wait for its answer", "try again"},
	{[]error{syscall.ENOSPC, syscall.EDQUOT}, "", "free some space on the disk"},
	{[]error{syscall.EROFS}, "", "the file system is mounted read-only: put the file on a writable one"},
	{[]error{syscall.EBUSY, syscall.EXDEV}, "", "the file itself is mounted (as a bind mount or a volume of one file is) and cannot be replaced: " +
		"mount its folder in its place"},
	{[]error{syscall.EFBIG}, "", "raise the limit on the size of files for this process (ulimit -f)"},
	{[]error{syscall.EMFILE, syscall.ENFILE}, "", "raise the limit on open files for this process (ulimit -n)"},
	{[]error{syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG}, "", "correct the path in the configuration: it is that of a file in a folder"},
	{[]error{syscall.ENOLCK, syscall.ENOTSUP}, "", "put the file on a local disk: this file system has no locks"},
	{[]error{syscall.EIO}, "", "see the log of the system: the disk may be failing"},
	{[]error{fs.ErrPermission}, "", "the file and its folder must belong to the user that this process runs as, who needs access to the folders above"},
}

// Explain returns an error of a file with what to do: the remedy of its cause or, if that is
// none of the usual, the given one.
func Explain(err error, advice string) *Fault {
	for _, r := range remedies {
		if slices.ContainsFunc(r.causes, func(cause error) bool { return errors.Is(err, cause) }) {
			return &Fault{cmp.Or(r.what, err.Error()), r.advice, err}
		}
	}
	return &Fault{err.Error(), advice, err}
}
