//go:build unix && !linux

package body

import "os"

func createNameless(dir string) (*os.File, error) { return createUnlinked(dir) }

// InMemory reports whether what is written to that folder is kept in memory. It
// can be told on Linux only.
func InMemory(string) bool { return false }
