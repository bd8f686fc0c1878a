package adminapi

import (
	"cmp"
	"runtime/debug"
)

const modulePath = "github.com/chatidentity/caddy-chat-identity"

// Version is the version of this module that was built into the process.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == modulePath {
			return cmp.Or(cmp.Or(m.Replace, m).Version, "(devel)")
		}
	}
	return "(devel)"
}
