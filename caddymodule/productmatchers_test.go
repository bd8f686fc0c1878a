package caddymodule

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

// call is a request of a product's client, and what becomes of it: the verdict, and the body
// that the upstream gets, "" for the one that was sent.
type call struct {
	what, method, path, contentType, body string
	want, seen                            string
}

// TestProductMatchers: with the matchers that the documents recommend, the call that proves who
// chats is verified or refused, and the product's other calls go on.
func TestProductMatchers(t *testing.T) {
	const (
		form   = "application/x-www-form-urlencoded"
		asJSON = "application/json"
	)
	data := func(members string) string {
		return "app_id=shop&user_data=" + url.QueryEscape("{"+members+"}") + "&metrics=1"
	}
	visitors := func(site string) string {
		return strings.Replace(site, "/messenger/web/ping required {", "/messenger/web/ping optional {\nreject partial 403\nreject invalid 403", 1)
	}
	for _, product := range []struct {
		dialect string
		site    func(string) string
		calls   func(secret string) []call
	}{
		{"chatwoot", strings.Clone, func(secret string) []call {
			const set, contact = "/api/v1/widget/contact/set_user?website_token=shop", "/api/v1/widget/contact"
			claim := `{"identifier":"ada","identifier_hash":"` + signWith(secret, "ada") + `","email":"ada@example.com"}`
			return []call{
				{"signed", "PATCH", set, asJSON, claim, "ada", ""},
				{"forged", "PATCH", set, asJSON, strings.Replace(claim, `"ada"`, `"eve"`, 1), "401 invalid", ""},
				{"unsigned", "PATCH", set, asJSON, `{"identifier":"ada"}`, "401 partial", ""},
				{"attributes", "PATCH", contact + "?website_token=shop", asJSON, `{"custom_attributes":{"plan":"pro"}}`, "anonymous missing", ""},
				{"no attributes", "POST", contact + "/destroy_custom_attributes?website_token=shop", asJSON, `{"custom_attributes":["plan"]}`, "anonymous missing", ""},
				{"message", "POST", "/api/v1/widget/messages?website_token=shop", asJSON, `{"message":{"content":"hi"}}`, "anonymous missing", ""},
				{"file", "POST", "/api/v1/widget/messages?website_token=shop", boundaryType, formPart("message[attachments][]", "scan") + "------x--\r\n", "anonymous missing", ""},
				{"history", "GET", "/api/v1/widget/messages?website_token=shop&before=7", "", "", "anonymous missing", ""},
				{"somebody else's claim", "PATCH", contact + "?website_token=shop", asJSON, `{"identifier":"eve","custom_attributes":{"plan":"pro"}}`, "anonymous partial", `{"custom_attributes":{"plan":"pro"}}`},
			}
		}},
		{"intercom", strings.Clone, func(secret string) []call {
			const ping, metrics = "/messenger/web/ping", "/messenger/web/metrics"
			claim := `"user_id":"ada","user_hash":"` + signWith(secret, "ada") + `","plan":"pro"`
			return []call{
				{"signed", "POST", ping, form, data(claim), "ada", ""},
				{"number", "POST", ping, form, data(`"user_id":42,"user_hash":"` + signWith(secret, "42") + `"`), "42", ""},
				{"forged", "POST", ping, form, data(strings.Replace(claim, "ada", "eve", 1)), "403 invalid", ""},
				{"unsigned", "POST", ping, form, data(`"user_id":"ada"`), "403 partial", ""},
				{"visitor", "POST", ping, form, data(`"anonymous_id":"a1"`), "403 missing", ""},
				{"metrics, signed", "POST", metrics, form, data(claim), "ada", ""},
				{"metrics, unsigned", "POST", metrics, form, data(`"user_id":"ada","plan":"pro"`), "anonymous partial", data(`"plan":"pro"`)},
				{"metrics of a visitor", "POST", metrics, form, data(`"anonymous_id":"a1"`), "anonymous missing", ""},
				{"upload", "POST", "/messenger/web/uploads", form, "app_id=shop&original_filename=a.png", "anonymous missing", ""},
			}
		}},
		{"intercom", visitors, func(secret string) []call {
			const ping = "/messenger/web/ping"
			claim := `"user_id":"ada","user_hash":"` + signWith(secret, "ada") + `"`
			return []call{
				{"signed", "POST", ping, form, data(claim), "ada", ""},
				{"forged", "POST", ping, form, data(strings.Replace(claim, "ada", "eve", 1)), "403 invalid", ""},
				{"unsigned", "POST", ping, form, data(`"user_id":"ada"`), "403 partial", ""},
				{"visitor", "POST", ping, form, data(`"anonymous_id":"a1"`), "anonymous missing", ""},
			}
		}},
	} {
		g := live(t, "", product.site(documented(t, "caddyfile "+product.dialect)))
		for _, c := range product.calls(g.create(t, `{"id":"shop"}`)) {
			var headers []string
			if c.contentType != "" {
				headers = append(headers, "Content-Type: "+c.contentType)
			}
			a := g.do(t, c.method, c.path, c.body, headers...)
			if got := verdict(t, a); got != c.want {
				t.Errorf("%s, %s: %s, want %s", product.dialect, c.what, got, c.want)
				continue
			}
			if want := c.seen; a.seen != nil && (a.seen.URI != c.path || a.seen.Body != c.body && want == "" || want != "" && a.seen.Body != want) {
				t.Errorf("%s, %s: the upstream has got %s\n%s", product.dialect, c.what, a.seen.URI, a.seen.Body)
			}
		}
	}
}

// TestProductFields: what the backend gets beside the user is what the product's client sends.
func TestProductFields(t *testing.T) {
	g, signers := startProducts(t, "required")
	for name, want := range map[string]map[string]string{
		"chatwoot/set_user": {"Identity-Email": "ada@example.com", "Identity-Name": "Ada", "Identity-Attributes": `{"phone":"+4930123456","plan":"pro"}`},
		"intercom/ping":     {"Identity-Email": "ada@example.com", "Identity-Name": "Ada", "Identity-Attributes": `{"plan":"pro"}`},
		// The token signs these, and no field of the gateway's is theirs.
		"intercom/ping, token": {"Verified-Attributes": `{"email":"ada@example.com","plan":"pro"}`, "Identity-Name": "Ada"},
		"gleap/identify":       {"Identity-Email": "ada@example.com"},
		"chaskiq/graphql":      {"Identity-Attributes": `{"name":"Ada"}`},
		"chaskiq/socket":       {"Identity-Attributes": `{"name":"Ada"}`},
		"magicbell/e-mail":     {},
	} {
		i := slices.IndexFunc(products, func(p product) bool { return p.dialect+"/"+p.name == name })
		a := products[i].send(t, g, signers.claim(t, &products[i], "ada", true, inAnHour()))
		if a.seen == nil {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
			continue
		}
		for _, header := range []string{"Identity-Email", "Identity-Name", "Identity-Attributes", "Verified-Email", "Verified-Name", "Verified-Attributes"} {
			equal(t, a.seen.Header.Get("X-"+header), want[header], "%s: X-%s", name, header)
		}
	}
}
