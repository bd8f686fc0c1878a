//go:build unix

package caddymodule

import "golang.org/x/sys/unix"

// writable reports why this process may not write to a file or into a folder.
func writable(path string) error { return unix.Access(path, unix.W_OK) }
