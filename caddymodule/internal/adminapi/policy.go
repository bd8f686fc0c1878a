package adminapi

import (
	"strings"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// Dialects lists the dialects for help texts and errors.
func Dialects() string {
	names := make([]string, len(verifier.Dialects))
	for i, d := range verifier.Dialects {
		names[i] = d.Name
	}
	return strings.Join(names, ", ")
}
