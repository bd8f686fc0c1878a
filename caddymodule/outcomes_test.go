package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/hop"
)

// wire is how a dialect writes a claim.
type wire struct {
	dialect, user, signature string
	// answers are the statuses of required mode that differ from the general table.
	answers map[string]int
}

var wires = []wire{
	{"bookbag", "user_id", "user_hash", map[string]int{"missing": 401, "partial": 401, "invalid": 401, "expired": 401}},
	{"nextcap", "userId", "userHash", nil},
	{"inviaro", "user_id", "user_hash", nil},
	{"replybubble", "id", "signature", map[string]int{"missing": 403, "partial": 403, "invalid": 403, "expired": 403}},
	{"snapengage", "user_id", "hmacSignature", nil},
}

// generalAnswers is the table of the contract for required mode.
var generalAnswers = map[string]int{
	"missing": 401, "partial": 401, "invalid": 403, "ambiguous": 400, "expired": 401, "widget_unknown": 403,
	"malformed": 400, "too_large": 413, "unsupported": 415,
}

// always are the reasons that optional mode refuses, too.
var always = []string{"ambiguous", "malformed", "too_large", "unsupported"}

var reasonOutcomes = map[string]string{
	"": "verified", "missing": "anonymous", "partial": "anonymous", "invalid": "invalid", "ambiguous": "invalid",
	"expired": "expired", "widget_unknown": "invalid", "malformed": "malformed", "too_large": "malformed", "unsupported": "malformed",
}

const testNonce = "0123456789abcdefABCDEF_-01234567"

// members returns a signed claim as members of a JSON object, the signature's
// apart, since tests forge or leave it out.
func (w wire) members(user string, at time.Time) (unsigned, signature string) {
	unsigned = fmt.Sprintf(`"%s":"%s"`, w.user, user)
	message := user
	if w.dialect == "snapengage" {
		stamp := strconv.FormatInt(at.Unix(), 10)
		message += testNonce + stamp
		unsigned += fmt.Sprintf(`,"hmacNonce":"%s","hmacTimestamp":"%s"`, testNonce, stamp)
	}
	return unsigned, fmt.Sprintf(`"%s":"%s"`, w.signature, sign(message))
}

// outcomeCase is a row of the table: a body and what is left of it where its
// claim is not verified.
type outcomeCase struct {
	name, reason string
	body, left   string
	headers      []string // over X-Widget-Key and Content-Type
	bare         bool     // without X-Widget-Key
}

// secretive is a user id that no answer may repeat.
const secretive = "zoe-7f3a9"

func outcomeCases(w wire) []outcomeCase {
	claim, signature := w.members(secretive, time.Now())
	_, foreign := w.members("mallory", time.Now())
	id := fmt.Sprintf(`"%s":"%s"`, w.user, secretive)
	large := strings.Repeat("x", 4096)
	rows := []outcomeCase{
		{name: "match", body: `{` + claim + `,` + signature + `,"text":"hi"}`},
		{name: "nothing", reason: "missing", body: `{"text": "hi" }`, left: `{"text": "hi" }`},
		{name: "no object", reason: "missing", body: ` [1, 2]`, left: ` [1, 2]`},
		{name: "empty values", reason: "missing", body: `{"` + w.user + `":"","` + w.signature + `":null,"text":"hi"}`, left: `{"` + w.user + `":"","` + w.signature + `":null,"text":"hi"}`},
		{name: "opaque", reason: "missing", body: "plain", left: "plain", headers: []string{"Content-Type: text/plain"}},
		{name: "id alone", reason: "partial", body: `{"text":"hi",` + id + `}`, left: `{"text":"hi"}`},
		{name: "signature alone", reason: "partial", body: `{ ` + signature + `, "text":"hi"}`, left: `{  "text":"hi"}`},
		{name: "forged", reason: "invalid", body: `{` + claim + `,` + foreign + `,"text":"hi"}`, left: `{"text":"hi"}`},
		{name: "short digest", reason: "invalid", body: `{` + claim + `,"` + w.signature + `":"abc"}`, left: `{}`},
		{name: "twice", reason: "ambiguous", body: `{` + claim + `,` + signature + `,` + id + `}`},
		{name: "unknown widget", reason: "widget_unknown", body: `{` + claim + `,` + signature + `,"text":"hi"}`, left: `{"text":"hi"}`,
			headers: []string{"X-Widget-Key: nobody"}},
		{name: "no widget", reason: "widget_unknown", body: `{"text":"hi",` + claim + `,` + signature + `}`, left: `{"text":"hi"}`, bare: true},
		{name: "not JSON", reason: "malformed", body: `{` + claim + `,` + signature + `,}`},
		{name: "not UTF-8", reason: "malformed", body: "{\"a\":\"\xff\"," + claim + `,` + signature + `}`},
		{name: "wrong type", reason: "malformed", body: `{"` + w.user + `":true,` + signature + `}`},
		{name: "over the limit", reason: "malformed", body: `{"` + w.user + `":"` + strings.Repeat("x", 513) + `",` + signature + `}`},
		{name: "too large", reason: "too_large", body: `{"text":"` + large + `",` + claim + `,` + signature + `}`},
		{name: "encoded", reason: "unsupported", body: `{` + claim + `,` + signature + `}`, headers: []string{"Content-Encoding: gzip"}},
		{name: "charset", reason: "unsupported", body: `{` + claim + `,` + signature + `}`,
			headers: []string{"Content-Type: application/json; charset=utf-16"}},
	}
	if w.dialect == "snapengage" {
		for name, off := range map[string]time.Duration{"old": -6 * time.Minute, "ahead": 2 * time.Minute} {
			claim, signature := w.members(secretive, time.Now().Add(off))
			rows = append(rows, outcomeCase{name: name, reason: "expired", body: `{"text":"hi",` + claim + `,` + signature + `}`, left: `{"text":"hi"}`})
		}
	}
	return rows
}

// TestOutcomes goes through every row, mode and dialect, with a length and in chunks.
func TestOutcomes(t *testing.T) {
	var site strings.Builder
	for _, w := range wires {
		for _, mode := range []string{"off", "optional", "required"} {
			fmt.Fprintf(&site, `handle /%s/%s {
				chat_identity %[2]s {
					dialect %[1]s
					widget {header.X-Widget-Key}
					max_body 2KiB
				}
				reverse_proxy UPSTREAM
			}
			`, w.dialect, mode)
		}
	}
	g := start(t, "chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", site.String())
	for _, w := range wires {
		for _, mode := range []string{"off", "optional", "required"} {
			for _, row := range outcomeCases(w) {
				for _, chunked := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s/%s/%s/chunked=%v", w.dialect, mode, row.name, chunked), func(t *testing.T) {
						checkOutcome(t, w, mode, row, chunked, g.sendRow(t, "/"+w.dialect+"/"+mode, row, chunked))
					})
				}
			}
		}
	}
}

func (g *gateway) sendRow(t *testing.T, path string, row outcomeCase, chunked bool) *answered {
	t.Helper()
	r := g.request(t, "POST", path, row.body, chunked, jsonType)
	if !row.bare {
		r.Header.Set("X-Widget-Key", "shop")
	}
	for _, h := range row.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return g.send(t, r)
}

func checkOutcome(t *testing.T, w wire, mode string, row outcomeCase, chunked bool, a *answered) {
	t.Helper()
	refused := row.reason != "" && (mode == "required" || mode == "optional" && slices.Contains(always, row.reason))
	if refused {
		status, ok := w.answers[row.reason]
		if !ok {
			status = generalAnswers[row.reason]
		}
		checkProblem(t, a, status, row.reason, w.dialect)
		return
	}
	if a.StatusCode != 200 || a.seen == nil || a.body != "upstream" {
		t.Fatalf("not forwarded: %d %s", a.StatusCode, a.body)
	}
	want := map[string]string{"X-Identity-Outcome": "disabled"}
	body := row.body
	if mode != "off" {
		want["X-Identity-Outcome"] = reasonOutcomes[row.reason]
		if row.reason == "" {
			want["X-Verified-User"], want["X-Verified-Widget"] = secretive, "shop"
		} else {
			want["X-Identity-Reason"], body = row.reason, row.left
		}
	}
	if got := ourHeaders(a.seen); !maps.Equal(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	if a.seen.Body != body {
		t.Errorf("body %q, want %q", a.seen.Body, body)
	}
	length := int64(len(body))
	if chunked = chunked && (mode == "off" || row.name == "opaque"); chunked { // what is read goes on with its length
		length = -1
	}
	if a.seen.Chunked != chunked || a.seen.Length != length {
		t.Errorf("chunked %v, length %d; want %v, %d", a.seen.Chunked, a.seen.Length, chunked, length)
	}
}

var hexDigest = regexp.MustCompile("[0-9a-fA-F]{64}")

// ourHeaders returns what the upstream saw of this module's headers, by
// whatever name one could take for them.
func ourHeaders(s *seen) map[string]string {
	found := make(map[string]string)
	for name, values := range s.Header {
		folded := hop.Fold(name)
		if strings.HasPrefix(folded, "x-verified-") || strings.HasPrefix(folded, "x-identity-") {
			found[name] = strings.Join(values, " | ")
		}
	}
	return found
}

// checkProblem compares a refusal with the contract.
func checkProblem(t *testing.T, a *answered, status int, reason, dialect string) {
	t.Helper()
	if a.StatusCode != status || a.seen != nil {
		t.Fatalf("status %d, want %d; upstream saw %+v; %s", a.StatusCode, status, a.seen, a.body)
	}
	code := "identity_" + reason
	if dialect == "bookbag" && status == 401 {
		code = "identity_unverified"
	}
	var p map[string]any
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	detail, _ := p["detail"].(string)
	want := map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": float64(status), "code": code, "reason": reason, "detail": detail,
	}
	if !maps.Equal(p, want) {
		t.Errorf("problem %v, want %v", p, want)
	}
	if detail == "" || strings.Contains(a.body, secretive) || strings.Contains(a.body, "mallory") || hexDigest.MatchString(a.body) {
		t.Errorf("detail %q", detail)
	}
	equal(t, a.Header.Get("Content-Type"), "application/problem+json", "Content-Type")
	if got := a.Header["Cache-Control"]; !slices.Equal(got, []string{"no-store"}) {
		t.Errorf("Cache-Control %q", got)
	}
	var authenticate []string
	if status == 401 {
		authenticate = []string{"ChatIdentity"}
	}
	if got := a.Header["Www-Authenticate"]; !slices.Equal(got, authenticate) {
		t.Errorf("WWW-Authenticate %q, want %q", got, authenticate)
	}
}

// TestJudgement sends requests with two faults or more: the earlier reason is
// the one reported.
func TestJudgement(t *testing.T) {
	g := start(t, "chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", `chat_identity required {
		dialect snapengage
		widget {header.X-Widget-Key}
		max_body 1KiB
	}
	reverse_proxy UPSTREAM`)
	w := wires[4]
	old, oldSignature := w.members("zoe", time.Now().Add(-time.Hour))
	_, foreign := w.members("mallory", time.Now())
	large := `{"text":"` + strings.Repeat("x", 2000) + `"}`
	for _, c := range []struct {
		name, query, body string
		headers           []string
		want              string
	}{
		{"large and encoded", "", large, []string{"Content-Encoding: gzip"}, "too_large"},
		{"large and another charset", "", large, []string{"Content-Type: application/json; charset=utf-16"}, "too_large"},
		{"large and not JSON", "", strings.Repeat("{", 2000), nil, "too_large"},
		{"large and twice", "?user_id=a&user_id=b", large, nil, "too_large"},
		{"encoded and two types", "", "{}", []string{"Content-Encoding: br", "Content-Type: text/plain"}, "unsupported"},
		{"encoded and twice", "?user_id=a&user_id=b", "{}", []string{"Content-Encoding: br"}, "unsupported"},
		{"encoded and malformed", "?user_id=%zz", "{}", []string{"Content-Encoding: br"}, "unsupported"},
		{"malformed and twice", "?user_id=a&user_id=b", "{user_id", nil, "malformed"},
		{"wrong type and twice", "?user_id=a&user_id=b", `{"hmacSignature":{}}`, nil, "malformed"},
		{"malformed and unknown", "", "{user_id", []string{"X-Widget-Key: nobody"}, "malformed"},
		{"bad nonce and forged", "", strings.Replace(`{`+old+`,`+foreign+`}`, testNonce, "short", 1), nil, "malformed"},
		{"twice and nothing else", "", `{"user_id":"a","user_id":"b"}`, nil, "ambiguous"},
		{"variant and half", "", `{"USER_ID":"a","user_id":"b"}`, nil, "ambiguous"},
		{"twice and unknown", "", `{"user_id":"a","user_id":"b"}`, []string{"X-Widget-Key: nobody"}, "ambiguous"},
		{"two widgets and nothing else", "", `{}`, []string{"X-Widget-Key: shop", "X-Widget-Key: shop"}, "ambiguous"},
		{"two widgets and malformed", "", `{user_id`, []string{"X-Widget-Key: shop", "X-Widget-Key: shop"}, "malformed"},
		{"missing and unknown", "", `{}`, []string{"X-Widget-Key: nobody"}, "missing"},
		{"half and unknown", "", `{"user_id":"a"}`, []string{"X-Widget-Key: nobody"}, "partial"},
		{"unknown, forged and old", "", `{` + old + `,` + foreign + `}`, []string{"X-Widget-Key: nobody"}, "widget_unknown"},
		{"forged and old", "", `{` + old + `,` + foreign + `}`, nil, "invalid"},
		{"old", "", `{` + old + `,` + oldSignature + `}`, nil, "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := append([]string{}, c.headers...)
			if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "X-Widget-Key") }) {
				headers = append(headers, "X-Widget-Key: shop")
			}
			if !slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Content-Type: application") }) {
				headers = append(headers, jsonType)
			}
			a := g.do(t, "POST", "/chat"+c.query, c.body, headers...)
			checkProblem(t, a, generalAnswers[c.want], c.want, "snapengage")
		})
	}
}

// TestReject overrides statuses, which then hold in optional mode too.
func TestReject(t *testing.T) {
	g := chat(t, `chat_identity optional {
		secret {env.TEST_SECRET}
		reject invalid 403
		reject partial 401
		reject malformed 422
		reject too_large 400
		max_body 1KiB
	}`)
	forged := `{"user_id":"zoe","user_hash":"` + sign("ada") + `"}`
	checkProblem(t, g.post(t, forged), 403, "invalid", "bookbag")
	checkProblem(t, g.post(t, `{"user_id":"zoe"}`), 401, "partial", "bookbag")
	checkProblem(t, g.post(t, `{user_id`), 422, "malformed", "bookbag")
	checkProblem(t, g.post(t, `{"a":"`+strings.Repeat("x", 2000)+`"}`), 400, "too_large", "bookbag")
	checkProblem(t, g.post(t, `{"user_id":"a","user_id":"b"}`), 400, "ambiguous", "bookbag")
	if a := g.post(t, `{"text":"hi"}`); a.StatusCode != 200 || a.seen.user() != "" {
		t.Errorf("anonymous: %d", a.StatusCode)
	}
	equal(t, verdict(t, g.post(t, claim("zoe"))), "zoe", "verified")
}

// TestRejectOverDialect: the operator's status wins over the product's.
func TestRejectOverDialect(t *testing.T) {
	for _, dialect := range []string{"bookbag", "replybubble"} {
		g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\ndialect "+dialect+"\nreject missing 418\nreject widget_unknown 401\n}")
		checkProblem(t, g.post(t, `{}`), 418, "missing", dialect)
	}
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\nreject missing 499\n}")
	if p := g.post(t, `{}`).problem(t); p.Status != 499 || p.Title == "" {
		t.Errorf("%+v", p)
	}
	g = start(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\nreject widget_unknown 401\n}\nreverse_proxy UPSTREAM")
	checkProblem(t, g.post(t, claim("zoe")), 401, "widget_unknown", "bookbag")
}

// errorSite lets error routes show what they know of a refused request.
const errorSite = `
	handle_errors {
		FIRST
		header X-Reason {http.chat_identity.reason}
		header X-Outcome {http.chat_identity.outcome}
		header X-Status {err.status_code}
		header X-Message {err.message}
		header X-Orig {http.request.orig_uri}
		header X-Orig-Query "q={http.request.orig_uri.query}"
		header X-Uri {http.request.uri}
		header X-Method {http.request.method}
		reverse_proxy UPSTREAM {
			header_up X-Seen-Orig {http.request.orig_uri}
			header_up X-Seen-Uri {uri}
		}
	}`

// TestRefuseError: the error routes get the status and the reason, and nothing
// of the request that anyone could believe. Handlers that copy the request before
// chat_identity must not bring it back.
func TestRefuseError(t *testing.T) {
	forged := `{"user_id":"victim","user_hash":"` + sign("ada") + `"}`
	for before, first := range map[string]string{
		"": "", "tracing\n": "chat_identity off", "rewrite /api{uri}\n": "", "uri strip_prefix /chat\n": "chat_identity off",
	} {
		g := start(t, "", before+"chat_identity required {\nsecret {env.TEST_SECRET}\nrefuse error\nmax_body 1KiB\nclaim user_id body /user_id\nclaim user_id query user_id\nclaim user_id header X-User\nclaim user_id cookie uid\n}\nreverse_proxy UPSTREAM\n"+strings.Replace(errorSite, "FIRST", first, 1))
		for _, c := range []struct {
			name, path, body string
			headers          []string
			status           int
			reason           string
		}{
			{"forged", "/chat/x?a=1&user_id=victim&user_hash=" + sign("ada") + "&b=2", forged, nil, 401, "invalid"},
			{"half", "/chat/x?user_id=victim", `{"text":"hi"}`, nil, 401, "partial"},
			{"missing", "/chat/x?a=1", `{"text":"hi"}`, nil, 401, "missing"},
			{"twice", "/chat/x?a=1&user_id=victim&user_id=ada", "", nil, 400, "ambiguous"},
			{"variant", "/chat/x?a=1&User.Id=victim", "", nil, 401, "partial"},
			{"variants", "/chat/x?a=1&User_Id=victim&user.id=ada", "", nil, 400, "ambiguous"},
			{"malformed", "/chat/x?a=1&user_id=victim", "{user_id", nil, 400, "malformed"},
			{"bad escape", "/chat/x?a=1&user_id=victim%zz", "", nil, 400, "malformed"},
			{"encoded", "/chat/x?user_id=victim", forged, []string{"Content-Encoding: gzip", "Content-Digest: x"}, 415, "unsupported"},
			{"header and cookie", "/chat/x", "", []string{"X-User: victim", "Cookie: a=1; uid=victim; b=2"}, 401, "partial"},
			{"large", "/chat/x?user_id=victim", `{"text":"` + strings.Repeat("x", 2<<10) + `"}`, nil, 413, "too_large"},
		} {
			t.Run(fmt.Sprintf("%.8s/%s", before, c.name), func(t *testing.T) {
				a := g.do(t, "POST", c.path, c.body, append(c.headers, jsonType, "X-Verified-User: victim", "Connection: X-Verified-User")...)
				if a.seen == nil {
					t.Fatalf("%d: the error routes did not reach their upstream", a.StatusCode)
				}
				if got := a.Header.Get("X-Status") + " " + a.Header.Get("X-Reason"); got != fmt.Sprintf("%d %s", c.status, c.reason) {
					t.Errorf("status and reason %q, want %d %s", got, c.status, c.reason)
				}
				if a.Header.Get("X-Outcome") != reasonOutcomes[c.reason] || a.Header.Get("X-Method") != "POST" {
					t.Errorf("outcome %q, method %q", a.Header.Get("X-Outcome"), a.Header.Get("X-Method"))
				}
				if a.Header.Get("Cache-Control") != "no-store" || c.status == 401 != (a.Header.Get("WWW-Authenticate") == "ChatIdentity") {
					t.Errorf("headers %v", a.Header)
				}
				if got := fmt.Sprintf("%+v %v", *a.seen, a.Header); strings.Contains(got, "victim") {
					t.Errorf("the claim is still there: %s", got)
				}
				if a.seen.Body != "" || a.seen.Length != 0 || a.seen.Chunked || a.seen.Header.Get("Content-Type") != "" {
					t.Errorf("body %q of length %d, chunked %v, type %q", a.seen.Body, a.seen.Length, a.seen.Chunked, a.seen.Header.Get("Content-Type"))
				}
				if strings.Contains(c.path, "a=1") && c.name != "bad escape" && !strings.Contains(a.Header.Get("X-Orig"), "a=1") {
					t.Errorf("original URI %q lost more than the claim", a.Header.Get("X-Orig"))
				}
				if !strings.HasPrefix(a.seen.URI, "/chat/x") {
					t.Errorf("URI %q", a.seen.URI)
				}
			})
		}
	}
}

// TestRefuseErrorStatus: without error routes the status is the same, and
// within an error route that answers itself.
func TestRefuseErrorStatus(t *testing.T) {
	directive := "chat_identity required {\nsecret {env.TEST_SECRET}\nrefuse error\n}\n"
	for _, errors := range []string{"", "handle_errors {\nrespond {http.chat_identity.reason} {err.status_code}\n}\n"} {
		g := start(t, "", directive+errors+"reverse_proxy UPSTREAM")
		for body, want := range map[string]int{`{}`: 401, `{`: 401, `{user_id`: 400, `{"user_id":"a","user_id":"b"}`: 400} {
			if a := g.post(t, body); a.StatusCode != want || a.seen != nil {
				t.Errorf("%q: %d, want %d", body, a.StatusCode, want)
			}
		}
	}
}

// TestUnverifiedKeep leaves the claim to the upstream, but no header of ours.
func TestUnverifiedKeep(t *testing.T) {
	g := chat(t, "chat_identity optional {\nsecret {env.TEST_SECRET}\nunverified keep\n}")
	body := `{"user_id":"zoe", "user_hash":"` + sign("ada") + `"}`
	a := g.do(t, "POST", "/chat?user_id=zoe", body, jsonType, "X-Verified-User: zoe")
	if a.StatusCode != 200 || a.seen.Body != body || a.seen.URI != "/chat?user_id=zoe" {
		t.Errorf("%d %+v", a.StatusCode, a.seen)
	}
	if want := map[string]string{"X-Identity-Outcome": "invalid", "X-Identity-Reason": "invalid"}; !maps.Equal(ourHeaders(a.seen), want) {
		t.Errorf("headers %v", ourHeaders(a.seen))
	}
}

// TestModeFloors: a widget may be stricter than the written mode, never laxer.
func TestModeFloors(t *testing.T) {
	var global, site strings.Builder
	for _, mode := range []string{"", "off", "optional", "required"} {
		line := ""
		if mode != "" {
			line = "mode " + mode
		}
		fmt.Fprintf(&global, "widget w%s {\nsecret {env.TEST_SECRET}\n%s\n}\n", mode, line)
		fmt.Fprintf(&site, "handle /%s- {\nchat_identity %[1]s {\nwidget {query.w}\n}\nreverse_proxy UPSTREAM\n}\n", mode)
	}
	g := start(t, "chat_identity {\n"+global.String()+"}", site.String())
	order := []string{"off", "optional", "required"}
	for _, written := range []string{"", "off", "optional", "required"} {
		for _, own := range []string{"", "off", "optional", "required"} {
			want := max(slices.Index(order, written), slices.Index(order, own))
			if want < 0 {
				want = 1
			}
			a := g.do(t, "POST", "/"+written+"-?w=w"+own, `{"user_id":"zoe"}`, jsonType)
			got := order[2]
			if a.seen != nil {
				if got = order[0]; a.seen.Header.Get("X-Identity-Outcome") == "anonymous" {
					got = order[1]
				}
				if cut := a.seen.Body == `{}`; cut != (got == "optional") {
					t.Errorf("handler %q, widget %q: body %q", written, own, a.seen.Body)
				}
			}
			if got != order[want] {
				t.Errorf("handler %q, widget %q: acted as %s, want %s", written, own, got, order[want])
			}
		}
	}
}

// TestWidgetNames: a request names its widget once, in one spelling.
func TestWidgetNames(t *testing.T) {
	widgets := "chat_identity {\nwidget a {\nsecret {env.TEST_SECRET}\n}\nwidget b {\nsecret another-secret-of-16-bytes\n}\n" +
		"widget off {\nsecret {env.TEST_SECRET}\nmode off\n}\n}"
	site := ""
	for path, widget := range map[string]string{
		"header": "{header.X-Widget-Key}", "query": "{query.w}", "cookie": "{cookie.w}", "body": "body /meta/w", "two": "{query.x}{query.y}",
	} {
		site += "handle /" + path + " {\nchat_identity {\nwidget " + widget + "\n}\nreverse_proxy UPSTREAM\n}\n"
	}
	g := start(t, widgets, site+"handle /inviaro {\nchat_identity {\ndialect inviaro\n}\nreverse_proxy UPSTREAM\n}\n")
	signed := `{"user_id":"zoe","user_hash":"` + sign("zoe") + `"}`
	in := func(members string) string { return `{` + members + `,` + signed[1:] }
	for _, c := range []struct {
		path, body string
		headers    []string
		want       string // the outcome forwarded with, or the reason refused for
	}{
		{"/header", signed, []string{"X-Widget-Key: a"}, "verified"},
		{"/header", signed, []string{"X-Widget-Key: b"}, "invalid"},
		{"/header", signed, []string{"X-Widget-Key: off"}, "disabled"},
		{"/header", signed, []string{"X-Widget-Key: default"}, "widget_unknown"},
		{"/header", signed, []string{"X-Widget-Key: nobody"}, "widget_unknown"},
		{"/header", signed, []string{"X-Widget-Key: "}, "widget_unknown"},
		{"/header", signed, []string{"X-Widget-Key: a,b"}, "widget_unknown"},
		{"/header", signed, []string{"X-Widget-Key: A"}, "widget_unknown"},
		{"/header", signed, []string{"X-Widget-Key: {env.TEST_SECRET}"}, "widget_unknown"},
		{"/header", signed, nil, "widget_unknown"},
		{"/header", signed, []string{"X-Widget-Key: a", "X-Widget-Key: a"}, "ambiguous"},
		{"/header", signed, []string{"X-Widget-Key: off", "x-widget-key: a"}, "ambiguous"},
		{"/query?w=a", signed, nil, "verified"},
		{"/query?w=%61", signed, nil, "verified"},
		{"/query?w=default", signed, nil, "widget_unknown"},
		{"/query?w=off", signed, nil, "disabled"},
		{"/query?W=a", signed, nil, "widget_unknown"},
		{"/query?w=a&w=b", signed, nil, "ambiguous"},
		{"/query?w=a&W=b", signed, nil, "ambiguous"},
		{"/query?w=off&w[]=b", signed, nil, "ambiguous"},
		{"/query?w=off&%77=b", signed, nil, "ambiguous"},
		{"/query?w=off&x=1;w=b", signed, nil, "ambiguous"},
		{"/query?w=off&w=%zz", signed, nil, "malformed"},
		{"/cookie", signed, []string{"Cookie: w=a"}, "verified"},
		{"/cookie", signed, []string{"Cookie: w=default"}, "widget_unknown"},
		{"/cookie", signed, []string{"Cookie: w=off; w=b"}, "ambiguous"},
		{"/cookie", signed, []string{"Cookie: w=off; W=b"}, "ambiguous"},
		{"/cookie", signed, []string{"Cookie: w=off", "Cookie: w=b"}, "ambiguous"},
		{"/body", in(`"meta":{"w":"a"}`), nil, "verified"},
		{"/body", in(`"meta":{"w":"b"}`), nil, "invalid"},
		{"/body", in(`"meta":{"w":"off"}`), nil, "disabled"},
		{"/body", in(`"meta":{"w":"default"}`), nil, "widget_unknown"},
		{"/body", in(`"meta":{"w":"off","w":"b"}`), nil, "ambiguous"},
		{"/body", in(`"meta":{"w":"off"},"meta":{"w":"b"}`), nil, "ambiguous"},
		{"/body", in(`"meta":{"w":"off"},"Meta":{"w":"b"}`), nil, "ambiguous"},
		{"/body", in(`"meta":{"w":"off","W":"b"}`), nil, "ambiguous"},
		{"/body", in(`"meta":{"w":1}`), nil, "malformed"},
		{"/body", in(`"meta":"a"`), nil, "widget_unknown"},
		{"/two?x=o&y=ff", signed, nil, "disabled"},
		{"/two?x=o&y=ff&y=f", signed, nil, "ambiguous"},
		{"/inviaro", in(`"key":"a"`), nil, "verified"},
		{"/inviaro", in(`"key":"b"`), nil, "invalid"},
		{"/inviaro?key=a", signed, nil, "verified"},
		{"/inviaro?key=a", in(`"key":"a"`), nil, "verified"},
		{"/inviaro?key=a", in(`"key":"b"`), nil, "ambiguous"},
		{"/inviaro?key=off", in(`"key":"b"`), nil, "ambiguous"},
		{"/inviaro", in(`"key":"off","key":"b"`), nil, "ambiguous"},
		{"/inviaro", in(`"key":"off","Key":"b"`), nil, "ambiguous"},
		{"/inviaro", in(`"key":"default"`), nil, "widget_unknown"},
		{"/inviaro", signed, nil, "widget_unknown"},
	} {
		a := g.do(t, "POST", c.path, c.body, append([]string{jsonType}, c.headers...)...)
		got := string(a.problem(t).Reason)
		if a.seen != nil {
			if got = a.seen.Header.Get("X-Identity-Reason"); got == "" {
				got = a.seen.Header.Get("X-Identity-Outcome")
			}
			if verified := c.want == "verified"; verified != (a.seen.user() == "zoe") {
				t.Errorf("%s %s: user %q", c.path, c.body, a.seen.user())
			}
		}
		if got != c.want {
			t.Errorf("%s %s %v: %d %s, want %s", c.path, c.body, c.headers, a.StatusCode, got, c.want)
		}
	}
}

// TestWidgetDialects: a widget's own dialect wins, also where the body names
// the widget, and a handler with a claim of its own takes no other.
func TestWidgetDialects(t *testing.T) {
	global, site := "chat_identity {\n", ""
	for _, w := range wires {
		global += "widget " + w.dialect + " {\nsecret {env.TEST_SECRET}\ndialect " + w.dialect + "\n}\n"
	}
	for path, options := range map[string]string{
		"header": "widget {header.X-Widget-Key}", "body": "widget body /w", "inviaro": "dialect inviaro",
		"own": "widget body /w\nclaim user_id body /user_id\nclaim signature body /user_hash",
	} {
		site += "handle /" + path + " {\nchat_identity required {\n" + options + "\n}\nreverse_proxy UPSTREAM {\nheader_up X-Dialect {http.chat_identity.dialect}\n}\n}\n"
	}
	g := start(t, global+"}", site)
	for _, w := range wires {
		claim, signature := w.members("zoe", time.Now())
		_, foreign := w.members("mallory", time.Now())
		body := fmt.Sprintf(`{"w":"%s","key":"%[1]s",%s,`, w.dialect, claim)
		for _, path := range []string{"/header", "/body", "/inviaro"} {
			a := g.do(t, "POST", path, body+signature+"}", jsonType, "X-Widget-Key: "+w.dialect)
			if a.seen == nil || a.seen.user() != "zoe" || a.seen.Header.Get("X-Verified-Widget") != w.dialect || a.seen.Header.Get("X-Dialect") != w.dialect {
				t.Errorf("%s in %s: %d %s %+v", w.dialect, path, a.StatusCode, a.body, a.seen)
			}
			checkForged := g.do(t, "POST", path, body+foreign+"}", jsonType, "X-Widget-Key: "+w.dialect)
			status, ok := w.answers["invalid"]
			if !ok {
				status = generalAnswers["invalid"]
			}
			checkProblem(t, checkForged, status, "invalid", w.dialect)
		}
		a := g.do(t, "POST", "/own", `{"w":"`+w.dialect+`","user_id":"zoe","user_hash":"`+sign("zoe")+`"}`, jsonType)
		if verified := a.seen != nil; verified != (w.dialect == "bookbag") {
			t.Errorf("own claim, widget of %s: %d %s", w.dialect, a.StatusCode, a.body)
		} else if !verified {
			checkProblem(t, a, 403, "widget_unknown", "bookbag")
		}
	}
	// A second key must not be forgotten with the first one's dialect.
	claim, signature := wires[0].members("zoe", time.Now())
	a := g.do(t, "POST", "/inviaro", `{"key":"bookbag","key":"nextcap",`+claim+`,`+signature+`}`, jsonType)
	checkProblem(t, a, 400, "ambiguous", "inviaro")
}

// TestFreshness: seconds and milliseconds, old and ahead, with the bounds as
// written and by default.
func TestFreshness(t *testing.T) {
	for options, bounds := range map[string][2]time.Duration{
		"": {5 * time.Minute, 30 * time.Second}, "max_age 1h\nskew 10m": {time.Hour, 10 * time.Minute}, "max_age 1m\nskew 0s": {time.Minute, 0},
	} {
		g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\ndialect snapengage\n"+options+"\n}")
		for _, c := range []struct {
			at   time.Duration
			want bool
		}{
			{-time.Second, true}, {-bounds[0] + 10*time.Second, true}, {-bounds[0] - 10*time.Second, false},
			{bounds[1] - 10*time.Second, true}, {bounds[1] + 10*time.Second, false}, {24 * 365 * time.Hour, false}, {-24 * 365 * time.Hour, false},
		} {
			for _, quoted := range []string{`"%s"`, `%s`} {
				for width, stamp := range []string{
					strconv.FormatInt(time.Now().Add(c.at).Unix(), 10), strconv.FormatInt(time.Now().Add(c.at).UnixMilli(), 10),
				} {
					a := g.post(t, fmt.Sprintf(`{"user_id":"zoe","hmacSignature":"%s","hmacNonce":"%s","hmacTimestamp":`+quoted+`}`,
						sign("zoe"+testNonce+stamp), testNonce, stamp))
					if !c.want {
						checkProblem(t, a, 401, "expired", "snapengage")
					} else if a.seen == nil || a.seen.user() != "zoe" {
						t.Errorf("%q: %v, width %d: %d %s", options, c.at, width, a.StatusCode, a.body)
					}
				}
			}
		}
	}
}

// placeholders are all that the module sets, but {http.auth.user.id}.
var placeholders = []string{"outcome", "reason", "user", "widget", "mode", "dialect", "email", "name", "attributes.plan", "attributes.none"}

// TestPlaceholders: each is set in every mode, empty where there is nothing to say.
func TestPlaceholders(t *testing.T) {
	var show strings.Builder
	for _, name := range placeholders {
		fmt.Fprintf(&show, "%s=<{http.chat_identity.%[1]s}> ", name)
	}
	site := ""
	for _, c := range []string{"off", "optional", "required"} {
		site += "handle /" + c + " {\nchat_identity " + c + " {\nsecret {env.TEST_SECRET}\n}\nrespond `" + show.String() + "`\n}\n"
	}
	g := start(t, "", site+"handle /none {\nchat_identity /nowhere required {\nsecret {env.TEST_SECRET}\n}\nrespond `"+show.String()+"`\n}\n"+
		"handle /id {\nchat_identity {\nsecret {env.TEST_SECRET}\n}\nrespond \"id {http.auth.user.id}\"\n}\n")
	verified := `{"user_id":"zoë {env.TEST_SECRET}","user_hash":"` + sign("zoë {env.TEST_SECRET}") +
		`","user_metadata":{"name":"Zoë A.","email":"zoe@example.com","plan":"gold"}}`
	anonymous := map[string]string{"outcome": "anonymous", "reason": "missing", "widget": "default", "mode": "optional", "dialect": "bookbag"}
	for _, c := range []struct {
		method, path, body string
		want               map[string]string
	}{
		{"POST", "/off", verified, map[string]string{"outcome": "disabled", "widget": "default", "mode": "off", "dialect": "bookbag"}},
		{"POST", "/none", verified, nil},
		{"OPTIONS", "/optional", "", nil},
		{"POST", "/optional", `{}`, anonymous},
		{"POST", "/optional", `{"user_metadata":{"plan":"gold"}}`, anonymous},
		{"POST", "/optional", strings.Replace(verified, "zoë", "zoe", 1), map[string]string{
			"outcome": "invalid", "reason": "invalid", "widget": "default", "mode": "optional", "dialect": "bookbag"}},
		{"POST", "/required", verified, map[string]string{"outcome": "verified", "user": "zoë {env.TEST_SECRET}", "widget": "default",
			"mode": "required", "dialect": "bookbag", "email": "zoe@example.com", "name": "Zoë A.", "attributes.plan": "gold"}},
	} {
		a := g.do(t, c.method, c.path, c.body, jsonType, "Origin: https://example.com", "Access-Control-Request-Method: POST")
		var want strings.Builder
		for _, name := range placeholders {
			fmt.Fprintf(&want, "%s=<%s> ", name, c.want[name])
		}
		if a.body != want.String() {
			t.Errorf("%s %s %s\n got %s\nwant %s", c.method, c.path, c.body, a.body, want.String())
		}
	}
	if a := g.do(t, "POST", "/id", claim("zoe"), jsonType); strings.Contains(a.body, "zoe") {
		t.Errorf("{http.auth.user.id} is %q", a.body)
	}
}

// TestMatcher: routes choose by outcome, one or several, by the matcher or by
// a placeholder.
func TestMatcher(t *testing.T) {
	g := start(t, "", `@known chat_identity verified
	@doubtful chat_identity invalid anonymous
	@forger vars {http.chat_identity.outcome} invalid
	@expression expression {http.chat_identity.outcome} == "verified"
	route {
		chat_identity optional {
			secret {env.TEST_SECRET}
		}
		header @expression X-Expression yes
		header @forger X-Forger yes
		header @doubtful X-Doubtful yes
		respond @known known
		respond unknown
	}`)
	for body, want := range map[string]string{
		claim("zoe"): "known yes  ", `{}`: "unknown   yes", `{"user_id":"zoe","user_hash":"` + sign("ada") + `"}`: "unknown  yes yes",
	} {
		a := g.post(t, body)
		got := strings.Join([]string{a.body, a.Header.Get("X-Expression"), a.Header.Get("X-Forger"), a.Header.Get("X-Doubtful")}, " ")
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	// Where no handler ran there is no outcome, not even "disabled".
	g = start(t, "", "@any chat_identity disabled anonymous verified invalid expired replayed unavailable malformed\nrespond @any matched\nrespond none")
	if a := g.post(t, claim("zoe")); a.body != "none" {
		t.Errorf("matched without a handler: %s", a.body)
	}
}

// TestPreflight: a CORS preflight passes without claim and headers, whatever
// the mode of its widget; what only looks like one does not.
func TestPreflight(t *testing.T) {
	g := start(t, "chat_identity {\nwidget strict {\nsecret {env.TEST_SECRET}\nmode required\ndialect nextcap\n}\n}",
		`handle /chat {
			chat_identity required {
				secret {env.TEST_SECRET}
			}
			reverse_proxy UPSTREAM
		}
		handle /off {
			chat_identity off {
				widget {query.w}
			}
			reverse_proxy UPSTREAM
		}`)
	preflight := []string{"Origin: https://example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type",
		"X-Verified-User: zoe", "X-Identity-Outcome: verified"}
	for path, want := range map[string]string{
		"/chat": "/chat", "/chat?a=1&user_id=zoe&user_hash=x": "/chat?a=1", "/chat?USER_ID=zoe&user_id=a&user_id=b": "/chat", "/chat?user_id=%zz": "/chat",
		"/off?w=strict&userId=zoe&userHash=x": "/off?w=strict",
	} {
		a := g.do(t, "OPTIONS", path, "", preflight...)
		if a.StatusCode != 200 || a.seen == nil || a.seen.URI != want || len(ourHeaders(a.seen)) > 0 || a.seen.Header.Get("Origin") == "" {
			t.Errorf("%s: %d %s %+v", path, a.StatusCode, a.body, a.seen)
		}
	}
	for name, a := range map[string]*answered{
		"with a body":     g.do(t, "OPTIONS", "/chat", `{"text":"hi"}`, append(preflight, jsonType)...),
		"without Origin":  g.do(t, "OPTIONS", "/chat", "", preflight[1:]...),
		"without method":  g.do(t, "OPTIONS", "/chat", "", preflight[0]),
		"another method":  g.do(t, "POST", "/chat", "", preflight...),
		"to a strict one": g.do(t, "OPTIONS", "/off?w=strict", `{"text":"hi"}`, append(preflight, jsonType)...),
	} {
		if a.StatusCode != 401 || a.seen != nil {
			t.Errorf("%s: %d %+v", name, a.StatusCode, a.seen)
		}
	}
}

// TestMethods: every method with a body is judged by it, and HEAD by its query.
func TestMethods(t *testing.T) {
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\n}")
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		a := g.do(t, method, "/chat", claim("zoe"), jsonType)
		if a.StatusCode != 200 || a.seen == nil || a.seen.user() != "zoe" || a.seen.Body != claim("zoe") || a.seen.Method != method {
			t.Errorf("%s: %d %+v", method, a.StatusCode, a.seen)
		}
		checkProblem(t, g.do(t, method, "/chat", `{"user_id":"zoe","user_hash":"`+sign("ada")+`"}`, jsonType), 401, "invalid", "bookbag")
		checkProblem(t, g.do(t, method, "/chat", ``), 401, "missing", "bookbag")
	}
	equal(t, verdict(t, g.do(t, "HEAD", "/chat?user_id=zoe&user_hash="+sign("zoe"), "")), "zoe", "HEAD")
	a := g.do(t, "HEAD", "/chat?user_id=zoe&user_hash="+sign("ada"), "")
	if a.StatusCode != 401 || a.seen != nil || a.body != "" || a.Header.Get("Content-Type") != "application/problem+json" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("HEAD of a forged claim: %d %v %q", a.StatusCode, a.Header, a.body)
	}
}

// TestConnect: a plain CONNECT is refused where anything is verified.
func TestConnect(t *testing.T) {
	for _, mode := range []string{"required", "optional", ""} {
		g := chat(t, "chat_identity "+mode+" {\nsecret {env.TEST_SECRET}\n}")
		answer := g.raw(t, g.wire("CONNECT", g.host(), ""))
		if statusOf(answer) != 405 || !strings.Contains(answer, "\r\nCache-Control: no-store\r\n") || !strings.Contains(answer, "\r\nAllow: ") || g.upstream.take() != nil {
			t.Errorf("mode %q: %.300s", mode, answer)
		}
	}
}

// TestClientStops: a client that stops in the middle of its body gets a 400, in
// optional mode too. Nothing of a body that is read has reached the upstream then.
func TestClientStops(t *testing.T) {
	signed, query := claim("zoe"), "?user_id=zoe&user_hash="+sign("zoe")
	const inHead = "claim user_id header X-User\nclaim signature header X-Signature\n"
	const chunked = "Transfer-Encoding: chunked\r\n\r\n"
	for _, mode := range []string{"optional", "required"} {
		handle := func(options string) string {
			return "{\nchat_identity " + mode + " {\nsecret {env.TEST_SECRET}\n" + options + "}\nreverse_proxy UPSTREAM\n}\n"
		}
		g := start(t, "", "handle /head "+handle(inHead)+"handle "+handle(""))
		var reached sync.Map // the cases; the client may be answered before the upstream knows that there is no more
		g.answers(func(_ http.ResponseWriter, r *http.Request) { reached.Store(r.Header.Get("X-Case"), true) })
		passes := func(name string) bool { return strings.HasPrefix(name, "opaque") || strings.HasPrefix(name, "unread") }
		for name, c := range map[string][2]string{
			"JSON":            {"/chat", jsonType + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(signed)+1, signed)},
			"JSON, half":      {"/chat", jsonType + "\r\nContent-Length: 100\r\n\r\n" + signed[:20]},
			"nothing":         {"/chat", jsonType + "\r\nContent-Length: 5\r\n\r\n"},
			"chunk":           {"/chat", jsonType + "\r\n" + chunked + "ffff\r\n" + signed},
			"no last chunk":   {"/chat", jsonType + "\r\n" + chunked + fmt.Sprintf("%x\r\n%s\r\n", len(signed), signed)},
			"bad last chunk":  {"/chat", jsonType + "\r\n" + chunked + fmt.Sprintf("%x\r\n%s\r\nxyz\r\n", len(signed), signed)},
			"bad chunk":       {"/chat", jsonType + "\r\n" + chunked + "zz\r\n{\"a\":"},
			"form":            {"/chat", "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 90\r\n\r\nuser_id=zoe"},
			"untyped":         {"/chat", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(signed)+5, signed)},
			"unclear":         {"/chat", "Content-Length: 5\r\n\r\n  {"},
			"chunks, unclear": {"/chat", chunked + "2\r\n{ \r\n"},
			"not begun":       {"/chat", chunked},
			"opaque":          {"/chat" + query, "Content-Type: text/plain\r\nContent-Length: 100\r\n\r\nhello"},
			"opaque, chunked": {"/chat" + query, "Content-Type: text/plain\r\n" + chunked + "5\r\nhello\r\n"},
			"opaque, later":   {"/chat" + query, "Content-Type: text/plain\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 150000)},
			"unread":          {"/head", "X-User: zoe\r\nX-Signature: " + sign("zoe") + "\r\nContent-Length: 100\r\n\r\nhello"},
			"unread, chunked": {"/head", "X-User: zoe\r\nX-Signature: " + sign("zoe") + "\r\n" + chunked + "zz\r\n"},
		} {
			answer := g.halfClosed(t, "POST "+c[0]+" HTTP/1.1\r\nHost: "+g.host()+"\r\nX-Case: "+name+"\r\n"+c[1])
			if statusOf(answer) == 499 && passes(name) {
				continue // the proxy was first to see that the client is gone
			}
			if statusOf(answer) != 400 || !strings.Contains(answer, `"reason":"malformed"`) || !strings.Contains(answer, "Cache-Control: no-store") {
				t.Errorf("%s, %s: %.300s", mode, name, answer)
			}
		}
		g.upstream.Close() // waits for what it has begun
		for name := range reached.Range {
			if !passes(name.(string)) {
				t.Errorf("%s, %s: reached the upstream", mode, name)
			}
		}
	}
}

// TestUpstreamStops: an error of the upstream is not reported as the client's.
func TestUpstreamStops(t *testing.T) {
	g := chat(t, "chat_identity {\nsecret {env.TEST_SECRET}\n}")
	g.upstream.Close()
	for _, kind := range []string{"text/plain", "application/json"} {
		body := claim("zoe")
		if kind == "text/plain" {
			body = strings.Repeat("x", 1<<20)
		}
		equal(t, g.do(t, "POST", "/chat", body, "Content-Type: "+kind).StatusCode, 502, "%s", kind)
	}
}

// TestRefusalArrives: a client that is still sending gets its answer, and not
// a connection that is reset.
func TestRefusalArrives(t *testing.T) {
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\n}")
	large := `{"text":"` + strings.Repeat("x", 6<<20) + `"}`
	for range 20 {
		checkProblem(t, g.post(t, large), 413, "too_large", "bookbag")
		checkProblem(t, g.do(t, "POST", "/chat", large, "Content-Encoding: gzip", "Content-Type: text/plain"), 415, "unsupported", "bookbag")
	}
}
