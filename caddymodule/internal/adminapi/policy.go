package adminapi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// CheckMode refuses a mode that does not exist.
func CheckMode(mode string) error {
	if slices.Contains(traffic.Modes[:], mode) {
		return nil
	}
	return fmt.Errorf("unknown mode '%s': one of %s", mode, strings.Join(traffic.Modes[:], ", "))
}

// CheckDialect refuses a dialect that does not exist.
func CheckDialect(name string) error {
	_, err := verifier.LookupDialect(name)
	return err
}

// Dialects lists the dialects for help texts and errors.
func Dialects() string {
	names := make([]string, len(verifier.Dialects))
	for i, d := range verifier.Dialects {
		names[i] = d.Name
	}
	return strings.Join(names, ", ")
}
