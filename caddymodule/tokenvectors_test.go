package caddymodule

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// tokenVector is a token of the library's testdata/tokens.json.
type tokenVector struct {
	Name, Token, Key, JWKS, Expect string
	KeyEncoding                    string `json:"key_encoding"`
	JWK                            json.RawMessage
}

func tokenVectors(t *testing.T) (all []tokenVector, set json.RawMessage) {
	t.Helper()
	var vectors struct {
		Key       string          `json:"derived_jwt_key"`
		Set       json.RawMessage `json:"jwks_centrifugo"`
		Published []tokenVector   `json:"published_jwt"`
		Derived   []tokenVector   `json:"derived_jwt"`
	}
	must(t, json.Unmarshal(read(t, "../verifier/testdata/tokens.json"), &vectors))
	for i := range vectors.Derived {
		vectors.Derived[i].Key, vectors.Derived[i].KeyEncoding = vectors.Key, "text"
	}
	return append(vectors.Published, vectors.Derived...), vectors.Set
}

// verdictOf returns what a vector's "expect" says.
func (v *tokenVector) verdictOf(t *testing.T) string {
	t.Helper()
	for text, verdict := range map[string]string{
		"verified": "verified", "accept": "verified", "signature valid": "verified",
		"refused as a spelling": "malformed", "malformed": "malformed", "expired": "expired", "invalid": "invalid",
	} {
		if strings.HasPrefix(v.Expect, text) {
			return verdict
		}
	}
	t.Fatalf("%s: unknown: %s", v.Name, v.Expect)
	return ""
}

// publicOf returns the first key of a set, in PEM.
func publicOf(t *testing.T, text json.RawMessage) string {
	t.Helper()
	var set jose.JSONWebKeySet
	must(t, json.Unmarshal(text, &set))
	der, err := x509.MarshalPKIXPublicKey(set.Keys[0].Key)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestTokenVectors sends tokens that others have published, and ours, through a gateway.
func TestTokenVectors(t *testing.T) {
	all, centrifugo := tokenVectors(t)
	var site strings.Builder
	for i, v := range all {
		fmt.Fprintf(&site, "chat_identity /%d/* required {\nwidget vector-%d\nclaim token query user_token\nproof token\n", i, i)
		rules := "no_expiry\nmax_lifetime 1000000h\nuser_id /sub /user_id /iss /name\n"
		if strings.Contains(v.Expect, "max_lifetime") {
			rules = strings.Replace(rules, "max_lifetime 1000000h\n", "", 1)
		}
		if v.Name == "centrifugo jwtArrayAud" {
			rules += "require /aud bar nobody\n"
		}
		set, algorithm := centrifugo, "RS256"
		if v.JWK != nil {
			set, algorithm = json.RawMessage(`{"keys":[`+string(v.JWK)+`]}`), "ES256"
		}
		switch {
		case v.Key == "":
			// These tokens have neither issuer nor audience, which a key set demands.
			fmt.Fprintf(&site, "public_key %s\ntoken {\nalgorithm %s\n%s}\n", base64.StdEncoding.EncodeToString([]byte(publicOf(t, set))), algorithm, rules)
		case v.KeyEncoding == "text" && len(v.Key) < 16:
			// NUL bytes behind an HMAC's key do not change it (RFC 2104).
			fmt.Fprintf(&site, "secret %s\nkey_encoding hex\ntoken {\n%s}\n", hex.EncodeToString(append([]byte(v.Key), make([]byte, 16)...)), rules)
		default:
			fmt.Fprintf(&site, "secret %s\nkey_encoding %s\ntoken {\n%s}\n", v.Key, v.KeyEncoding, rules)
		}
		site.WriteString("}\n")
	}
	g := chat(t, site.String())
	for i, v := range all {
		a := g.do(t, "GET", fmt.Sprintf("/%d/chat?user_token=%s", i, url.QueryEscape(v.Token)), "")
		got := string(a.problem(t).Reason)
		if a.seen != nil {
			got = a.seen.Header.Get("X-Identity-Outcome")
		}
		equal(t, got, v.verdictOf(t), "%s (%s)", v.Name, v.Expect)
	}
}
