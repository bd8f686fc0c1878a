package caddymodule

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// TestSplitTokens: one signed text is one token of one user, however it is cut into
// user, nonce and timestamp. That holds where tokens may be used again, too.
func TestSplitTokens(t *testing.T) {
	var site strings.Builder
	for length := 31; length <= 33; length++ {
		fmt.Fprintf(&site, "handle /%d {\n%sreverse_proxy UPSTREAM\n}\n", length, oneTime("required", fmt.Sprint("nonce_length ", length)))
	}
	g := ledgered(t, site.String()+"handle /again {\n"+snapengageIn("")+"}\n")
	send := func(text string, length, stamp int) string {
		t.Helper()
		user, nonce := len(text)-stamp-length, len(text)-stamp
		k := ticket{text[:user], text[user:nonce], text[nonce:], sign(text)}
		return verdict(t, g.do(t, "POST", fmt.Sprint("/", length), k.json(), jsonType))
	}
	for first := 31; first <= 33; first++ {
		k := newToken("zoe-and-ada")
		text := k.user + k.nonce + k.stamp
		want := text[:len(text)-10-first]
		equal(t, send(text, first, 10), want, "a nonce of %d", first)
		for length := 31; length <= 33; length++ {
			equal(t, send(text, length, 10), "403 replayed", "first of %d, then of %d", first, length)
			for _, stamp := range []int{9, 11, 13} {
				if got := send(text, length, stamp); got != "400 malformed" && got != "401 expired" {
					t.Errorf("first of %d, then of %d with %d digits: %s", first, length, stamp, got)
				}
			}
		}
	}
	// Before it is used, wrong splits neither pass nor spend it.
	k := newToken("zoe")
	equal(t, verdict(t, g.do(t, "POST", "/again", k.json(), jsonType)), "zoe", "the owner")
	for _, c := range []ticket{
		{"zo", "e" + k.nonce, k.stamp, k.signature}, {"zoe" + k.nonce[:3], k.nonce[3:] + k.stamp[:3], k.stamp[3:], k.signature}, {"zoe" + k.nonce[:1], k.nonce[1:], k.stamp, k.signature},
		{"zoe", k.nonce + k.stamp[:1], k.stamp[1:], k.signature}, {"zo", "e" + k.nonce[:31], k.nonce[31:] + k.stamp, k.signature},
		{"zoe" + k.nonce + k.stamp, "", "", k.signature},
	} {
		for _, path := range []string{"/32", "/again"} {
			if got := verdict(t, g.do(t, "POST", path, c.json(), jsonType)); got != "400 malformed" && got != "401 partial" {
				t.Errorf("%s %+v: %s", path, c, got)
			}
		}
	}
	for _, want := range []string{"zoe", "403 replayed"} {
		equal(t, verdict(t, g.do(t, "POST", "/32", k.json(), jsonType)), want, "the owner")
	}
}

// TestSplitTimestamp: a timestamp of ten digits before an id of digits reads as
// one of thirteen before another id. At no moment of its life may the signature
// be good for both, nor for the one who did not get it.
func TestSplitTimestamp(t *testing.T) {
	g := ledgered(t, `chat_identity required {
		secret {env.TEST_SECRET}
		message "{timestamp}{user_id}"
		claim timestamp body /at
		max_age 1s
		skew 0s
		one_time
	}
	reverse_proxy UPSTREAM`)
	begun := time.Now().Unix()
	stamp := fmt.Sprint(begun)
	body := func(at, user string) string {
		return fmt.Sprintf(`{"user_id":"%s","at":"%s","user_hash":"%s"}`, user, at, sign(stamp+"999456"))
	}
	for time.Now().Unix() < begun+3 {
		if got := verdict(t, g.post(t, body(stamp+"999", "456"))); got != "400 malformed" && got != "401 expired" {
			t.Fatalf("the signature of user 999456, %v after %s, is good for: %s", time.Since(time.Unix(begun, 0)), stamp, got)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestTimestampUnit: a token that was signed months ago, in milliseconds, for a
// user of his own choice, reads today as one in seconds for another, whose id is
// his and what his nonce begins with. Where the unit is known, it never does.
func TestTimestampUnit(t *testing.T) {
	g := start(t, "", "handle /either {\n"+snapengageIn("")+"}\nhandle /seconds {\n"+snapengageIn("seconds")+
		"}\nhandle /milliseconds {\n"+snapengageIn("milliseconds")+"}\n")
	now := fmt.Sprint(time.Now().Unix())
	const nonce = "ice0123456789abcdef0123456789abc"
	old := signedToken("al", nonce, "170"+now) // of the year 2023, in milliseconds
	cut := ticket{"alice", nonce[3:] + "170", now, old.signature}
	fresh := signedToken("zoe", nonce, now)
	milli := signedToken("zoe", nonce, fmt.Sprint(time.Now().UnixMilli()))
	for _, c := range []struct {
		path  string
		token ticket
		want  string
	}{
		{"/either", cut, "alice"}, // as the documentation says
		{"/milliseconds", cut, "400 malformed"},
		{"/milliseconds", old, "401 expired"},
		{"/milliseconds", fresh, "400 malformed"},
		{"/milliseconds", milli, "zoe"},
		{"/seconds", old, "400 malformed"},
		{"/seconds", milli, "400 malformed"},
		{"/seconds", fresh, "zoe"},
	} {
		equal(t, verdict(t, g.do(t, "POST", c.path, c.token.json(), jsonType)), c.want, "%s, %s of %s", c.path, c.token.user, c.token.stamp)
	}
}

// snapengageIn is a site with timestamps in that unit, "" for either.
func snapengageIn(unit string) string {
	if unit != "" {
		unit = "timestamp_unit " + unit
	}
	return "chat_identity required {\ndialect snapengage\nsecret {env.TEST_SECRET}\n" + unit + "\n}\nreverse_proxy UPSTREAM\n"
}

// TestConversationSpellings: zoe has c1, victim's-conversation to everyone
// else. Mallory, with a claim of her own, names it in every way that some
// backend may read as its name; anonymous requests do, too. None arrives.
func TestConversationSpellings(t *testing.T) {
	const js, form = "application/json", "application/x-www-form-urlencoded"
	mallory := `"user_id":"mallory","user_hash":"` + sign("mallory") + `"`
	query := signedQuery("mallory")
	multi := formPart("user_id", "mallory") + formPart("user_hash", sign("mallory"))
	for _, site := range []struct {
		option    string
		claim     attack // zoe's
		spellings []attack
	}{
		{"body /c", attack{"", "/", js, in("c1", claim("zoe")), nil}, []attack{
			{"as it is", "/", js, `{"c":"c1",` + mallory + `}`, nil},
			{"capitals", "/", js, `{"c":"C1",` + mallory + `}`, nil},
			{"escaped value", "/", js, `{"c":"\u00631",` + mallory + `}`, nil},
			{"escaped name", "/", js, `{"\u0063":"c1",` + mallory + `}`, nil},
			{"beside her own", "/", js, `{"c":"hers","c":"c1",` + mallory + `}`, nil},
			{"before her own", "/", js, `{"c":"c1","c":"hers",` + mallory + `}`, nil},
			{"beside null", "/", js, `{"c":null,"c":"c1",` + mallory + `}`, nil},
			{"beside the empty", "/", js, `{"c":"c1","c":"",` + mallory + `}`, nil},
			{"name in capitals", "/", js, `{"C":"c1",` + mallory + `}`, nil},
			{"name in capitals beside her own", "/", js, `{"c":"hers","C":"c1",` + mallory + `}`, nil},
			{"array", "/", js, `{"c":["c1"],` + mallory + `}`, nil},
			{"object", "/", js, `{"c":{"id":"c1"},` + mallory + `}`, nil},
			{"space", "/", js, `{"c":" c1",` + mallory + `}`, nil},
			{"space behind", "/", js, `{"c":"c1 ",` + mallory + `}`, nil},
			{"NUL", "/", js, `{"c":"c1\u0000",` + mallory + `}`, nil},
			{"newline", "/", js, `{"c":"c1\n",` + mallory + `}`, nil},
			{"soft hyphen", "/", js, `{"c":"c\u00ad1",` + mallory + `}`, nil},
			{"full width", "/", js, `{"c":"ｃ1",` + mallory + `}`, nil},
			{"half a pair", "/", js, `{"c":"c1\ud800",` + mallory + `}`, nil},
			{"as text", "/", "text/plain", `{"c":"c1",` + mallory + `}`, nil},
			{"without a type", "/", "", `{"c":"c1",` + mallory + `}`, nil},
			{"second document", "/", js, `{` + mallory + `}{"c":"c1"}`, nil},
			{"JSON as form", "/", form, `{` + mallory + `,"a":"&c=c1&"}`, nil},
			{"form", "/", form, "c=c1&" + query, nil},
			{"form beside her own", "/", form, "c=hers&c=c1&" + query, nil},
			{"form, array", "/", form, "c[]=c1&" + query, nil},
			{"form, array beside her own", "/", form, "c=hers&c[]=c1&" + query, nil},
			{"form, index", "/", form, "c[0]=c1&" + query, nil},
			{"form, capitals", "/", form, "C=c1&" + query, nil},
			{"form, escaped name", "/", form, "%63=c1&" + query, nil},
			{"form, escaped value", "/", form, "c=%631&" + query, nil},
			{"form, space", "/", form, "+c=c1&" + query, nil},
			{"form, NUL", "/", form, "c%00=c1&" + query, nil},
			{"form, semicolon", "/", form, "a=1;c=c1&" + query, nil},
			{"form, bad escape", "/", form, "c=c1%&" + query, nil},
			{"multipart", "/", boundaryType, multi + formPart("c", "c1") + "------x--\r\n", nil},
			{"multipart beside her own", "/", boundaryType, multi + formPart("c", "hers") + formPart("c", "c1") + "------x--\r\n", nil},
			{"multipart, file", "/", boundaryType, multi + strings.Replace(formPart("c", "c1"), `"c"`, `"c"; filename="c1"`, 1) + "------x--\r\n", nil},
			{"multipart, array", "/", boundaryType, multi + formPart("c[]", "c1") + "------x--\r\n", nil},
		}},
		{"body /meta/c", attack{"", "/", js, `{"meta":{"c":"c1"},` + claim("zoe")[1:], nil}, []attack{
			{"nested", "/", js, `{"meta":{"c":"c1"},` + mallory + `}`, nil},
			{"twice on the way", "/", js, `{"meta":{},"meta":{"c":"c1"},` + mallory + `}`, nil},
			{"capitals on the way", "/", js, `{"META":{"c":"c1"},` + mallory + `}`, nil},
			{"capitals on the way, beside", "/", js, `{"meta":{"c":"hers"},"Meta":{"c":"c1"},` + mallory + `}`, nil},
			{"nested, form", "/", form, "c=c1&" + query, nil},
			{"nested, form with brackets", "/", form, "meta[c]=c1&" + query, nil},
			{"nested, form with escaped brackets", "/", form, "meta%5Bc%5D=c1&" + query, nil},
			{"nested, form with brackets beside her own", "/", form, "c=hers&meta[c]=c1&" + query, nil},
			{"nested, multipart with brackets", "/", boundaryType, multi + formPart("meta[c]", "c1") + "------x--\r\n", nil},
		}},
		{"query c", attack{"", "/?c=c1&" + signedQuery("zoe"), "", "", nil}, []attack{
			{"query", "/?c=c1&" + query, "", "", nil},
			{"query, capitals", "/?c=C1&" + query, "", "", nil},
			{"query beside her own", "/?c=hers&c=c1&" + query, "", "", nil},
			{"query, name in capitals", "/?C=c1&" + query, "", "", nil},
			{"query, array", "/?c[]=c1&" + query, "", "", nil},
			{"query, escaped array", "/?c%5B%5D=c1&" + query, "", "", nil},
			{"query, semicolon", "/?a=1;c=c1&" + query, "", "", nil},
			{"query, escaped", "/?%63=%631&" + query, "", "", nil},
			{"query, space", "/?c=c1+&" + query, "", "", nil},
			{"query, bad escape", "/?c=c1%zz&" + query, "", "", nil},
			{"query of an absolute URL", "http://127.0.0.1/?c=c1&" + query, "", "", nil},
		}},
		{"header X-Conversation", attack{"", "/", js, claim("zoe"), []string{"X-Conversation: c1"}}, []attack{
			{"header", "/", js, `{` + mallory + `}`, []string{"X-Conversation: c1"}},
			{"small letters", "/", js, `{` + mallory + `}`, []string{"x-conversation: C1"}},
			{"headers", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers", "X-Conversation: c1"}},
			{"header and underscore", "/", js, `{` + mallory + `}`, []string{"X_Conversation: c1"}},
			{"header beside underscore", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers", "X_Conversation: c1"}},
			{"header and dot", "/", js, `{` + mallory + `}`, []string{"X.Conversation: c1"}},
			{"header, list", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers, c1"}},
			{"header, empty first", "/", js, `{` + mallory + `}`, []string{"X-Conversation:", "X-Conversation: c1"}},
		}},
		{"cookie c", attack{"", "/", js, claim("zoe"), []string{"Cookie: c=c1"}}, []attack{
			{"cookie", "/", js, `{` + mallory + `}`, []string{"Cookie: c=c1"}},
			{"cookies", "/", js, `{` + mallory + `}`, []string{"Cookie: c=hers; c=c1"}},
			{"two lines of cookies", "/", js, `{` + mallory + `}`, []string{"Cookie: c=hers", "Cookie: c=c1"}},
			{"cookie in capitals", "/", js, `{` + mallory + `}`, []string{"Cookie: C=c1"}},
			{"cookie, escaped", "/", js, `{` + mallory + `}`, []string{"Cookie: c=%631"}},
			{"cookie, escaped name", "/", js, `{` + mallory + `}`, []string{"Cookie: %63=c1"}},
			{"cookie, array", "/", js, `{` + mallory + `}`, []string{"Cookie: c[]=c1"}},
			{"cookie, quoted", "/", js, `{` + mallory + `}`, []string{`Cookie: c="c1"`}},
		}},
		{"{header.X-Conversation}", attack{"", "/", js, claim("zoe"), []string{"X-Conversation: c1"}}, []attack{
			{"text", "/", js, `{` + mallory + `}`, []string{"X-Conversation: c1"}},
			{"text, two", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers", "X-Conversation: c1"}},
			{"text, underscore", "/", js, `{` + mallory + `}`, []string{"X_Conversation: c1"}},
			{"text, list", "/", js, `{` + mallory + `}`, []string{"X-Conversation: hers,c1"}},
		}},
		{"{query.c}", attack{"", "/?c=c1&" + signedQuery("zoe"), "", "", nil}, []attack{
			{"text of a query", "/?c=c1&" + query, "", "", nil},
			{"text of a query, two", "/?c=hers&c=c1&" + query, "", "", nil},
			{"text of a query, capitals", "/?C=c1&" + query, "", "", nil},
			{"text of a query, array", "/?c[]=c1&" + query, "", "", nil},
			{"text of a query, bad escape", "/?c=c1%zz&" + query, "", "", nil},
		}},
		{"{cookie.c}", attack{"", "/", js, claim("zoe"), []string{"Cookie: c=c1"}}, []attack{
			{"text of a cookie", "/", js, `{` + mallory + `}`, []string{"Cookie: c=c1"}},
			{"text of a cookie, two", "/", js, `{` + mallory + `}`, []string{"Cookie: c=hers; c=c1"}},
			{"text of a cookie, capitals", "/", js, `{` + mallory + `}`, []string{"Cookie: C=c1"}},
			{"text of a cookie, escaped", "/", js, `{` + mallory + `}`, []string{"Cookie: c=%631"}},
		}},
	} {
		path := "ledger bolt " + filepath.Join(t.TempDir(), "ledger.db")
		for _, global := range []string{"", allowAll + "\n"} {
			allowed := strings.NewReplacer("X_* ", "X_* X_Conversation ", "X.* ", "X.* X.Conversation ").Replace(global)
			g := start(t, allowed+"chat_identity {\n"+path+"\n}", "chat_identity {\nsecret {env.TEST_SECRET}\nconversation "+site.option+"\n}\nreverse_proxy UPSTREAM")
			send := func(c attack) (status int, arrived *seen) {
				t.Helper()
				answer, arrived := c.send(t, g)
				return statusOf(answer), arrived
			}
			if status, s := send(site.claim); status != 200 || s == nil || s.user() != "zoe" {
				t.Fatalf("%s: %d %+v", site.option, status, s)
			}
			anonymous := strings.NewReplacer(","+mallory, "", mallory+",", "", mallory, "", "&"+query, "", multi, "")
			for _, c := range site.spellings {
				t.Run(site.option+"/"+c.name, func(t *testing.T) {
					unsigned := c
					unsigned.path, unsigned.body = anonymous.Replace(c.path), anonymous.Replace(c.body)
					for who, c := range map[string]attack{"mallory": c, "anonymous": unsigned} {
						status, s := send(c)
						if s != nil && !strings.Contains(fmt.Sprintf("%s %v %s", s.URI, s.Header, s.Body), "c1") {
							continue // Caddy has dropped the header that named it
						}
						if s != nil {
							t.Errorf("%s: %d, the upstream saw %s %q", who, status, s.URI, s.Body)
						} else if status != 400 && status != 403 {
							t.Errorf("%s: %d", who, status)
						}
					}
				})
			}
			if status, s := send(site.claim); status != 200 || s == nil || s.user() != "zoe" {
				t.Errorf("%s, afterwards: %d %+v", site.option, status, s)
			}
		}
	}
}

// TestConversationIDs: which ids of conversations are valid, and which are the same.
func TestConversationIDs(t *testing.T) {
	g := ledgered(t, "chat_identity {\nsecret {env.TEST_SECRET}\nconversation body /c\n}\nreverse_proxy UPSTREAM")
	send := func(user, c string) string {
		t.Helper()
		return verdict(t, g.post(t, `{"c":`+c+`,`+claim(user)[1:]))
	}
	long := strings.Repeat("x", 255)
	for c, others := range map[string][]string{
		`"a.B_c:d-9"`:            {`"a.b_c:d-9"`, `"A.B_C:D-9"`, `"\u0061.b_c:d-9"`},
		`42`:                     {`"42"`, `42`, `"042"`, `42.0`, `4.2e1`, `"42e0"`, `"42.00000000000000000001"`, `"0000042.0"`},
		`"1503435956.000247"`:    {`1503435956.000247`, `"1503435956.0002470"`},
		`"1234567890123456789"`:  {`"1234567890123456789.0"`, `"1.234567890123456789e18"`},
		`"1234567890123456788"`:  nil,
		`"!Room:matrix.org"`:     {`"!room:matrix.org"`},
		`"Q29udmVyc2F0aW9uOjE="`: {`"q29udmVyc2F0aW9uOjE="`},
		`"a/b@c,d;e&f"`:          nil,
		`"43"`:                   {`43`},
		`-7`:                     {`"-7"`},
		`9007199254740991`:       {`"9007199254740991"`},
		`"` + long + `"`:         {`"` + strings.ToUpper(long) + `"`},
		`"constructor"`:          nil,
		`"."`:                    nil,
		`0`:                      {`"0"`, `-0`, `"-0.0"`, `"00"`},
	} {
		equal(t, send("zoe", c), "zoe", "%.40s", c)
		for _, other := range append(others, c) {
			equal(t, send("ada", other), "403 conversation_claimed", "%.40s, held as %.40s", other, c)
			equal(t, send("zoe", other), "zoe", "%.40s, his own", other)
		}
	}
	for _, c := range []string{
		`"` + long + `x"`, `"a b"`, `"a?b"`, `"a%20b"`, `"ä"`, `"a\u0000"`, `"a#b"`, `"a|b"`, `"{a}"`, `"a\"b"`, `true`, `1e16`, `1e400`, `9007199254740992`, `9007199254740991.9`,
		`-9007199254740992`, `[]`, `{}`, `["a"]`, `"\ud800"`, `" "`, `"\u212a"`,
	} {
		equal(t, send("zoe", c), "400 malformed", "%.40s", c)
		equal(t, verdict(t, g.post(t, `{"c":`+c+`}`)), "400 malformed", "%.40s, anonymous", c)
	}
}

// TestOneTimeCutsOtherDialects: a widget that a one_time handler cannot speak to
// is an unknown one, whose claims no backend may read either.
func TestOneTimeCutsOtherDialects(t *testing.T) {
	for name, directive := range map[string]string{
		"without": "chat_identity {\ndialect snapengage\nwidget {header.X-Widget-Key}\n}\n",
		"with":    "chat_identity {\ndialect snapengage\nwidget {header.X-Widget-Key}\none_time\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := live(t, "widget next {\nsecret {env.TEST_SECRET}\ndialect nextcap\n}\n"+ownLedger(t), directive+"reverse_proxy UPSTREAM")
			for _, widget := range []string{"next", "nobody"} {
				a := g.post(t, `{"userId":"victim","userHash":"`+sign("mallory")+`","text":"hi"}`, "X-Widget-Key: "+widget)
				if a.StatusCode != 200 || a.seen == nil || a.seen.user() != "" || a.seen.Body != `{"text":"hi"}` {
					t.Errorf("%s: %d %+v", widget, a.StatusCode, a.seen)
				}
			}
		})
	}
}

// windowed is a site whose tokens are accepted once, for so long.
func windowed(maxAge string) string {
	return oneTime("required", "max_age "+maxAge+"\nskew 0s") + "reverse_proxy UPSTREAM"
}

// spend uses a token. On a busy machine one may expire on its way.
func (g *gateway) spend(t *testing.T) (k ticket) {
	t.Helper()
	eventually(t, "no token is accepted", func() bool {
		k = newToken("zoe")
		return verdict(t, g.post(t, k.json())) == "zoe"
	})
	return k
}

// overShort is past the end of what was used under windowed("2s"): whatever an
// implementation adds, a token of that age must not be good again.
const overShort = 6 * time.Second

// checkStaysSpent sends a token that was used under a short window to a gateway
// with a longer one.
func checkStaysSpent(t *testing.T, g *gateway, used ticket, want string) {
	t.Helper()
	for range 2 {
		equal(t, verdict(t, g.post(t, used.json())), want, "what was used under a shorter window")
	}
	k := newToken("ada")
	g.acceptsOnce(t, k, "a new token")
}

// TestLongerMaxAge: a longer max_age, after a reload or a restart, does not bring
// back what was used under a shorter one. Nor does a shorter one in between have
// what is used forgotten earlier.
func TestLongerMaxAge(t *testing.T) {
	t.Parallel()
	p := newProcess(t, ownLedger(t), windowed("2s"))
	p.client = &http.Client{Transport: retried{&http.Transport{DisableKeepAlives: true}}}
	long := strings.Replace(p.config, "max_age 2s", "max_age 1h", 1)
	short := p.config
	reload := func(config string) {
		t.Helper()
		text := adapted(t, config)
		response, err := http.Post("http://"+p.admin+"/load", "application/json", bytes.NewReader(text))
		must(t, err)
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Fatal(response.Status)
		}
	}
	p.run(t)
	first := p.spend(t)
	time.Sleep(overShort)
	reload(long)
	checkStaysSpent(t, p.gateway, first, "401 expired")
	if !strings.Contains(p.log.String(), "max_age has become longer") {
		t.Error("the log does not say why")
	}
	reload(short)
	second := p.spend(t)
	time.Sleep(overShort)
	p.kill(t)
	p.config = long
	p.run(t)
	checkStaysSpent(t, p.gateway, first, "401 expired")
	checkStaysSpent(t, p.gateway, second, "403 replayed") // kept for the longest there was
}

// TestLongerMaxAgeAfterRestart: the process that used the token is not the one
// that has the longer max_age.
func TestLongerMaxAgeAfterRestart(t *testing.T) {
	t.Parallel()
	p := newProcess(t, ownLedger(t), windowed("2s"))
	p.run(t)
	used := p.spend(t)
	p.kill(t)
	time.Sleep(overShort)
	p.config = strings.Replace(p.config, "max_age 2s", "max_age 1h", 1)
	p.run(t)
	checkStaysSpent(t, p.gateway, used, "401 expired")
}

// TestLongerMaxAgeInFleet: two gateways share a Redis, and one takes tokens for
// fresh for longer than the other, which has run before.
func TestLongerMaxAgeInFleet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	options := "encryption_key {env.TEST_KEY}\nwidgets redis redis://" + server.Addr
	short, long := newProcess(t, options, windowed("2s")), newProcess(t, options, windowed("1h"))
	short.run(t)
	before := short.spend(t)
	time.Sleep(overShort)
	long.run(t)
	checkStaysSpent(t, long.gateway, before, "401 expired")
	// The longer window holds for both from now on.
	after := short.spend(t)
	time.Sleep(overShort)
	checkStaysSpent(t, long.gateway, after, "403 replayed")
	long.kill(t)
	long.run(t)
	checkStaysSpent(t, long.gateway, before, "401 expired")
	checkStaysSpent(t, long.gateway, after, "403 replayed")
}
