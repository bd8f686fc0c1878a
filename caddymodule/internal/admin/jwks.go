package admin

import (
	"encoding/json"
	"net/http"
)

// jwks answers with the public keys of assertions. Pages of other origins read them at
// jwks_path of a site.
func (c *call) jwks() error {
	keys, err := c.JWKS(c.r.Context())
	if err != nil {
		return adminError(http.StatusServiceUnavailable, "%s", Plain(err))
	}
	c.Header().Set("Cache-Control", "public, max-age=300")
	return c.answerAs("application/jwk-set+json", http.StatusOK, json.RawMessage(keys))
}
