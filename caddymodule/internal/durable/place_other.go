//go:build !linux

package durable

// Replaceable returns nil: only Linux tells without trying.
func Replaceable(string) error { return nil }

// Kernel reports false: only Linux tells.
func Kernel(string) bool { return false }
