package dialects_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

const secret = "5f1c0c9c2ce2d7a9b1c6a0e4b1d4a7c38a1c0c9c2ce2d7a9b1c6a0e4b1d4a7c3"

// product is what a page of one product sends: a claim as JSON, in which ID and MAC stand for
// the user's id and its signature, with what else the documented call has.
type product struct {
	claim  string
	ids    []string
	email  string            // the same by e-mail address, where an id may be missing
	token  string            // the same by token, with TOKEN, where there is one
	beside string            // a member that such a token may have beside it
	users  []string          // the payloads of such tokens, all of the user "ada"
	heads  map[string]string // what the upstream reads beside the user
	query  bool              // whether the query is read, too
	raw    bool              // whether the key is what the secret's hex digits stand for
	all    int               // what every unverified claim is refused with, where it is one status
}

var (
	people    = []string{"user-123", "42", "名前 🦊"}
	addresses = []string{"ada@example.com", "zoë@exämple.com"}
	named     = map[string]string{"X-Identity-Name": "Ada%20L", "X-Verified-Widget": "default"}
)

var products = map[string]product{
	"tawk": {
		claim: `{"userId":"ID","hash":"MAC","name":"Ada L","phone":"555","text":"hi"}`, ids: people,
		email: `{"email":"ID","hash":"MAC","name":"Ada L","phone":"555","text":"hi"}`,
		heads: map[string]string{"X-Identity-Name": "Ada%20L", "X-Identity-Attributes": `{"phone":"555"}`},
	},
	"crisp":     {claim: `{"email":"ID","signature":"MAC","name":"Ada L","text":"hi"}`, ids: addresses, heads: named},
	"helpscout": {claim: `{"email":"ID","signature":"MAC","name":"Ada L","text":"hi"}`, ids: addresses, heads: named},
	"front":     {claim: `{"email":"ID","userHash":"MAC","name":"Ada L","text":"hi"}`, ids: addresses, heads: named},
	"plain":     {claim: `{"customerDetails":{"email":"ID","emailHash":"MAC","fullName":"Ada L"},"text":"hi"}`, ids: addresses, heads: named},
	"pylon": {
		claim: `{"chat_settings":{"email":"ID","email_hash":"MAC","name":"Ada L","app_id":"00000000-0000-4000-8000-000000000000"},"text":"hi"}`,
		ids:   addresses, raw: true,
		heads: map[string]string{"X-Identity-Name": "Ada%20L", "X-Verified-Widget": "00000000-0000-4000-8000-000000000000"},
	},
	"chatbase": {
		claim: `{"user_id":"ID","user_hash":"MAC","user_metadata":{"name":"Ada L","plan":"growth"},"text":"hi"}`, ids: people,
		token: `{"token":"TOKEN","user_metadata":{"name":"Ada L","plan":"growth"},"text":"hi"}`, users: []string{`"user_id":"ada"`},
		heads: map[string]string{"X-Identity-Name": "Ada%20L", "X-Identity-Attributes": `{"plan":"growth"}`},
		query: true, all: 401,
	},
	"featurebase": {
		claim: `{"userId":"ID","userHash":"MAC","name":"Ada L","organization":"example","text":"hi"}`, ids: people,
		email:  `{"email":"ID","userHash":"MAC","name":"Ada L","organization":"example","text":"hi"}`,
		token:  `{"featurebaseJwt":"TOKEN","name":"Ada L","organization":"example","text":"hi"}`,
		beside: `"email":"zoe@example.com",`,
		users:  []string{`"userId":"ada","email":"zoe"`, `"email":"ada"`},
		heads:  map[string]string{"X-Identity-Name": "Ada%20L", "X-Verified-Widget": "example"},
	},
}

// answers are the statuses of required mode.
var answers = map[string]int{"missing": 401, "partial": 401, "invalid": 403, "expired": 401}

// TestExamples runs every file of this folder as it is, but for the mode, the site's address
// and the backend's.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("*.Caddyfile")
	if err != nil || len(files) != len(products) {
		t.Fatalf("%d files for %d products, %v", len(files), len(products), err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.Contains(string(readme), "]("+file+")") {
			t.Errorf("the README does not name %s", file)
		}
		p, known := products[strings.TrimSuffix(file, ".Caddyfile")]
		if !known {
			t.Fatalf("no case tries %s", file)
		}
		for _, mode := range []string{"optional", "required"} {
			t.Run(file+"/"+mode, func(t *testing.T) {
				g := start(t, file, mode)
				for claim, ids := range map[string][]string{p.claim: p.ids, p.email: addresses} {
					if claim == "" {
						continue
					}
					g.trySignatures(t, &p, claim, ids, p.heads, g.asJSON)
					g.trySignatures(t, &p, claim, ids, nil, g.asForm)
					if p.query {
						g.trySignatures(t, &p, claim, ids, nil, g.asQuery)
					}
				}
				if p.email != "" { // the id counts, and the address is a field that nobody signed, cut with it all the same
					both := strings.Replace(p.claim, `{`, `{"email":"zoe@example.com",`, 1)
					g.passes(t, p.fill(both, "user-123", "user-123"), "user-123", map[string]string{"X-Identity-Email": "zoe@example.com"}, g.asJSON)
					g.fails(t, &p, p.fill(both, "user-123", "zoe@example.com"), "invalid", without(t, p.claim, "ID", "MAC"), g.asJSON)
				}
				if p.token != "" {
					g.tryTokens(t, &p)
				}
			})
		}
	}
}

// trySignatures sends a claim with what may be wrong with it.
func (g *gateway) trySignatures(t *testing.T, p *product, claim string, ids []string, heads map[string]string, send sender) {
	t.Helper()
	cut := without(t, claim, "ID", "MAC")
	for _, id := range ids {
		g.passes(t, p.fill(claim, id, id), id, heads, send)
		g.fails(t, p, p.fill(claim, id, id+"x"), "invalid", cut, send)
		g.fails(t, p, p.fill(claim, "mallory", id), "invalid", cut, send)
	}
	upper := strings.Replace(claim, "MAC", strings.ToUpper(p.sign(ids[0])), 1)
	g.passes(t, strings.Replace(upper, "ID", ids[0], 1), ids[0], heads, send)
	g.fails(t, p, cut, "missing", cut, send)
	g.fails(t, p, p.fill(without(t, claim, "MAC"), ids[0], ""), "partial", cut, send)
	g.fails(t, p, p.fill(without(t, claim, "ID"), "", ids[0]), "partial", cut, send)
}

func (g *gateway) tryTokens(t *testing.T, p *product) {
	t.Helper()
	cut := without(t, p.token, "TOKEN")
	fill := func(payload string) string { return strings.Replace(p.token, "TOKEN", p.jwt(payload), 1) }
	for _, user := range p.users {
		good := fmt.Sprintf(`{%s,"exp":%d}`, user, time.Now().Add(time.Hour).Unix())
		g.passes(t, fill(good), "ada", p.heads, g.asJSON)
		g.passes(t, strings.Replace(fill(good), "{", "{"+p.beside, 1), "ada", p.heads, g.asJSON)
		forged := strings.Replace(p.token, "TOKEN", strings.Join(append(strings.Split(p.jwt(strings.Replace(good, "ada", "eve", 1)), ".")[:2],
			strings.Split(p.jwt(good), ".")[2]), "."), 1)
		g.fails(t, p, forged, "invalid", cut, g.asJSON)
		g.fails(t, p, fill(fmt.Sprintf(`{%s,"exp":%d}`, user, time.Now().Add(-time.Minute).Unix())), "expired", cut, g.asJSON)
	}
	g.fails(t, p, cut, "missing", cut, g.asJSON)
}

// gateway is a running Caddy with one file, and what its backend has received.
type gateway struct {
	url, mode string
	received  chan received
}

type received struct {
	header http.Header
	query  url.Values
	body   string
}

func start(t *testing.T, file, mode string) *gateway {
	t.Helper()
	g := &gateway{url: fmt.Sprintf("http://127.0.0.1:%d", testbed.FreePort(t)), mode: mode, received: make(chan received, 1)}
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/" {
			g.received <- received{r.Header, r.URL.Query(), string(body)}
		}
	}))
	t.Cleanup(backend.Close)
	caddyfile := testbed.Sample(t, file, "chat.example.com", g.url, "backend:8080", strings.TrimPrefix(backend.URL, "http://"), " optional {", " "+mode+" {")
	testbed.Run(t, caddyfile, t.TempDir(), g.url, "CHAT_IDENTITY_SECRET="+secret)
	return g
}

// sender sends a claim that is written as JSON in one way, and checks that the backend has
// received what is wanted in the same way; nil where it received nothing.
type sender func(t *testing.T, claim string) (answer, func(got received, want string) bool)

func (g *gateway) asJSON(t *testing.T, claim string) (answer, func(got received, want string) bool) {
	t.Helper()
	return g.send(t, "POST", "", "application/json", claim), func(got received, want string) bool {
		return reflect.DeepEqual(parsed(t, got.body), parsed(t, want))
	}
}

func (g *gateway) asForm(t *testing.T, claim string) (answer, func(got received, want string) bool) {
	t.Helper()
	return g.send(t, "POST", "", "application/x-www-form-urlencoded", form(t, claim).Encode()), func(got received, want string) bool {
		values, err := url.ParseQuery(got.body)
		return err == nil && reflect.DeepEqual(values, form(t, want))
	}
}

func (g *gateway) asQuery(t *testing.T, claim string) (answer, func(got received, want string) bool) {
	t.Helper()
	return g.send(t, "GET", "?"+form(t, claim).Encode(), "", ""), func(got received, want string) bool {
		return reflect.DeepEqual(got.query, form(t, want))
	}
}

// answer is the gateway's.
type answer struct {
	status int
	body   string
}

func (g *gateway) send(t *testing.T, method, query, mediaType, body string) answer {
	t.Helper()
	response, text := testbed.Send(t, method, g.url+"/chat/messages"+query, body, "Content-Type", mediaType, "X-Verified-User", "admin")
	return answer{response.StatusCode, text}
}

// passes wants a claim to be verified, and to reach the backend as it was sent.
func (g *gateway) passes(t *testing.T, claim, user string, heads map[string]string, send sender) {
	t.Helper()
	response, same := send(t, claim)
	got, ok := g.took()
	if !ok {
		t.Errorf("%s: %d %s", claim, response.status, response.body)
		return
	}
	verified, err := url.PathUnescape(got.header.Get("X-Verified-User"))
	if err != nil || verified != user || !same(got, claim) {
		t.Errorf("%s: the backend got %q, %v: %v %s", claim, verified, err, got.query, got.body)
	}
	for name, want := range heads {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s: %s is %q, want %q", claim, name, value, want)
		}
	}
}

// fails wants a claim to be refused in required mode, and to reach the backend cut in
// optional mode, where it is told how.
func (g *gateway) fails(t *testing.T, p *product, claim, reason, cut string, send sender) {
	t.Helper()
	response, same := send(t, claim)
	got, forwarded := g.took()
	if g.mode == "required" {
		want := answers[reason]
		if p.all != 0 {
			want = p.all
		}
		var problem struct{ Reason string }
		if err := json.Unmarshal([]byte(response.body), &problem); err != nil || forwarded || response.status != want || problem.Reason != reason {
			t.Errorf("%s: forwarded %v, %d %s, want %d %s", claim, forwarded, response.status, response.body, want, reason)
		}
		return
	}
	if !forwarded || got.header.Get("X-Verified-User") != "" || got.header.Get("X-Identity-Reason") != reason {
		t.Errorf("%s: forwarded %v, %v, want %s", claim, forwarded, got.header, reason)
	} else if !same(got, cut) {
		t.Errorf("%s: the backend got %v %s, want %s", claim, got.query, got.body, cut)
	}
}

func (g *gateway) took() (got received, ok bool) {
	select {
	case got = <-g.received:
		return got, true
	default:
		return got, false
	}
}

// fill writes an id into a claim, and the signature of another or the same.
func (p *product) fill(claim, id, signed string) string {
	return strings.NewReplacer("ID", id, "MAC", p.sign(signed)).Replace(claim)
}

func (p *product) sign(text string) string { return testbed.Sign(p.key(), text) }

func (p *product) jwt(payload string) string { return testbed.HS256(p.key(), payload) }

// key is the bytes of the key as a text.
func (p *product) key() string {
	if p.raw {
		key, _ := hex.DecodeString(secret)
		return string(key)
	}
	return secret
}

// without removes the members of a claim that have one of these values.
func without(t *testing.T, claim string, values ...string) string {
	t.Helper()
	for _, value := range values {
		rest := regexp.MustCompile(`"\w+":"`+value+`",`).ReplaceAllString(claim, "")
		if rest == claim {
			t.Fatalf("%s has no %s", claim, value)
		}
		claim = rest
	}
	return claim
}

func parsed(t *testing.T, text string) (members map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		t.Errorf("%v: %s", err, text)
	}
	return members
}

// form is a claim as a form has it, which knows no objects: the members by their own names.
func form(t *testing.T, claim string) url.Values {
	t.Helper()
	values := url.Values{}
	var add func(map[string]any)
	add = func(members map[string]any) {
		for name, value := range members {
			if inner, object := value.(map[string]any); object {
				add(inner)
			} else {
				values.Set(name, value.(string))
			}
		}
	}
	add(parsed(t, claim))
	return values
}
