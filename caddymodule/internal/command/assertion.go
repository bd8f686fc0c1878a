package command

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// assertionHeader matches the name of the header, with which an assertion may have been copied.
var assertionHeader = regexp.MustCompile(`^\s*(?i:x-verified-assertion)\s*:\s*`)

// assertionRemedies tell the operator of a backend what to do, by the mistake's ID. The text
// of the mistake itself is for whoever signs claims.
var assertionRemedies = []struct{ mistake, text string }{
	{"alg_private", "no secret verifies it: pass the gateway's public keys, which are at its jwks_path, with --jwks"},
	{"unknown_kid", "its kid names no key of this set: read the gateway's jwks_path again, as a backend does when it meets a kid that it does not know. If it is not there either, the assertion is another gateway's"},
	{"other_kid", "its kid names no key of this set, though one of them has signed it: the set was changed, so read the gateway's jwks_path again"},
	{"require_aud", "its aud is not the one that is required: a backend demands exactly what the gateway's option 'assertion' says"},
	{"require_iss", "its iss is not the one that is required: a backend demands exactly what 'issuer' in the gateway's global assertion block says, by default chat-identity"},
	{"token_expired", "it has expired: take one of a new request. If it had just arrived, the backend's clock is ahead of the gateway's: set both by NTP, and let the backend allow 30 seconds"},
	{"iat_", "its iat is ahead of this machine's clock: set the clocks of gateway and backend by NTP, and let the backend allow 30 seconds"},
	{"no_user_id", "it has no sub, since the gateway has not verified the request: it is a visitor's, which a backend answers without a user rather than refuse it"},
}

// ofGateway reports whether a token is an assertion that a gateway has signed for a backend.
func (t *tokenText) ofGateway() bool {
	var header struct{ Alg, Typ, Kid string }
	var claims struct {
		Iss, Aud, Outcome string
		Exp               json.Number
	}
	return t != nil && json.Unmarshal(t.Header, &header) == nil && json.Unmarshal(t.Claims, &claims) == nil &&
		header.Alg == "ES256" && header.Typ == "JWT" && header.Kid != "" && claims.Iss != "" && claims.Aud != "" && claims.Outcome != "" && claims.Exp != ""
}

// explainAssertion names what is wrong with an assertion that does not verify.
func (e *explanation) explainAssertion() {
	say := func(id, text string) {
		e.Mistake = &mistake{"assertion_" + strings.Trim(id, "_"), "This is an assertion of a gateway, and " + text + "."}
	}
	if e.Mistake == nil && e.Reason == judgment.Invalid {
		say("signature", "the key that its kid names has not signed this text: it was copied incompletely, or changed on its way")
		return
	}
	for _, r := range assertionRemedies {
		if e.Mistake != nil && strings.Contains(e.Mistake.ID, r.mistake) {
			say(r.mistake, r.text)
			return
		}
	}
}
