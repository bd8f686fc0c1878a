package adminapi

import (
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// CheckDialect refuses a dialect that does not exist.
func CheckDialect(name string) error {
	if _, known := verifier.LookupDialect(name); known {
		return nil
	}
	return fmt.Errorf("unknown dialect '%s': one of %s", name, verifier.DialectList())
}
