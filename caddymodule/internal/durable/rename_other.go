//go:build !windows

package durable

import "os"

// Rename gives a file its name, and replaces the one that has it.
func Rename(from, to string) error { return os.Rename(from, to) }
