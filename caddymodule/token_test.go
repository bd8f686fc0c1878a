package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// jwt returns a token with those claims, signed by HS256 with a secret's text.
func jwt(secret, claims string) string {
	return testbed.HS256(secret, claims)
}

// inAnHour is an exp.
func inAnHour() int64 { return time.Now().Add(time.Hour).Unix() }

func TestTokenVerifies(t *testing.T) {
	g := chat(t, `
	chat_identity required {
		secret {env.TEST_SECRET}
		claim token header Authorization
		claim token query user_token
		token {
			require /iss https://shop.example
		}
	}`)
	good := fmt.Sprintf(`{"sub":"ada","iss":"https://shop.example","exp":%d}`, inAnHour())
	get := func(path, authorization string) *http.Request {
		r, _ := http.NewRequest(http.MethodGet, g.url+path, nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		return r
	}
	for _, test := range []struct {
		name   string
		r      *http.Request
		status int
		reason string
	}{
		{"Authorization", get("/chat", "Bearer "+jwt(testSecret, good)), 200, ""},
		{"query", get("/chat?user_token="+jwt(testSecret, good), ""), 200, ""},
		{"another secret", get("/chat", "Bearer "+jwt(testSecret+"x", good)), 401, "invalid"},
		{"another issuer", get("/chat", "Bearer "+jwt(testSecret, fmt.Sprintf(`{"sub":"ada","iss":"x","exp":%d}`, inAnHour()))), 401, "invalid"},
		{"opaque", get("/chat", "Bearer abc"), 401, "missing"},
		{"none", get("/chat", ""), 401, "missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			res, err := http.DefaultClient.Do(test.r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			saw := g.upstream.take()
			if res.StatusCode != test.status || (saw != nil) != (test.status == 200) || saw != nil && saw.user() != "ada" {
				t.Errorf("%d, %v", res.StatusCode, saw)
			}
		})
	}
}

// TestTokenTells is what the upstream is told of a user whom a token proves.
func TestTokenTells(t *testing.T) {
	g := chat(t, `
	chat_identity {
		secret {env.TEST_SECRET}
		claim token header Authorization
		token {
			email /email
			name /name
			attributes rest
		}
	}
	header {
		>Proof {http.chat_identity.proof}
		>Email {http.chat_identity.email}
		>Plan {http.chat_identity.attributes.plan}
	}`)
	const unsigned = `{"user_metadata":{"email":"browser@shop.example","name":"Browser","plan":"free"}}`
	long := strings.Repeat("x", 200)
	for _, test := range []struct {
		name, claims, body string
		header             map[string]string // "" for none
	}{
		{"all is signed", `"email":"ada@shop.example","name":"Ada L","plan":"gold"`, unsigned, map[string]string{
			"X-Verified-Email": "ada@shop.example", "X-Verified-Name": "Ada%20L", "X-Verified-Attributes": `{"plan":"gold"}`,
			"X-Identity-Email": "", "X-Identity-Name": "", "X-Identity-Attributes": "", "X-Verified-User": "ada",
		}},
		{"the e-mail address is", `"email":"ada@shop.example"`, unsigned, map[string]string{
			"X-Verified-Email": "ada@shop.example", "X-Verified-Name": "", "X-Verified-Attributes": "",
			"X-Identity-Email": "", "X-Identity-Name": "Browser", "X-Identity-Attributes": `{"plan":"free"}`,
		}},
		{"of a wrong type", `"email":17,"name":null,"a":"` + long + `"`, `{}`, map[string]string{
			"X-Verified-Email": "", "X-Verified-Name": "", "X-Verified-Attributes": `{"a":"` + long + `"}`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequest(http.MethodPost, g.url+"/chat", strings.NewReader(test.body))
			must(t, err)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+jwt(testSecret, fmt.Sprintf(`{"sub":"ada","exp":%d,%s}`, inAnHour(), test.claims)))
			r.Header.Set("X-Verified-Email", "mallory@shop.example")
			res, err := http.DefaultClient.Do(r)
			must(t, err)
			defer res.Body.Close()
			saw := g.upstream.take()
			for name, want := range test.header {
				if got := saw.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if res.Header.Get("Proof") != "token" {
				t.Errorf("proof: %q", res.Header.Get("Proof"))
			}
		})
	}
}

// TestTokenWidget: a token names its widget, whose key then verifies it.
func TestTokenWidget(t *testing.T) {
	g := start(t, `
	chat_identity {
		widget shop {
			secret {env.TEST_SECRET}
		}
		widget support {
			secret another-secret-of-more-than-16-bytes
		}
	}`, `
	chat_identity required {
		widget token /aud
		claim token header Authorization
		claim token body /user_token
		reject widget_unknown 404
	}
	reverse_proxy UPSTREAM`)
	for _, test := range []struct {
		name, secret, aud, widget string
		status                    int
	}{
		{"its own", testSecret, `"shop"`, "shop", 200},
		{"another's", "another-secret-of-more-than-16-bytes", `"support"`, "support", 200},
		{"another's secret", testSecret, `"support"`, "", 401},
		{"unknown", testSecret, `"nobody"`, "", 404},
		{"a list", testSecret, `["shop"]`, "", 404},
		{"a number", testSecret, `1`, "", 404},
		{"twice", testSecret, `"shop","aud":"support"`, "", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := jwt(test.secret, fmt.Sprintf(`{"sub":"ada","exp":%d,"aud":%s}`, inAnHour(), test.aud))
			r, err := http.NewRequest(http.MethodPost, g.url+"/chat", strings.NewReader(`{"user_token":"`+text+`"}`))
			must(t, err)
			r.Header.Set("Content-Type", "application/json")
			res, err := http.DefaultClient.Do(r)
			must(t, err)
			defer res.Body.Close()
			saw := g.upstream.take()
			if test.name == "twice" { // malformed comes first
				test.status = 400
			}
			if res.StatusCode != test.status || saw != nil && saw.Header.Get("X-Verified-Widget") != test.widget {
				t.Errorf("%d, want %d: %v", res.StatusCode, test.status, saw)
			}
		})
	}
}

// TestUnjudgedProofs: a proof that nobody has judged does not reach the upstream, whatever
// else verified the request.
func TestUnjudgedProofs(t *testing.T) {
	const site = `chat_identity /signature/* {
	secret {env.TEST_SECRET}
	claim token header X-Token
	claim token query user_token
	proof signature
}
chat_identity /any/* {
	secret {env.TEST_SECRET}
	claim token header X-Token
}
chat_identity /tenant/* {
	dialect jwt
	widget token /aud
}
chat_identity /named/* {
	dialect jwt
	widget {header.X-Widget-Key}
}
reverse_proxy UPSTREAM`
	g := start(t, `chat_identity {
		widget classic {
			secret {env.TEST_SECRET}
			dialect bookbag
		}
		widget modern {
			secret {env.TEST_SECRET}
			dialect zendesk
		}
	}`, site)
	exp := inAnHour()
	own := jwt(testSecret, fmt.Sprintf(`{"sub":"mallory","exp":%d}`, exp))
	zendesk := jwt(testSecret, fmt.Sprintf(`{"external_id":"mallory","scope":"user","exp":%d}`, exp))
	forged := jwt(otherSecret, fmt.Sprintf(`{"sub":"victim","aud":"classic","exp":%d}`, exp))
	signed := `{"user_id":"mallory","user_hash":"` + sign("mallory") + `","text":"hi"}`
	for _, test := range []struct {
		name, path, body string
		headers          []string
		gone, kept       string // of the request at the upstream
	}{
		{"a token under proof signature", "/signature/?user_token=" + forged, signed, []string{"X-Token: " + forged}, forged, sign("mallory")},
		{"a signature beside a token", "/any/", signed, []string{"X-Token: " + own}, sign("mallory"), own},
		{"a token that the widget's dialect does not read", "/tenant/", signed, []string{"Authorization: Bearer " + forged}, forged, sign("mallory")},
		{"the same in the query", "/tenant/?user_token=" + forged, signed, nil, forged, sign("mallory")},
		{"the same, the widget named by a header", "/named/", signed, []string{"X-Widget-Key: classic", "Authorization: Bearer " + forged}, forged, sign("mallory")},
		{"a token in the place of the handler's dialect alone", "/named/?user_token=" + forged, `{"text":"hi"}`,
			[]string{"X-Widget-Key: modern", "Authorization: Bearer " + zendesk}, "user_token=" + forged, `"hi"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := g.do(t, http.MethodPost, test.path, test.body, append(test.headers, jsonType)...)
			if a.seen == nil || a.seen.user() != "mallory" {
				t.Fatalf("%d: %v", a.StatusCode, a.seen)
			}
			all := fmt.Sprint(a.seen.URI, a.seen.Header, a.seen.Body)
			if strings.Contains(all, test.gone) || !strings.Contains(all, test.kept) || !strings.Contains(all, `"text":"hi"`) {
				t.Errorf("the upstream reads %s", all)
			}
		})
	}
	// Without any proof that counts, none is left either.
	a := g.do(t, http.MethodPost, "/named/?user_token="+forged, `{"text":"hi"}`, "X-Widget-Key: classic", "Authorization: Bearer "+forged, jsonType)
	if all := fmt.Sprint(a.seen.URI, a.seen.Header, a.seen.Body); strings.Contains(all, forged) || a.seen.user() != "" {
		t.Errorf("the upstream reads %s", all)
	}
}
