package caddymodule

import (
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// TestCookieSpellings: a cookie that some backend reads as the claim's, and
// another does not, is never the claim, and never passes beside one.
func TestCookieSpellings(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\nclaim user_id cookie uid\nclaim signature cookie sig\n}")
	good := "uid=mallory; sig=" + sign("mallory")
	equal(t, verdict(t, g.do(t, "GET", "/", "", "Cookie: a=b; "+good)), "mallory", "the claim")
	for _, odd := range []string{
		"uid =victim", "uid\t=victim", "uid\u00a0=victim", "\ufeffuid=victim", "uid[]=victim", "uid[0]=victim",
		"UID=victim", "%75id=victim", "uid%20=victim", "uid%00x=victim", "x=1 uid=victim", "x=1\tuid=victim", "uid=victim x",
		"\xa0uid=victim", "uid\xa0=victim", "\x85uid=victim", "x=1\xa0uid=victim", "x=1,uid=victim", "x=1,uid =victim", "uid=victim,x", "+uid=victim",
	} {
		t.Run(odd, func(t *testing.T) {
			a := g.do(t, "GET", "/", "", "Cookie: a=b; "+odd)
			if a.StatusCode != 200 || a.seen.Header.Get("Cookie") != "a=b" || a.seen.Header.Get("X-Identity-Reason") != string(judgment.Partial) {
				t.Errorf("alone: %d %v", a.StatusCode, a.seen)
			}
			for _, cookies := range []string{odd + "; " + good, good + "; " + odd} {
				equal(t, verdict(t, g.do(t, "GET", "/", "", "Cookie: "+cookies)), "400 ambiguous", "%s", cookies)
			}
		})
	}
	// Other cookies, and repetitions of the same one, do not matter.
	for _, other := range []string{
		"auid=x", "uid2=x", "a=uid", "a= uid", "", "=", "a", "uid=mallory", `uid="mallory"`, "uid=%6dallory", "uid=", `uid=""`, "uid",
		"prefs=50%", "_ga=GA1.2 3", "a=1; a=2", "a=%zz; A=1", `a="b; c"d`, `a={"uid":"victim","b":[1, 2]}`, "a=\xff\xfe", "uid2[]=1", "a=b&uid=victim",
		"_uid=x", "a=uid:victim", "a=(uid)", "==", ";;;", "a=\"", "uid-2=\"", "=uid2",
	} {
		for _, cookies := range []string{good + "; " + other, other + "; " + good} {
			equal(t, verdict(t, g.do(t, "GET", "/", "", "Cookie: "+cookies)), "mallory", "%q", cookies)
		}
	}
	for _, other := range []string{"uid=victim", `uid="victim"`, "uid=Mallory", "uid=mallory2"} {
		equal(t, verdict(t, g.do(t, "GET", "/", "", "Cookie: "+good+"; "+other)), "400 ambiguous", "%q", other)
	}
	for _, broken := range []string{`uid="mallory`, `uid=mallory"`, `uid="`, `uid="m"allory"`, `uid="\155allory"`, "uid=%zz", `uid="%"`} {
		equal(t, verdict(t, g.do(t, "GET", "/", "", "Cookie: "+broken+"; sig="+sign("mallory"))), "400 malformed", "%q", broken)
	}
	spaced := `uid="mal lory, jr"; sig=` + sign("mal lory, jr")
	equal(t, verdict(t, g.do(t, "GET", "/", "", "Cookie: "+spaced)), "mal%20lory%2C%20jr", "the claim")
}

// TestNestedFormNames: parsers that build objects from forms put a nested name
// where a JSON pointer points to.
func TestNestedFormNames(t *testing.T) {
	for name, tc := range map[string]struct{ options, id, hash, nested string }{
		"claims": {"claim user_id body /user/id\nclaim signature body /user/hash", "id", "hash", "user[id]"},
		"at":     {"at /payload", "user_id", "user_hash", "payload[user_id]"},
		"deep":   {"at /a\nclaim user_id body /b/c\nclaim signature body /b/d", "c", "d", "a[b][c]"},
	} {
		t.Run(name, func(t *testing.T) {
			g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\n"+tc.options+"\n}")
			const form = "Content-Type: application/x-www-form-urlencoded"
			good := tc.id + "=mallory&" + tc.hash + "=" + sign("mallory")
			equal(t, verdict(t, g.do(t, "POST", "/", "t=1&"+good, form)), "mallory", "the claim")
			for _, spelling := range []string{tc.nested, tc.nested + "[]", " " + tc.nested} {
				if a := g.do(t, "POST", "/", "t=1&"+spelling+"=victim", form); a.StatusCode != 200 || a.seen.Body != "t=1" {
					t.Errorf("%s alone: %d %+v", spelling, a.StatusCode, a.seen)
				}
				equal(t, g.do(t, "POST", "/", good+"&"+spelling+"=victim", form).StatusCode, 400, "%s beside a claim", spelling)
			}
		})
	}
}
