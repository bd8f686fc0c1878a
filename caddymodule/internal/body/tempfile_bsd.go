//go:build unix && !linux

package body

import "os"

func createNameless(dir string) (*os.File, error) { return createUnlinked(dir) }

// InMemory reports whether a folder's files are held in memory. Only Linux tells.
func InMemory(string) bool { return false }

// allocate is an optimization, on Linux only.
func allocate(*os.File, int64, int64) {}
