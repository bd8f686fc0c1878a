// Package signing has the signers of claims, one a language, that the dashboard shows.
package signing

import "embed"

// Sources are the signers. A line that begins a section of one begins with a comment and
// three hyphens.
//
//go:embed sign.js sign.py sign.php sign.rb go/main.go
var Sources embed.FS
