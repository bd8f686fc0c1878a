//go:build !unix || solaris || aix || android

package boltledger

import "os"

// abandon closes a file that stays mapped. Here that lets go of its lock, too.
func abandon(file *os.File) error { return file.Close() }
