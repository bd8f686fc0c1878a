package caddymodule

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/traffic"
)

// logged runs a site whose logs go to a file, and returns a way to read it.
func logged(t *testing.T, level, site string) (*gateway, func() []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "caddy.log")
	g := start(t, "log {\noutput file "+file+"\nformat json\nlevel "+level+"\n}\nservers {\ntrace\n}", site)
	return g, func() []string {
		t.Helper()
		text := read(t, file)
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

const ourLogger = `"logger":"http.handlers.chat_identity"`

// TestLogsHoldNoSecrets: no line of this module holds a signature, a secret or
// anything of the user, and no line of Caddy's, traces included, a secret.
func TestLogsHoldNoSecrets(t *testing.T) {
	g, lines := logged(t, "DEBUG", `chat_identity /chat required {
		widget literal
		secret {env.TEST_SECRET} a-literal-secret-of-the-operator
	}
	chat_identity /error required {
		secret {env.TEST_SECRET}
		refuse error
	}
	chat_identity optional {
		secret {env.TEST_SECRET}
	}
	reverse_proxy UPSTREAM`)
	metadata := `,"user_metadata":{"email":"zoe@example.com","name":"Zoë Private"}}`
	bodies := []string{
		strings.TrimSuffix(claim("zoe"), "}") + metadata,
		`{"user_id":"zoe-private","user_hash":"` + sign("ada") + `"` + metadata,
		`{"user_id":"zoe-private","user_hash":"` + signWith("zoe-private", testSecret) + `"` + metadata, // key and message swapped
		`{"user_id":"zoe-private","user_hash":"` + sign("zoe@example.com") + `"` + metadata,             // the e-mail was signed
		`{"user_id":"zoe-private"` + metadata,
		`{"user_id":{"zoe-private":1}` + metadata,
		`{"user_id":"zoe-private","user_id":"x"` + metadata,
		`{"user_id":"zoe-private",`,
		`{"user_id":"zoe","user_hash":"` + sign("zoe") + `","user_metadata":{"x":"` + strings.Repeat("private", 800) + `"}}`,
	}
	for _, path := range []string{"/chat", "/error", "/other"} {
		for _, body := range bodies {
			g.do(t, "POST", path, body, jsonType)
		}
	}
	ours, traced, warned, logged := 0, 0, false, false
	for _, line := range lines() {
		if strings.Contains(line, testSecret) || strings.Contains(line, "a-literal-secret") {
			t.Errorf("a secret in %.300s", line)
		}
		traced += strings.Count(line, `"logger":"http.handlers.trace"`) + strings.Count(line, `"module":{`)
		if !strings.Contains(line, ourLogger) {
			continue
		}
		ours++
		warned = warned || strings.Contains(line, "written into the configuration")
		logged = logged || strings.Contains(line, `"reason":"invalid","widget":"default","dialect":"bookbag","request_id":"`) && strings.Contains(line, `"status":401`)
		for _, private := range []string{"zoe@", "zoe-private", "Private", "private"} {
			if strings.Contains(line, private) {
				t.Errorf("%q in %s", private, line)
			}
		}
		if hexDigest.MatchString(line) {
			t.Errorf("a digest in %s", line)
		}
	}
	if ours < 5 || traced == 0 || !warned || !logged {
		t.Errorf("%d lines, %d traced, literal secret warned of %v, forgery logged %v: too few to prove anything", ours, traced, warned, logged)
	}
}

// TestFloodOfForgeries: clients cannot fill the log. What is left out is counted.
func TestFloodOfForgeries(t *testing.T) {
	g, lines := logged(t, "INFO", "chat_identity required {\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
	forged := `{"user_id":"zoe","user_hash":"` + sign("ada") + `"}`
	type entry struct {
		Logger  string  `json:"logger"`
		Reason  string  `json:"reason"`
		Second  float64 `json:"ts"`
		LeftOut int     `json:"suppressed"`
	}
	// What was left out in one second is logged in the next.
	eventually(t, "nothing is left out", func() bool {
		for range 200 {
			g.post(t, forged)
		}
		perSecond, left := make(map[int64]int), 0
		for _, line := range lines() {
			var e entry
			if json.Unmarshal([]byte(line), &e) == nil && e.Logger == "http.handlers.chat_identity" && e.Reason == "invalid" {
				perSecond[int64(e.Second)]++
				left += e.LeftOut
			}
		}
		for second, n := range perSecond {
			// A line may be written a moment after it was allowed.
			if n > 2*warningsPerSecond {
				t.Fatalf("%d lines in second %d", n, second)
			}
		}
		return left > 100
	})
}

// hostile is what an attacker would like a page, a log or a scrape to take for
// its own. The mark is in no text of ours.
var hostile = []string{
	`<img src=x onerror=alert('m4rk')>`,
	`</script><script>m4rk()</script>`,
	"m4rk\n{\"level\":\"error\"}\r\nm4rk",
	"\x1b[2J\x1b]0;m4rk\x07",
	`m4rk",reason="verified"} 1 #`,
	`m4rk{label="x"}\n`,
	"=m4rk|calc'!A1",
	strings.Repeat("m4rk", 2000),
}

// sendHostile sends the text in every field that a client controls.
func sendHostile(t *testing.T, g *gateway, text string) {
	t.Helper()
	quoted, err := json.Marshal(text)
	must(t, err)
	q, escaped := string(quoted), url.QueryEscape(text)
	head := strings.Map(func(r rune) rune {
		if r < ' ' {
			return '~' // Go's client sends no other
		}
		return r
	}, text)
	forged := sign("somebody else")
	for _, body := range []string{
		`{"user_id":` + q + `,"user_hash":"` + forged + `","user_metadata":{"email":` + q + `,"name":` + q + `}}`,
		`{"user_id":"ada","user_hash":` + q + `}`,
		`{"user_id":[` + q + `]}`,
		`{"user_id":` + q + `}`,
		`{` + q + `:` + q + `,"user_id":1,"USER_ID":` + q + `,"user_hash":"` + forged + `"}`,
		`{"userId":` + q + `,"userHash":"` + forged + `","key":` + q + `}`,
		`{"id":` + q + `,"signature":"` + forged + `","traits":{` + q + `:` + q + `}}`,
		`{"user_id":` + q + `,"hmacNonce":` + q + `,"hmacTimestamp":` + q + `,"hmacSignature":` + q + `}`,
		q,
		text,
	} {
		for _, path := range []string{"/chat", "/query?user_id=" + escaped + "&user_hash=" + escaped + "&" + escaped + "=" + escaped, "/inviaro", "/snap", "/" + url.PathEscape(text)} {
			if len(path) > 6000 {
				continue // beyond what Caddy takes
			}
			g.do(t, "POST", path, body, jsonType, "X-Widget-Key: "+head, "User-Agent: "+head, "X-Forwarded-For: "+head, "Cookie: a="+url.QueryEscape(head))
			g.do(t, "POST", path, body, "Content-Type: "+head, "X-Widget-Key: shop", "X-Request-Id: "+head)
			g.do(t, "POST", path, body, jsonType, "X-Widget-Key: shop", "Referer: "+head)
		}
	}
}

const manyKinds = `chat_identity /inviaro {
	dialect inviaro
}
chat_identity /snap required {
	widget {header.X-Widget-Key}
	dialect snapengage
}
chat_identity /query required {
	secret {env.TEST_SECRET}
}
` + liveSite

// TestNothingOfClientsIsTold: whatever a client sends, metrics, stats, readiness and this
// module's log lines hold words of ours alone. The path and the id of a widget that does
// not exist are escaped.
func TestNothingOfClientsIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "caddy.log")
	g := newLive(t, "", manyKinds)
	g.config = strings.Replace(g.config, "{\n", "{\nlog {\noutput file "+file+"\nformat json\nlevel DEBUG\n}\n", 1)
	g.config = strings.Replace(g.config, "chat_identity /inviaro", "log\nchat_identity /inviaro", 1)
	load(t, g.config)
	g.create(t, `{"id":"shop"}`)
	for _, text := range hostile {
		sendHostile(t, g, text)
	}
	places := map[string]string{}
	for _, path := range []string{"stats", "overview", "overview?view=all", "widgets/shop/readiness", "widgets/default/readiness", "widgets"} {
		c := g.call(t, "GET", path, "")
		if c.status != 200 {
			t.Errorf("%s: %d %s", path, c.status, c.body)
		}
		places[path] = c.body
	}
	places["metrics"] = g.page(t, "/metrics")
	log := read(t, file)
	lines, fields, named := 0, 0, false
	for line := range strings.Lines(string(log)) {
		var entry struct {
			Logger string          `json:"logger"`
			Ours   json.RawMessage `json:"chat_identity"`
			Named  string
			Path   string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if entry.Logger == "http.handlers.chat_identity" {
			lines++
			places["log"] += escaped(t, line, entry.Named, entry.Path)
			named = named || entry.Named != ""
		}
		if entry.Ours != nil {
			fields++
			places["access log"] += string(entry.Ours)
		}
	}
	for _, path := range []string{"overview", "overview?view=all"} {
		var v adminapi.Overview
		must(t, json.Unmarshal([]byte(places[path]), &v))
		for _, unknown := range v.UnknownWidgets {
			places[path] = escaped(t, places[path], unknown.ID)
		}
		named = named && len(v.UnknownWidgets) > 2
	}
	if lines < 5 || fields < 100 || !named {
		t.Errorf("%d lines and %d fields prove nothing", lines, fields)
	}
	for name, text := range places {
		for _, bad := range []string{"m4rk", "M4RK", "onerror", "\x1b", `\u001b`, `\u003c`, "<img"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q: %.2000s", name, bad, text)
			}
		}
	}
	for _, want := range []string{`"reason":"invalid"`, `"reason":"malformed"`, `"reason":"partial"`} {
		if !strings.Contains(places["widgets/shop/readiness"], want) {
			t.Errorf("the attacks did not reach it: no %s in %s", want, places["widgets/shop/readiness"])
		}
	}
}

// escaped returns a text without what may stand in it only percent-encoded.
func escaped(t *testing.T, text string, values ...string) string {
	t.Helper()
	for _, value := range values {
		if strings.HasSuffix(value, " characters that look like a secret)") {
			continue
		}
		if len(value) > 3*256+3 || strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%/:@!$&()*+,;=…") != "" {
			t.Errorf("%q is not escaped", value)
		}
		if value != "" {
			quoted, err := json.Marshal(value)
			must(t, err)
			text = strings.ReplaceAll(strings.ReplaceAll(text, string(quoted), ""), `"`+value+`"`, "")
		}
	}
	return text
}

// TestSeriesOfAFlood: a flood of made-up widgets, users and dialects creates no
// series, and no widget in the stats.
func TestSeriesOfAFlood(t *testing.T) {
	g := live(t, "", manyKinds)
	g.create(t, `{"id":"shop"}`)
	for _, text := range hostile {
		sendHostile(t, g, text)
	}
	count := func() (series, widgets int) {
		var stats struct{ Widgets []any }
		g.askInto(t, "stats", &stats)
		return len(g.scrape(t)), len(stats.Widgets)
	}
	series, widgets := count()
	for i := range 5 {
		sendHostile(t, g, fmt.Sprintf("w-%d.%d", i, rand.Uint64()))
	}
	if s, w := count(); s != series || w != widgets {
		t.Errorf("%d series became %d, %d widgets %d", series, s, widgets, w)
	}
	t.Logf("%d series, %d widgets", series, widgets)
}

// TestForgeriesOfManyWidgets: a flood of forgeries for a thousand widgets takes
// what a first wave took, and no more.
func TestForgeriesOfManyWidgets(t *testing.T) {
	g := live(t, "", liveSite)
	g.fill(t, traffic.MaxShown)
	wave := func() uint64 {
		for i := range traffic.MaxShown {
			g.post(t, `{"user_id":"zoe","user_hash":"`+sign(fmt.Sprint(i))+`"}`, fmt.Sprintf("X-Widget-Key: w-%05d", i))
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	wave()
	first := wave()
	wave()
	last := wave()
	// Five examples and a hint of each widget, and what the cache of keys takes.
	if last > first+4<<20 {
		t.Errorf("%d bytes became %d", first, last)
	}
	t.Logf("%.1f MB after the second wave, %.1f MB after the fourth", float64(first)/(1<<20), float64(last)/(1<<20))
}
