//go:build !unix

package durable

import "os"

// KeepOwner does nothing: here, the folder decides who may read a file.
func KeepOwner(*os.File, string) error { return nil }

// Owner cannot be told here.
func Owner(string) string { return "its owner" }

// Adopt does nothing either.
func Adopt(*os.File, string) error { return nil }

// BecomeOwner does nothing where a process has one user.
func BecomeOwner(string) error { return nil }
