package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// tokenOf returns the token that sign has printed.
func tokenOf(t *testing.T, r run) string {
	t.Helper()
	found := printedToken.FindAllStringSubmatch(r.out, -1)
	if r.err != nil || len(found) != 1 {
		t.Fatalf("%+v", r)
	}
	return found[0][1]
}

var printedToken = regexp.MustCompile(`:"(ey[^"]+)"`)

// TestSignToken: what sign prints for each dialect with tokens verifies in it, as JSON and as
// the token alone.
func TestSignToken(t *testing.T) {
	key := newKeys(t, "RS256")
	tested := 0
	for _, d := range verifier.Dialects {
		if !d.TakesToken() {
			continue
		}
		tested++
		t.Run(d.Name, func(t *testing.T) {
			args, explain := []string{"sign", "--token", "--user", "zoë 42", "--dialect", d.Name}, []string{"--dialect", d.Name}
			secret := commandSecret
			if strings.Join(d.Token.Algorithms, "") == "RS256" {
				secret, explain = key.private, append(explain, "--public-key", key.file)
			}
			if d.Token.Email != "" {
				args = append(args, "--email", "z@example.org")
			}
			r := command(t, run{args: args, in: secret})
			for _, in := range []string{r.out, tokenOf(t, r), tokenOf(t, r) + "\n"} {
				e := run{args: explain, in: in}
				if secret == commandSecret {
					e.secret = secret
				}
				got, text := explained(t, e)
				if !got.Verified || got.User != "zoë 42" || got.Dialect != d.Name || !strings.Contains(text, "expires:   ") || !strings.Contains(text, ", in 59m") && !strings.Contains(text, ", in 1h\n") {
					t.Errorf("%+v\n%s", got, text)
				}
				if d.Token.Email != "" && !strings.Contains(text, "z@example.org") {
					t.Errorf("does not show the claims:\n%s", text)
				}
			}
		})
	}
	if tested == 0 {
		t.Error("there is no dialect with tokens")
	}
}

// newKeys are the two files of a new key.
func newKeys(t *testing.T, algorithm string) (k struct{ private, file string }) {
	t.Helper()
	r := command(t, run{args: []string{"keygen", "--token-key", "--algorithm", algorithm, "--json"}})
	var pair struct {
		Private string `json:"private_key"`
		Public  string `json:"public_key"`
	}
	if err := json.Unmarshal([]byte(r.out), &pair); err != nil || r.err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	k.private, k.file = pair.Private, filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(k.file, []byte(pair.Public), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSignAlgorithms: every algorithm signs, by a secret or by a private key that says which.
func TestSignAlgorithms(t *testing.T) {
	for _, algorithm := range strings.Fields("HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA") {
		t.Run(algorithm, func(t *testing.T) {
			secret, explain := commandSecret, []string(nil)
			if algorithm[0] != 'H' {
				key := newKeys(t, algorithm)
				secret, explain = key.private, []string{"--public-key", key.file}
			}
			// These are chosen by the kind of key.
			named := []string{"--algorithm", algorithm}
			if strings.HasPrefix(algorithm, "ES") || algorithm == "EdDSA" {
				named = nil
			}
			r := command(t, run{args: append([]string{"sign", "--token", "--user", "u", "--kid", "k1", "--require", "/aud=chat"}, named...), in: secret})
			token := tokenOf(t, r)
			if !strings.Contains(r.out, `{"user_token":"`) {
				t.Errorf("printed %s", r.out)
			}
			e := run{args: append(append(explain, named...), "--require", "/aud=chat"), in: r.out}
			if algorithm[0] == 'H' {
				e.secret = commandSecret
			}
			got, text := explained(t, e)
			if !got.Verified || got.User != "u" || got.Dialect != "jwt" || !strings.Contains(text, `"alg":"`+algorithm+`"`) || !strings.Contains(text, `"kid":"k1"`) {
				t.Errorf("%+v\n%s", got, text)
			}
			e.in = token[:len(token)-8] + "AAAAAAAA"
			if got, _ := explained(t, e); got.Verified || got.Reason != "invalid" {
				t.Errorf("forged: %+v", got)
			}
		})
	}
}

// TestExplainKeySet: a key set from a file, and a token whose kid it does not have.
func TestExplainKeySet(t *testing.T) {
	const set = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"KBbdGhSAMLXMh6zLMfGi4_4-npVhnEVnGVYdjSrOreI"}]}`
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(set), 0o600); err != nil {
		t.Fatal(err)
	}
	r := command(t, run{args: []string{"sign", "--token", "--user", "u", "--kid", "k2"}, in: newKeys(t, "EdDSA").private})
	got, text := explained(t, run{args: []string{"--jwks", file}, in: r.out})
	if got.Verified || got.Reason != "invalid" || got.Mistake.ID != "unknown_kid" {
		t.Errorf("%+v\n%s", got, text)
	}
}

// TestExplainTokens: the mistake of a token is named, and what it says shown.
func TestExplainTokens(t *testing.T) {
	sign := func(args ...string) string {
		return tokenOf(t, command(t, run{args: append([]string{"sign", "--token", "--user", "u"}, args...), secret: commandSecret}))
	}
	for _, x := range []struct{ name, args, in, reason, mistake, says string }{
		{"Bearer", "", "Bearer " + sign(), "", "", "behind Bearer as"},
		{"header", "", "authorization:  bearer " + sign() + "\n", "", "", "behind authorization: bearer as"},
		{"header of knock", "--dialect knock --algorithm HS256", "X-Knock-User-Token: " + sign(), "", "", "behind X-Knock-User-Token: as"},
		{"header without Bearer", "", "Authorization: " + sign(), "malformed", "token_prefixed", "issued:"},
		{"Bearer for tiledesk", "--dialect tiledesk", "Bearer " + sign("--dialect", "tiledesk"), "malformed", "token_prefixed", "issued:"},
		{"Bearer in JSON", "", `{"user_token":"Bearer ` + sign() + `"}`, "malformed", "token_prefixed", "issued:"},
		{"in quotes", "", `"` + sign() + `"`, "malformed", "token_quoted", "issued:"},
		{"padded", "", sign() + "=", "malformed", "token_padded", "issued:"},
		{"newline in JSON", "", `{"user_token":"` + sign() + `\n"}`, "malformed", "token_spaces", "issued:"},
		{"expired", "", sign("--expires", "-90s"), "expired", "token_expired", "(it expired 1m3"},
		{"for days", "", sign("--expires", "72h"), "expired", "exp_far", "max_lifetime, which is 24h"},
		{"for days, taken", "--max-lifetime 96h", sign("--expires", "72h"), "", "", "verifies"},
		{"another claim", "--user-claim /user_id", sign(), "malformed", "user_id_elsewhere", "has sub"},
		{"of zendesk", "--dialect zendesk", sign(), "malformed", "user_id_elsewhere+require", "at /external_id, but has sub"},
		{"where zendesk is not named", "", sign("--dialect", "zendesk"), "malformed", "other_dialect", "option user_id, or name that dialect."},
		{"another algorithm", "--algorithm HS512", sign(), "invalid", "alg_other", "HS256"},
		{"require", "--require /iss=a", sign(), "invalid", "require", "invalid: the token does not fit"},
		{"another encoding of the secret", "--key-encoding hex", sign(), "invalid", "secret_not_decoded", "decode the secret from hex"},
		{"where no token is", "--dialect nextcap", `{"user_token":"` + sign() + `"}`, "missing", "other_dialect", "a claim of jwt"},
		{"alone, where none is", "--dialect nextcap", sign(), "missing", "other_dialect", "a claim of jwt"},
		{"elsewhere", "--dialect jwt", `{"chat":{"user_token":"` + sign() + `"}}`, "missing", "other_place", "pass --at /chat"},
		{"a form's line", "", "user_token: " + sign(), "", "", "taken from behind user_token:\n"},
		{"a form's two lines", "--dialect drift", "userJwt\n" + sign("--dialect", "drift"), "", "", "taken from behind userJwt:\n"},
		{"a form's lines of the name jwt", "--dialect freshchat", "jwt\n" + sign("--dialect", "freshchat"), "", "", "taken from behind jwt:\n"},
		{"another name", "", `{"token":"` + sign() + `"}`, "missing", "other_name", "name is token: send it in the header Authorization or at /user_token"},
		{"another name, forged, beside an object", "--dialect jwt", `{"token":"` + sign("--dialect", "zendesk", "--algorithm", "HS512") + `","x":{"a":1}}`, "missing", "other_name", "name is token"},
		{"drift's name", "", `{"userJwt":"` + sign() + `"}`, "missing", "other_dialect", "a claim of drift"},
		{"undefined", "", "undefined", "malformed", "token_placeholder", "wait for the server's answer"},
		{"a digest", "", strings.Repeat("0f", 32), "malformed", "signature_sent", "A digest in hex"},
		{"percent-encoded", "", strings.ReplaceAll(sign(), ".", "%2E"), "malformed", "token_url_encoded", "percent-encoded"},
		{"half", "--dialect jwt", `{"text":"hi"}`, "missing", "", "no token in the header Authorization or at /user_token"},
		{"JWE", "", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aaaa.bbbb.cccc", "malformed", "token_encrypted", "JWE"},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, text := explained(t, run{args: strings.Fields(x.args), secret: commandSecret, in: x.in})
			if strings.Contains(text, "the signature does not match") {
				t.Errorf("it does: %s", text)
			}
			if got.Verified != (x.reason == "") || got.Reason != x.reason || got.Mistake.ID != x.mistake || !strings.Contains(text, x.says) {
				t.Errorf("%+v\n%s", got, text)
			}
		})
	}
	// An escape that a terminal would act on is shown as one.
	got, text := explained(t, run{secret: commandSecret, in: sign("--name", "\u009b31m")})
	if !got.Verified || !strings.Contains(text, `\u009b31m`) || strings.Contains(text, "\u009b") {
		t.Errorf("%q", text)
	}
}

func TestTimeInWords(t *testing.T) {
	now := time.Unix(1767225600, 0)
	for away, want := range map[time.Duration]string{0: ", now", 400 * time.Millisecond: ", now", time.Minute: ", in 1m", -time.Minute: ", 1m ago"} {
		if got := timeInWords(now.Add(away), now); !strings.HasSuffix(got, want) {
			t.Errorf("%v: %s", away, got)
		}
	}
}
