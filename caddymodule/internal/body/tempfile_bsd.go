//go:build unix && !linux

package body

import "os"

func createNameless(dir string) (*os.File, error) { return createUnlinked(dir) }

// InMemory reports whether what is written to that folder is kept in memory. It
// can be told on Linux only.
func InMemory(string) bool { return false }

// allocate is an optimization, on Linux only.
func allocate(*os.File, int64, int64) {}
