package caddymodule

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// line is a line of this module's log, or of the access log.
type line struct {
	Logger, Msg, Reason, Widget, Host, Method, Path, Named, Hint, Detail string
	Nearest                                                              []string
	RequestID                                                            string   `json:"request_id"`
	ClientIP                                                             string   `json:"client_ip"`
	LeftOut                                                              []string `json:"left_out"`
	LeftOutWhy                                                           []string `json:"left_out_why"`
	LeftOutHeaders                                                       []string `json:"left_out_headers"`
	Status                                                               int
	UUID                                                                 string
}

// operated runs a site with an admin API whose logs go to a file, and returns a way to read
// the lines that contain a text.
func operated(t *testing.T, options, site string) (*gateway, func(containing string) []line) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "caddy.log")
	g := newLive(t, options, "log\n"+site)
	g.config = strings.Replace(g.config, "{\n", "{\nlog {\noutput file "+file+"\nformat json\n}\n", 1)
	load(t, g.config)
	return g, func(containing string) (found []line) {
		t.Helper()
		for text := range strings.Lines(string(read(t, file))) {
			if strings.Contains(text, containing) {
				var l line
				must(t, json.Unmarshal([]byte(text), &l))
				found = append(found, l)
			}
		}
		return found
	}
}

// hintOf sends a request for a widget, signed with a secret, and returns the hint of the
// line about it, which has that user's path.
func hintOf(t *testing.T, g *gateway, lines func(string) []line, widget, secret, path string) string {
	t.Helper()
	g.do(t, "POST", path, `{"user_id":"zoe","user_hash":"`+signWith(secret, "zoe")+`"}`, jsonType, "X-Widget-Key: "+widget)
	hint := ""
	eventually(t, "no line about "+path, func() bool {
		for _, l := range lines(`"path":"` + path + `"`) {
			hint = l.Hint
			return true
		}
		return false
	})
	return hint
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in %q", part, text)
	}
}

// TestOtherSecrets: the log names the widget whose secret was used, and a secret that was
// retired; answers and readiness do not.
func TestOtherSecrets(t *testing.T) {
	g, lines := operated(t, "widget desk {\nsecret {env.TEST_SECRET}\n}\n", liveSite)
	shop, kiosk := g.create(t, `{"id":"shop"}`), g.create(t, `{"id":"kiosk"}`)
	equal(t, g.outcome(t, "kiosk", kiosk), "verified", "kiosk") // recently used
	equal(t, g.outcome(t, "shop", shop), "verified", "shop")

	contains(t, hintOf(t, g, lines, "shop", kiosk, "/other"), "made with the secret of widget kiosk (version ")
	contains(t, hintOf(t, g, lines, "desk", kiosk, "/to-inline"), "made with the secret of widget kiosk (version ")
	contains(t, hintOf(t, g, lines, "kiosk", testSecret, "/of-inline"), "made with the secret of widget desk (version ")
	// Not again within a minute, which the hint does not hide.
	contains(t, hintOf(t, g, lines, "shop", kiosk, "/again"), "Once a minute, the log says of such a request whether")

	g.create(t, `{"id":"booth"}`)
	booth := g.rotate(t, "booth", "")
	equal(t, g.outcome(t, "booth", booth), "verified", "booth")
	current := g.rotate(t, "booth", "")
	equal(t, g.outcome(t, "booth", current), "verified", "booth, rotated")
	hint := hintOf(t, g, lines, "booth", booth, "/retired")
	contains(t, hint, "made with a secret of widget booth (version ")
	contains(t, hint, "that was retired: the signing server still has the old one.")

	for _, path := range []string{"widgets/shop/readiness", "widgets/booth/readiness", "overview", "stats"} {
		if c := g.call(t, "GET", path, ""); strings.Contains(c.body, "made with") {
			t.Errorf("%s tells whose secret it was: %s", path, c.body)
		}
	}
}

// TestRetiredInline: a reload that removes an inline secret retires it.
func TestRetiredInline(t *testing.T) {
	const old = "the-old-secret-of-the-desk"
	t.Setenv("OLD_SECRET", old)
	g, lines := operated(t, "widget desk {\nsecret {env.TEST_SECRET} {env.OLD_SECRET}\n}\n", liveSite)
	equal(t, g.outcome(t, "desk", old), "verified", "before")
	g.config = strings.Replace(g.config, " {env.OLD_SECRET}", "", 1)
	load(t, g.config)
	contains(t, hintOf(t, g, lines, "desk", old, "/inline"), ") that was retired")
	g.create(t, `{"id":"stand"}`)
	contains(t, hintOf(t, g, lines, "stand", "a secret that no widget has", "/nobodys"), "and no secret of another widget or retired one")
}

// TestUnknownWidgets: log and overview have the id that was named, and those that may have
// been meant.
func TestUnknownWidgets(t *testing.T) {
	t.Setenv("OTHER_SECRET", "the-secret-of-the-counter")
	g, lines := operated(t, "widget desk {\nsecret {env.TEST_SECRET}\n}\n", "chat_identity /own required {\nwidget counter\nsecret {env.OTHER_SECRET}\n}\nchat_identity /whose/* required {\nwidget {header.X-Widget-Key}\n}\n"+liveSite)
	g.create(t, `{"id":"shop-eu"}`)
	hint := hintOf(t, g, lines, "Shop_EU", testSecret, "/unknown")
	contains(t, hint, "No widget has the id that is named")
	l := lines(`"path":"/unknown"`)[0]
	if l.Reason != "widget_unknown" || l.Named != "Shop_EU" || fmt.Sprint(l.Nearest) != "[shop-eu]" {
		t.Errorf("%+v", l)
	}
	g.create(t, `{"id":"blog","dialect":"chatwoot"}`)
	for id, says := range map[string]string{"Blog": "No widget has the id that is named", "counter": "belongs to another handler", "desk": ""} {
		path := "/whose/" + id
		g.do(t, "POST", path, `{"identifier":"zoe","identifier_hash":"00"}`, jsonType, "X-Widget-Key: "+id)
		eventually(t, "no line about "+path, func() bool { return len(lines(`"path":"`+path+`"`)) > 0 })
		l := lines(`"path":"` + path + `"`)[0]
		contains(t, l.Hint, says)
		if l.Reason != "missing" || strings.Contains(l.Hint, " names of the dialect bookbag") != (says != "") || (l.Named == id) != (says != "") {
			t.Errorf("a claim of the dialect of a widget with another id: %+v", l)
		}
	}
	contains(t, hintOf(t, g, lines, "counter", testSecret, "/another"), "belongs to another handler")
	contains(t, hintOf(t, g, lines, "", testSecret, "/none"), "names no widget: this handler reads its id from {http.request.header.X-Widget-Key}")
	secret := strings.Repeat("5d41402abc4b2a76", 4)
	contains(t, hintOf(t, g, lines, secret, testSecret, "/secret"), "A secret or a signature seems to stand where the widget's id belongs")
	contains(t, hintOf(t, g, lines, "default", testSecret, "/default"), "No request can name the widget 'default'")
	eventually(t, "no line without what is secret", func() bool { // lines are few a second
		g.do(t, "POST", "/p/"+secret+"/x", `{"user_id":"zoe","user_hash":"x"}`, jsonType, "X-Widget-Key: shop-eu")
		return len(lines(`/p/(64 characters that look like a secret)/x"`)) > 0
	})
	g.post(t, `{"text":"hi"}`, "X-Widget-Key: dsek")
	g.post(t, `{"text":"hi"}`, "X-Widget-Key: dsek")

	var v adminapi.Overview
	g.askInto(t, "overview", &v)
	var seen []string
	for _, u := range v.UnknownWidgets {
		seen = append(seen, fmt.Sprintf("%s %d %v", u.ID, u.Requests, u.Nearest))
	}
	equal(t, strings.Join(seen, ", "), "dsek 2 [desk], default 1 [], (64 characters that look like a secret) 1 [], counter 2 [], Blog 1 [blog], Shop_EU 1 [shop-eu]", "unknown widgets")
	if strings.Contains(fmt.Sprint(lines("")), secret) {
		t.Error("a secret in the log")
	}
	for i := range 50 {
		g.post(t, `{"text":"hi"}`, fmt.Sprint("X-Widget-Key: stranger-", i))
	}
	g.create(t, `{"id":"stranger-49"}`)
	if g.askInto(t, "overview", &v); len(v.UnknownWidgets) != 9 || v.UnknownWidgets[0].ID != "stranger-48" {
		t.Errorf("%+v", v.UnknownWidgets)
	}
}

// TestLinesAboutRequests: lines have host, method, path without the query and client, and
// the id that the access log has, too.
func TestLinesAboutRequests(t *testing.T) {
	g, lines := operated(t, "", `rewrite /before /after
	chat_identity required {
		secret {env.TEST_SECRET}
		identify /identify
	}
	chat_identity /optional {
		secret {env.TEST_SECRET}
	}
	reverse_proxy UPSTREAM`)
	g.do(t, "POST", "/before?user_id=zoe&user_hash=private", "", jsonType)
	var l, access line
	eventually(t, "no lines", func() bool {
		ours, theirs := lines(ourLogger), lines(`"logger":"http.log.access`)
		if len(ours) == 0 || len(theirs) == 0 {
			return false
		}
		l, access = ours[0], theirs[0]
		return true
	})
	if l.Method != "POST" || l.Path != "/before" || l.ClientIP != "127.0.0.1" || l.Host != g.host() || l.Status != 401 || l.Msg != "request refused" {
		t.Errorf("%+v", l)
	}
	if l.RequestID == "" || access.UUID != l.RequestID || access.RequestID != l.RequestID {
		t.Errorf("%+v, %+v", l, access)
	}
	g.do(t, "POST", "/left", `{"user_id":"zoe","user_hash":"`+sign("zoe")+`","user_metadata":{"email":7,"name":"`+strings.Repeat("n", 600)+`"}}`, jsonType)
	eventually(t, "nothing is left out", func() bool { return len(lines("left_out")) > 0 })
	l = lines("left_out")[0]
	equal(t, strings.Join(l.LeftOut, ","), "email,name", "left out")
	equal(t, strings.Join(l.LeftOutWhy, ", "), "email is not a string, name is longer than 200 characters", "why")
}

// TestStopped: nobody was answered who gave up.
func TestStopped(t *testing.T) {
	g, lines := operated(t, "", "chat_identity /error required {\nsecret {env.TEST_SECRET}\nrefuse error\n}\nchat_identity required {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
	for _, path := range []string{"/error", "/problem"} {
		c := g.dial(t)
		c.write("POST " + path + " HTTP/1.1\r\nHost: " + g.host() + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user_id\":")
		must(t, c.Close())
		eventually(t, "no line about "+path, func() bool { return len(lines(`"path":"`+path+`"`)) > 0 })
		l := lines(`"path":"` + path + `"`)[0]
		if l.Msg != "the client stopped before its request was complete" || l.Status != 0 || l.Reason != "malformed" {
			t.Errorf("%+v", l)
		}
	}
}

// TestHintsOfPlaces: what to send is said by its name, and which of several places counts.
func TestHintsOfPlaces(t *testing.T) {
	g, lines := operated(t, "", "chat_identity required {\nsecret {env.TEST_SECRET}\nclaim user_id body /user_id else body /email\n}\nreverse_proxy UPSTREAM")
	for path, c := range map[string][2]string{
		"/else":     {`{"user_id":"zoe","email":"z@example.org","user_hash":"` + sign("z@example.org") + `"}`, "The user id is the first that is there of: user_id, email."},
		"/spelling": {`{"User_Id":"zoe","user_hash":"` + sign("zoe") + `"}`, "There is a field that only some programs take for user_id: send user_id and user_hash, spelled exactly so and not in a list."},
		"/missing":  {`{"user_id":"zoe"}`, "There is no user_hash: send user_id and user_hash together."},
	} {
		g.do(t, "POST", path, c[0], jsonType)
		eventually(t, "no line about "+path, func() bool { return len(lines(`"path":"`+path+`"`)) > 0 })
		contains(t, lines(`"path":"` + path + `"`)[0].Hint, c[1])
	}
}

// TestHintOfUndecodedSecret: a widget whose secret writes no key as the handler has it is told of
// as a mistake of the configuration, and not as an outage that passes.
func TestHintOfUndecodedSecret(t *testing.T) {
	g, lines := operated(t, "widget inline {\nsecret {env.TEST_SECRET}\n}", "chat_identity required {\nwidget {query.w}\nkey_encoding hex\n}\nreverse_proxy UPSTREAM")
	if c := g.call(t, "POST", "widgets", `{"id":"stored","secret":"`+testSecret+`"}`); c.status != http.StatusCreated {
		t.Fatal(c.status, c.body)
	}
	for _, widget := range []string{"inline", "stored"} {
		a := g.do(t, "POST", "/"+widget+"?w="+widget, `{"user_id":"zoe","user_hash":"`+sign("zoe")+`"}`, jsonType)
		equal(t, verdict(t, a), "503 unavailable", "%s", widget)
		eventually(t, "no line about "+widget, func() bool { return len(lines(`"path":"/`+widget+`"`)) > 0 })
		contains(t, lines(`"path":"/` + widget + `"`)[0].Hint, "The widget's secret is not written in hex, which is the key_encoding here. Write the secret in that encoding, or correct key_encoding.")
	}
}

// TestHintsOfRows: what was signed in place of the id or e-mail address is found in headers and
// within JSON texts, too, and a field there is named by its way.
func TestHintsOfRows(t *testing.T) {
	g, lines := operated(t, "", `
	@chaskiq path /chaskiq*
	handle @chaskiq {
		chat_identity required {
			dialect chaskiq
			widget a
			secret {env.TEST_SECRET}
		}
	}
	@magicbell path /magicbell*
	handle @magicbell {
		chat_identity required {
			dialect magicbell
			widget a
			secret {env.TEST_SECRET}
		}
	}
	@nested path /nested
	handle @nested {
		chat_identity required {
			secret {env.TEST_SECRET}
			widget a
			claim user_id body /user/id
			claim signature body /user/hash
		}
	}
	@intercom path /intercom*
	handle @intercom {
		chat_identity required {
			dialect intercom
			widget a
			secret {env.TEST_SECRET}
		}
	}`)
	const form = "Content-Type: application/x-www-form-urlencoded"
	digest, err := hex.DecodeString(sign("ada@example.com"))
	must(t, err)
	for path, c := range map[string]struct {
		body    string
		headers []string
		hint    string
	}{
		"/chaskiq": {"", []string{`User-Data: {"email":"ada@example.com","identifier_key":"` + sign("u-42") + `","properties":{"id":"u-42"}}`}, "the field id and not of the e-mail address"},
		"/magicbell": {"", []string{"X-MagicBell-User-External-ID: u-42", "X-MagicBell-User-Email: ada@example.com", "X-MagicBell-User-HMAC: " + base64.StdEncoding.EncodeToString(digest)},
			"the field X-MagicBell-User-Email and not of the user id: sign the user id alone, byte for byte as it is sent. The user id is the first that is there of: X-MagicBell-User-External-ID, X-MagicBell-User-Email."},
		"/magicbell/hex": {"", []string{"X-MagicBell-User-External-ID: u-42", "X-MagicBell-User-HMAC: " + sign("u-42")}, "write the digest in base64"},
		"/intercom": {"user_data=" + url.QueryEscape(`{"user_id":"u-42","user_hash":"`+sign("ada@example.com")+`","email":"ada@example.com"}`), []string{form},
			"The user id is the first that is there of: user_id in user_data, email in user_data."},
		"/intercom/half": {"user_data=" + url.QueryEscape(`{"user_id":"u-42"}`), []string{form}, "There is no user_hash in user_data and no intercom_user_jwt in user_data: send user_id in user_data and user_hash in user_data together, or a token in"},
		"/intercom/token": {"user_data=" + url.QueryEscape(`{"user_id":"u-42","intercom_user_jwt":"`+jwt(testSecret, fmt.Sprintf(`{"user_id":"u-7","exp":%d}`, inAnHour()))+`"}`), []string{form},
			"The identity claim's user_id in user_data, or a name that leads to it, differs from the user id in the token, or is in another spelling. Send it once."},
		"/nested":        {`{"user":{"id":"u-42"}}`, []string{jsonType}, "There is no hash in user: send id in user and hash in user together."},
		"/intercom/text": {`{"user_data":"{\"user_id\":\"u-42\",\"user_hash\":\"` + sign("u-42") + `\"}"}`, []string{jsonType}, "In a JSON body, user_data is an object and not a text."},
	} {
		g.do(t, "POST", path, c.body, c.headers...)
		eventually(t, "no line about "+path, func() bool { return len(lines(`"path":"`+path+`"`)) > 0 })
		contains(t, lines(`"path":"` + path + `"`)[0].Hint, c.hint)
	}
}
