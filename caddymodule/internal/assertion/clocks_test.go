package assertion

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// clocked is a gateway whose clock is wrong by its skew.
type clocked struct {
	skew   time.Duration
	keys   *Keys
	minter *Minter
	now    time.Time
}

// start starts the gateway with what is stored.
func (g *clocked) start(t *testing.T, stored string) {
	t.Helper()
	keys, err := Parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	g.keys = keys.Outlasting(lifetime)
	g.minter = NewMinter("chat-identity", lifetime, func() time.Time { return g.now })
}

// consumer is a verifier that keeps the key set for as long as its max-age says, as go-jose
// reads it.
type consumer struct {
	read time.Time
	set  jose.JSONWebKeySet
}

const maxAge = 5 * time.Minute

// verify verifies a token with the set that is kept. A consumer reads no set because it does
// not know a kid.
func (c *consumer) verify(t *testing.T, now time.Time, token string) (claims jwt.Claims) {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	found := c.set.Key(parsed.Headers[0].KeyID)
	if len(found) != 1 {
		t.Fatalf("at %s, a consumer that read the key set %s ago does not know the key", now.Format(time.TimeOnly), now.Sub(c.read))
	}
	if err := parsed.Claims(found[0], &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestClocks goes through two rotations, each from next over current to previous, at two
// gateways of one store whose clocks are half a minute ahead and behind, ten seconds at a
// time. One is restarted in each state. No consumer meets a key that it does not know, at
// whatever time and gateway it read the set, until the last assertion of a key has expired.
func TestClocks(t *testing.T) {
	start := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	gateways := []*clocked{{skew: 30 * time.Second}, {skew: -30 * time.Second}}
	store := func(keys *Keys) string {
		text, err := keys.Text()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	stored := store(must(First(start.Add(gateways[0].skew))))
	for _, g := range gateways {
		g.now = start.Add(g.skew)
		g.start(t, stored)
	}
	consumers := make([]consumer, 10)
	type sent struct {
		token string
		at    time.Time
	}
	var fresh []sent
	signers, checked := map[string]bool{}, map[string]bool{}
	restarted := [2]map[string]bool{{}, {}}
	for step := range 60 * 6 {
		now := start.Add(time.Duration(step) * 10 * time.Second)
		for _, g := range gateways {
			g.now = now.Add(g.skew)
		}
		rotates := map[int]int{5 * 6: 0, 33 * 6: 1}
		if by, ok := rotates[step]; ok {
			g := gateways[by]
			g.keys = must(g.keys.Rotate(g.now, lifetime))
			stored = store(g.keys)
		} else if _, ok := rotates[step-1]; ok { // both know by now what one has stored
			for _, g := range gateways {
				g.keys = must(Parse(stored))
			}
		}
		for i, g := range gateways {
			states := fmt.Sprint(g.keys.States(g.now))
			shape := kinds(g.keys.States(g.now))
			if !restarted[i][shape] {
				restarted[i][shape] = true
				g.start(t, stored)
				if after := fmt.Sprint(g.keys.States(g.now)); after != states {
					t.Fatalf("at %s, a restart made %s of %s", now.Format(time.TimeOnly), after, states)
				}
			}
		}
		for i := range consumers { // one reads every half a minute, of one gateway or the other
			if c := &consumers[i]; step == 0 || step%30 == 3*i {
				text, err := json.Marshal(gateways[i%2].keys.Public(gateways[i%2].now))
				if err != nil {
					t.Fatal(err)
				}
				*c = consumer{read: now}
				if err := json.Unmarshal(text, &c.set); err != nil {
					t.Fatal(err)
				}
			} else if now.Sub(c.read) > maxAge {
				t.Fatalf("consumer %d has a set of %s ago", i, now.Sub(c.read))
			}
		}
		for i, g := range gateways {
			signer := g.keys.Signer(g.now)
			signers[signer.ID] = true
			token, err := g.minter.Mint(signer, &Statement{Audience: "backend", Outcome: "verified", User: "zoe", Widget: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			claims := consumers[step%len(consumers)].verify(t, now, token)
			// With the leeway that go-jose has by default.
			if err := claims.Validate(jwt.Expected{Issuer: "chat-identity", AnyAudience: jwt.Audience{"backend"}, Time: now}); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(fresh, func(s sent) bool { return s.token == token }) {
				fresh = append(fresh, sent{token, now})
			}
			if signed := fmt.Sprint(i, signer.ID, kinds(g.keys.States(g.now))); !checked[signed] {
				checked[signed] = true
				opensslVerifies(t, consumers[step%len(consumers)].set, token)
			}
		}
		for len(fresh) > 0 && now.Sub(fresh[0].at) > lifetime+2*30*time.Second { // the clocks' skew included
			fresh = fresh[1:]
		}
		for i := range consumers {
			for _, s := range fresh {
				consumers[i].verify(t, now, s.token)
			}
		}
	}
	for i := range gateways {
		for _, shape := range []string{"current", "next current", "current previous"} {
			if !restarted[i][shape] {
				t.Errorf("gateway %d was never restarted with %s keys", i, shape)
			}
		}
	}
	if len(signers) != 3 {
		t.Errorf("%d keys have signed", len(signers))
	}
}

func kinds(states []State) string {
	var all []string
	for _, s := range states {
		all = append(all, s.State)
	}
	return strings.Join(all, " ")
}

// opensslVerifies has openssl verify a token, which knows nothing of how it was signed.
func opensslVerifies(t *testing.T, set jose.JSONWebKeySet, token string) {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	signature := parsed.Signatures[0].Signature
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(set.Key(parsed.Signatures[0].Header.KeyID)[0])
	if err != nil {
		t.Fatal(err)
	}
	var key map[string]string
	if err := json.Unmarshal(text, &key); err != nil {
		t.Fatal(err)
	}
	// What precedes the point in the DER of a public key on P-256 (RFC 5480).
	spki := "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"
	for _, coordinate := range []string{"x", "y"} {
		b, err := base64.RawURLEncoding.DecodeString(key[coordinate])
		if err != nil {
			t.Fatal(err)
		}
		spki += string(b)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"public.der": spki, "signature": string(der), "signed": token[:strings.LastIndex(token, ".")]} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := exec.Command("openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", "public.der", "-signature", "signature", "signed")
	check.Dir = dir
	if said, err := check.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v: %s", err, said)
	}
}
