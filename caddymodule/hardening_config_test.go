package caddymodule

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/secrettext"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// TestConfigurationHidesSecrets: what an operator can look at shows where
// secrets come from, and what is provisioned shows none.
func TestConfigurationHidesSecrets(t *testing.T) {
	config, err := adapt("{\n" + globals + "\nchat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}\n}\n:80 {\nchat_identity {\nsecret {env.TEST_SECRET}\n}\n}")
	if err != nil || strings.Contains(string(config), testSecret) || strings.Count(string(config), "{env.TEST_SECRET}") != 2 {
		t.Errorf("%v %s", err, config)
	}
	ctx := provision(t, `{"inline_widgets":[{"id":"shop","secrets":["{env.TEST_SECRET}","`+testSecret+`-two"]}]}`)
	app, err := ctx.App("chat_identity")
	must(t, err)
	handler, err := ctx.LoadModuleByID("http.handlers.chat_identity", json.RawMessage(`{"secrets":["{env.TEST_SECRET}","`+testSecret+`-two"]}`))
	must(t, err)
	for _, value := range []any{app, handler} {
		text, err := json.Marshal(value)
		must(t, err)
		// A verb that does not fit would go on into what other goroutines write.
		all := fmt.Sprintf("%s %+v %#v %v", text, value, value, value)
		if strings.Contains(all, testSecret) {
			t.Errorf("%T shows its secret: %s", value, all)
		}
	}
}

// TestLoadErrorsHideSecrets: nor does an error about a secret that is refused.
func TestLoadErrorsHideSecrets(t *testing.T) {
	t.Setenv("SHORT_SECRET", "hunter2hunter2")
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte("hunter2hunter2\n"), 0o600))
	for _, secret := range []string{"{env.SHORT_SECRET}", "{file." + file + "}", "hunter2hunter2"} {
		for _, caddyfile := range []string{
			":0 {\nchat_identity {\nsecret " + secret + "\n}\n}",
			"{\nchat_identity {\nwidget shop {\nsecret " + secret + "\n}\n}\n}\n:0 {\nchat_identity {\nwidget shop\n}\n}",
		} {
			err := validate(caddyfile)
			if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "shorter than 16 bytes") {
				t.Errorf("%s: %v", secret, err)
			}
		}
	}
}

// TestNamesAreNoSecrets: a placeholder that was misspelled, or that no shell or
// template has replaced, would be a secret that everybody can guess.
func TestNamesAreNoSecrets(t *testing.T) {
	for _, name := range []string{
		"env.CHAT_IDENTITY_SECRET", "$env.CHAT_IDENTITY_SECRET", "${env.CHAT_IDENTITY_SECRET}", "{{env.CHAT_IDENTITY_SECRET}}",
		"{env.CHAT_IDENTITY_SECRET", "env.CHAT_IDENTITY_SECRET}", "$env:CHAT_IDENTITY_SECRET", "ENV.CHAT_IDENTITY_SECRET",
		"{env.CHAT_IDENTITY}{env.SECRET}", "prefix-{env.CHAT_IDENTITY_SECRET}", "{ENV.CHAT_IDENTITY_SECRET}", " {env.CHAT_IDENTITY_SECRET} ",
		"file./run/secrets/chat", "{file./run/secrets/chat", "file./run/secrets/chat}", "$file./run/secrets/chat", "file:///run/secrets/chat",
		"file.chat-identity-secret", "{file.C:\\secrets\\chat.txt",
		"$CHAT_IDENTITY_SECRET", "${CHAT_IDENTITY_SECRET}", "${CHAT_IDENTITY_SECRET", "$CHAT_IDENTITY_SECRET}", "${chat_secret:-change me}",
		"{CHAT_IDENTITY_SECRET}", "{CHAT_IDENTITY_SECRET", "CHAT_IDENTITY_SECRET}", "{chat_identity_secret}",
		"{http.vars.secret}", "{vault.chat.secret", "$(cat /run/secrets/chat)", "{{ .Values.chatSecret }}",
		"%CHAT_IDENTITY_SECRET%", "<CHAT_IDENTITY_SECRET>", "<your secret goes here>",
	} {
		quoted, err := json.Marshal(name)
		must(t, err)
		t.Setenv("NAME_AS_SECRET", name)
		for where, err := range map[string]error{
			"handler":     validate(":0 {\nchat_identity {\nsecret `" + name + "`\n}\n}"),
			"widget":      validate("{\nchat_identity {\nwidget shop {\nsecret `" + name + "`\n}\n}\n}\n:0 {\nchat_identity {\nwidget shop\n}\n}"),
			"JSON":        validateHandler(`{}`, `{"handler":"chat_identity","secrets":[`+string(quoted)+`]}`),
			"JSON widget": validateHandler(`{"inline_widgets":[{"id":"shop","secrets":[`+string(quoted)+`]}]}`, `{"handler":"chat_identity","widget":"shop"}`),
			"key":         validateHandler(`{"encryption_keys":[`+string(quoted)+`]}`, `{"handler":"chat_identity","widget":"shop"}`),
			"variable":    validate(":0 {\nchat_identity {\nsecret {env.NAME_AS_SECRET}\n}\n}"),
		} {
			if err == nil || !strings.Contains(err.Error(), "nothing has replaced") || strings.Contains(err.Error(), strings.TrimSpace(name)) {
				t.Errorf("%s as %s: %v", name, where, err)
			}
		}
	}
	for _, password := range []string{"{env.REDIS_PASSWORD", "env.REDIS_PASSWORD", "$REDIS_PASSWORD"} {
		store := `{"widgets":{"store":"redis","url":"redis://:` + password + `@localhost"},"encryption_keys":["` + widgets.NewEncryptionKey() + `"]}`
		errorSays(t, validateHandler(store, `{"handler":"chat_identity","widget":"shop"}`), "nothing has replaced", "password %s", password)
	}
}

// TestSecretsAreNoNames: what looks like a secret is accepted, punctuation or not.
func TestSecretsAreNoNames(t *testing.T) {
	secrets := []string{
		"correct horse battery staple", "correct.horse.battery.staple", "file.acorn.march.hut.lamp", "environment.of.the.file",
		"CORRECT_HORSE_BATTERY_STAPLE", "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "{ braces } within { it", "a {env.X} that is no placeholder",
		"$2a$10$N9qo8uLOickgx2ZMRZoMye", "<<<<<<<<>>>>>>>>", "100% of the users, %%", "a<b>c<d>e<f>g<h>", "$ecret-of-the-shop!", `{"kty":"oct","k":"abc"}`,
		"sk_live_51H8xZ2eZvKYlo2C", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "env-of-production-9f31", "profile./a/b/c/d/e",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		bytes := make([]byte, 16+random.IntN(32))
		for i := range bytes {
			bytes[i] = byte(random.Uint32())
		}
		secrets = append(secrets, hex.EncodeToString(bytes), base64.StdEncoding.EncodeToString(bytes),
			base64.RawURLEncoding.EncodeToString(bytes), base32.StdEncoding.EncodeToString(bytes))
		for i := range bytes {
			bytes[i] = byte('!' + random.IntN('~'-'!'+1))
		}
		secrets = append(secrets, string(bytes))
	}
	for _, secret := range secrets {
		errorSays(t, checkLiterals([]string{secret}), "", "%s", secret)
		// From a file, too, but for those that are in quotes by chance.
		if err := secrettext.Check(secret); err != nil && !(strings.Contains(err.Error(), "is in quotes") && secret[0] == secret[len(secret)-1]) {
			t.Errorf("%s from a file: %v", secret, err)
		}
	}
}

// inUTF16 returns a text in UTF-16.
func inUTF16(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// TestDoubts: what is seldom part of a secret is doubted, and nothing that is random.
func TestDoubts(t *testing.T) {
	for range 1000 {
		for _, secret := range []string{widgets.NewSecret().Reveal(), widgets.NewVersion()} {
			if err := secrettext.Doubt(secret); err != nil {
				t.Fatal(err)
			}
		}
	}
	secret := widgets.NewSecret().Reveal()
	for _, pattern := range []string{"b'%'", "%;", "%,", "% # shop", `%\n`, "“%”", "%\u200b", "% %", "%%", `"%"`, "% ", "{env.SECRET}"} {
		text := strings.ReplaceAll(pattern, "%", secret)
		if err := secrettext.Doubt(text); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	for _, text := range []string{"correct horse battery staple", "c#-and-more-than-16", "b'quite-random'x", "", "0123456789abcdef"} {
		if err := secrettext.Doubt(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestSecretsStandAlone: anything around a secret in a file would become part of it.
// The error says where, what it is and what to do, and never shows the text.
func TestSecretsStandAlone(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	key := widgets.NewEncryptionKey()
	marked := "\ufeff"
	for name, c := range map[string]struct {
		around func(text string) string
		want   string
	}{
		"UTF-16 with mark":                {func(s string) string { return inUTF16(binary.LittleEndian, marked+s) }, "is in UTF-16"},
		"UTF-16 with mark and line":       {func(s string) string { return inUTF16(binary.LittleEndian, marked+s+"\r\n") }, "is in UTF-16"},
		"UTF-16, Greek":                   {func(s string) string { return inUTF16(binary.LittleEndian, marked+"σωστό άλογο "+s) }, "is in UTF-16"},
		"UTF-16, big-endian, with mark":   {func(s string) string { return inUTF16(binary.BigEndian, marked+s+"\n") }, "is in UTF-16"},
		"UTF-16 without mark":             {func(s string) string { return inUTF16(binary.LittleEndian, s) }, "is in UTF-16"},
		"UTF-16 without mark, line":       {func(s string) string { return inUTF16(binary.LittleEndian, s+"\r\n") }, "is in UTF-16"},
		"UTF-16, big-endian":              {func(s string) string { return inUTF16(binary.BigEndian, s) }, "is in UTF-16"},
		"UTF-16, big-endian, line":        {func(s string) string { return inUTF16(binary.BigEndian, s+"\n") }, "is in UTF-16"},
		"UTF-8 mark":                      {func(s string) string { return marked + s + "\r\n" }, "byte-order mark"},
		"double quotes":                   {func(s string) string { return `"` + s + `"` }, "is in quotes"},
		"double quotes, line":             {func(s string) string { return `"` + s + "\"\r\n" }, "is in quotes"},
		"single quotes":                   {func(s string) string { return "'" + s + "'" }, "is in quotes"},
		"single quotes, space and line":   {func(s string) string { return " '" + s + "' \n" }, "is in quotes"},
		"space behind":                    {func(s string) string { return s + " " }, "ends with a space"},
		"space before":                    {func(s string) string { return "\t" + s + "\n" }, "begins or ends with a space"},
		"assignment":                      {func(s string) string { return "CHAT_IDENTITY_SECRET=" + s + "\n" }, "is an assignment"},
		"assignment, exported":            {func(s string) string { return "export chatKey = " + s }, "is an assignment"},
		"assignment, quoted":              {func(s string) string { return `SECRET="` + s + `"` }, "is an assignment"},
		"NUL":                             {func(s string) string { return s + "\x00\n" }, "NUL byte"},
		"two lines":                       {func(s string) string { return s + "\nanother-secret-of-the-shop\n" }, "several lines"},
		"name of a variable":              {func(string) string { return "${CHAT_IDENTITY_SECRET}" }, "nothing has replaced"},
		"name of a variable, with quotes": {func(string) string { return `"$CHAT_IDENTITY_SECRET"` }, "is in quotes"},
	} {
		file := filepath.Join(t.TempDir(), "secret")
		for _, text := range []string{secret, key} {
			written := c.around(text)
			must(t, os.WriteFile(file, []byte(written), 0o600))
			sources := []string{"{file." + file + "}"}
			if strings.Contains(c.want, "nothing has replaced") {
				t.Setenv("SURROUNDED", written)
				sources = append(sources, "{env.SURROUNDED}")
			}
			for _, source := range sources {
				var errs map[string]error
				if text == secret {
					errs = map[string]error{
						"handler": validate(":0 {\nchat_identity {\nsecret " + source + "\n}\n}"),
						"widget":  validate("{\nchat_identity {\nwidget shop {\nsecret {env.TEST_SECRET} " + source + "\n}\n}\n}\n:0 {\nchat_identity {\nwidget shop\n}\n}"),
					}
				} else {
					errs = map[string]error{"key": validate("{\nchat_identity {\nencryption_key " + source + "\n}\n}\n:0 {\nchat_identity {\nwidget shop\n}\n}")}
				}
				for where, err := range errs {
					if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), strings.Trim(source[5:], ".}")) {
						t.Errorf("%s, %s from %s: %v", name, where, source[:5], err)
					}
				}
			}
		}
		if _, errors, err := runCommand(t, c.around(secret), "create", "shop", "--secret-stdin"); err == nil || !strings.Contains(errors, c.want) {
			t.Errorf("%s, create: %v %s", name, err, errors)
		}
		if _, errors, err := runCommand(t, c.around(secret), "sign", "--user", "zoe"); !strings.Contains(errors, c.want) && !strings.Contains(errors, "several lines") {
			t.Errorf("%s, sign: %v %s", name, err, errors)
		}
	}
	// The key that was created on the first start, saved again by an editor.
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	must(t, os.MkdirAll(filepath.Dir(madeKeyPath()), 0o700))
	for text, want := range map[string]string{inUTF16(binary.LittleEndian, marked+key+"\r\n"): "is in UTF-16", marked + key + "\r\n": "byte-order mark", `"` + key + "\"\n": "is in quotes", key + " \r\n": ""} {
		must(t, os.WriteFile(madeKeyPath(), []byte(text), 0o600))
		_, err := readMadeKey()
		errorSays(t, err, want, "%q", text)
	}
	// A literal secret is taken as it is, quotes and all; a single quote does not count as quotes.
	t.Setenv("ONE_QUOTE", `"correct-horse-battery-staple`)
	t.Setenv("A_LINE", "correct-horse-battery-staple\n")
	for _, fine := range []string{"`\"correct-horse-battery-staple\"`", "\"'correct-horse-battery-staple'\"", "{env.ONE_QUOTE}", "{env.A_LINE}"} {
		errorSays(t, validate(":0 {\nchat_identity {\nsecret "+fine+"\n}\n}"), "", "%s", fine)
	}
}

// TestTwoDefaults: handlers without a widget name have one widget, and so one
// set of secrets, on whatever sites. The error says where they are, and what to do.
func TestTwoDefaults(t *testing.T) {
	t.Setenv("OTHER_SECRET", otherSecret)
	t.Setenv("SAME_SECRET", testSecret)
	handler := func(head, secret string) string { return "chat_identity " + head + " {\nsecret " + secret + "\n}\n" }
	site := func(host, body string) string { return "http://" + host + " {\n" + body + "}\n" }
	for _, c := range []struct {
		name, caddyfile string
		want            []string // in the error, where there is one
	}{
		{"one site", site("a.example", handler("/a/*", "{env.TEST_SECRET}")+handler("/b/*", "{env.OTHER_SECRET}")), []string{"/a/*", "/b/*", "a.example", "on :80", "{env.OTHER_SECRET}"}},
		{"two hosts", site("a.example", handler("", "{env.TEST_SECRET}")) + site("b.example", handler("required", "{env.OTHER_SECRET}")), []string{"a.example on :80", "b.example on :80"}},
		{"two servers", site("a.example:8080", handler("", "{env.TEST_SECRET}")) + site("a.example:8081", handler("off", "{env.OTHER_SECRET}")), []string{"a.example on :8080", "a.example on :8081"}},
		{"two blocks", site("a.example", "handle /a/* {\n"+handler("", "{env.TEST_SECRET}")+"}\nhandle_path /b/* {\n"+handler("", "{env.OTHER_SECRET}")+"}\n"), []string{"a.example on :80 /a/*", "a.example on :80 /b/*"}},
		{"error routes", site("a.example", handler("", "{env.TEST_SECRET}")+"handle_errors {\n"+handler("", "{env.OTHER_SECRET}")+"}\n"), []string{"a.example on :80"}},
		{"literal", site("a.example", handler("", "{env.TEST_SECRET}")+"route /b {\n"+handler("", otherSecret)+"}\n"), []string{"the secret (written in the configuration)"}},
		{"one more", site("a.example", handler("/a", "{env.TEST_SECRET}")+handler("/b", "{env.TEST_SECRET} {env.OTHER_SECRET}")), []string{"{env.TEST_SECRET} {env.OTHER_SECRET}"}},
		{"alike, in another order", site("a.example", handler("/a", "{env.TEST_SECRET} {env.OTHER_SECRET}")+handler("/b", "{env.OTHER_SECRET} {env.TEST_SECRET}")), []string{"their order counts"}},
		{"alike", site("a.example", handler("/a", "{env.TEST_SECRET}")+handler("/b", "{env.SAME_SECRET}")) + site("b.example", handler("", testSecret)), nil},
		{"one named", site("a.example", handler("/a", "{env.TEST_SECRET}")+handler("/b", "{env.OTHER_SECRET}\nwidget b")), nil},
	} {
		err := validate(c.caddyfile)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, want := range append(c.want, "give each a name", "'widget shop'") {
			if err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), otherSecret)) {
				t.Errorf("%s: %v lacks %s, or shows a secret", c.name, err, want)
			}
		}
	}
}

// TestSharedDefault: two handlers that share the unnamed widget are one row, of
// which neither handler's mode or dialect is said where they differ; and it is not
// required while one of them is laxer.
func TestSharedDefault(t *testing.T) {
	for _, c := range []struct{ first, second, mode, dialect, readiness string }{
		{"", "", "optional", "bookbag", "optional"},
		{"optional", "", "optional", "bookbag", "optional"},
		{"required", "required", "required", "bookbag", "required"},
		{"required", "optional", "", "bookbag", "optional"},
		{"required {\ndialect nextcap\nsecret {env.TEST_SECRET}\n}", "off", "", "", "off"},
	} {
		var site string
		for path, head := range map[string]string{"/a": c.first, "/b": c.second} {
			if !strings.Contains(head, "{") {
				head += " {\nsecret {env.TEST_SECRET}\n}"
			}
			site += "chat_identity " + path + " " + head + "\n"
		}
		g := live(t, "", site+"reverse_proxy UPSTREAM")
		g.do(t, "POST", "/a", claim("zoe"), jsonType)
		g.do(t, "POST", "/b", claim("zoe"), jsonType)
		var all []adminapi.Widget
		g.askInto(t, "widgets", &all)
		if len(all) != 1 || all[0].ID != "default" || all[0].Source != "handler" || all[0].Mode != c.mode || all[0].Dialect != c.dialect {
			t.Errorf("%+v: list %+v", c, all)
		}
		var one adminapi.Widget
		g.askInto(t, "widgets/default", &one)
		if !reflect.DeepEqual(one, all[0]) {
			t.Errorf("%+v: show %+v, list %+v", c, one, all)
		}
		var ready adminapi.Readiness
		if g.askInto(t, "widgets/default/readiness", &ready); ready.Mode != c.readiness {
			t.Errorf("%+v: readiness says %s", c, ready.Mode)
		}
		_ = caddy.Stop()
	}
}

// TestEarlyMatcher: a matcher that is evaluated before any handler has run, as where
// Caddy sorts its directive first, matches nothing and logs that once. It logs nothing
// where a handler has run and did not take the request.
func TestEarlyMatcher(t *testing.T) {
	const directive = "chat_identity /chat {\nsecret {env.TEST_SECRET}\n}\n"
	const matcher = "@known chat_identity verified\n@other not chat_identity verified\n"
	for name, c := range map[string]struct {
		site   string
		warned int
	}{
		"sorted before":        {matcher + directive + "header @known A 1\nrespond 204", 1},
		"two of them":          {matcher + directive + "header @known A 1\nrequest_header @other A 1\nrespond 204", 2},
		"route, out of order":  {matcher + "route {\nheader @known A 1\n" + directive + "}\nrespond 204", 1},
		"no handler":           {matcher + "respond @known 200\nrespond 204", 1},
		"handler in a block":   {matcher + "handle /chat {\n" + directive + "}\nrespond @known 200\nrespond 204", 1},
		"sorted behind":        {matcher + directive + "respond @known 200\nrespond @other 204", 0},
		"route, in order":      {matcher + "route {\n" + directive + "header @known A 1\n}\nrespond 204", 0},
		"error before":         {matcher + "error /early 500\n" + directive + "respond 204\nhandle_errors {\nrespond @known 200\nrespond 204\n}", 0},
		"error before, sorted": {matcher + "basic_auth /early {\na $2a$04$mbOxEqsDKOLtb/MWmYM8YunaTDNjliCr3s0fZ4amspOQpDb9aIVSa\n}\n" + directive + "respond 204\nhandle_errors {\nrespond @known 200\nrespond 204\n}", 0},
	} {
		g, lines := logged(t, "WARN", c.site)
		for range 3 {
			for _, path := range []string{"/chat", "/other", "/early"} {
				g.do(t, "POST", path, claim("zoe"), jsonType)
			}
		}
		warned := 0
		for _, line := range lines() {
			if strings.Contains(line, "before any chat_identity handler had run") {
				warned++
				if !strings.Contains(line, `"outcomes":["verified"]`) || !strings.Contains(line, `"host":"127.0.0.1:`) || !strings.Contains(line, "route block") {
					t.Errorf("%s: %s", name, line)
				}
			}
		}
		if warned != c.warned {
			t.Errorf("%s: warned %d times, want %d", name, warned, c.warned)
		}
		_ = caddy.Stop()
	}
	for _, matcher := range []string{"chat_identity anonymous", "path /a\nchat_identity anonymous", "not chat_identity verified", "not {\nnot {\npath /a\nchat_identity verified\n}\n}", "vars {http.chat_identity.reason} missing"} {
		_, err := adapt(":80 {\n@own {\n" + matcher + "\n}\nchat_identity @own {\nsecret {env.TEST_SECRET}\n}\n}")
		errorSays(t, err, "cannot be given a matcher that depends on what chat_identity finds", "its own matcher %s", matcher)
	}
	config := adapted(t, fmt.Sprintf("{%s\n}\nhttp://127.0.0.1:%d {\n@own path /a\nchat_identity @own {\nsecret {env.TEST_SECRET}\n}\n}", globals, freePort(t)))
	config = []byte(strings.Replace(string(config), `"path":["/a"]`, `"not":[{"chat_identity":["verified"]}]`, 1))
	errorSays(t, activate(config), "cannot be given a matcher that depends on what chat_identity finds", "its own matcher in JSON")
	for list, want := range map[string]string{`["verified"]`: "", `["known"]`: "unknown outcome 'known'", `["missing"]`: "'missing' is a reason, not an outcome: match 'anonymous'", `[]`: "no outcome", `null`: "cannot be null", `"verified"`: "cannot unmarshal", `{}`: "cannot unmarshal"} {
		err := validateHandler(`{}`, `{"handler":"subroute","routes":[{"match":[{"chat_identity":`+list+`}]}]}`)
		errorSays(t, err, want, "%s", list)
	}
}

// documented returns the body of the only site in the documents' block of that kind,
// in front of the test's upstream.
func documented(t *testing.T, info string) string {
	t.Helper()
	setDocumentedEnvironment(t)
	site := find(t, info)
	return strings.ReplaceAll(site[strings.Index(site, "{\n")+2:strings.LastIndex(site, "}")], "backend:8080", "UPSTREAM")
}

// exampleClaim is a claim in a body, signed with the documents' secret.
func exampleClaim(name string) string {
	quoted, _ := json.Marshal(name)
	return `{"user_id":"zoe","user_hash":"` + signWith(exampleSecret, "zoe") + `","user_metadata":{"name":` + string(quoted) + `}}`
}

// TestEarlierDirectives: what docs/security.md says of directives that run before
// chat_identity holds, and its alternatives work.
func TestEarlierDirectives(t *testing.T) {
	saw := make(chan string, 10)
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		saw <- r.Header.Get("X-Verified-User")
		w.Header().Set("X-Verified-User", "from-auth")
		w.Header().Set("X-Auth", "yes")
	}))
	t.Cleanup(auth.Close)
	asked := strings.TrimPrefix(auth.URL, "http://")
	handler := "chat_identity {\nsecret {env.CHAT_IDENTITY_SECRET}\n}\n"
	const forged = "X-Verified-User: admin"

	g := start(t, "", strings.ReplaceAll(documented(t, "caddyfile auth"), "auth:9000", asked))
	a := g.post(t, exampleClaim("Zoe"), forged)
	if got := <-saw; got != "zoe" || a.seen == nil || a.seen.user() != "zoe" {
		t.Errorf("behind chat_identity, forward_auth sees %q: %+v", got, a.seen)
	}
	a = g.post(t, `{}`, forged)
	if got := <-saw; got != "" || a.seen == nil || a.seen.user() != "" {
		t.Errorf("behind chat_identity, forward_auth sees %q: %+v", got, a.seen)
	}

	g = start(t, "", `map {http.chat_identity.user} {tier} {
	zoe gold
	default none
}
vars copied {header.X-Verified-User}
forward_auth `+asked+` {
	uri /check
	copy_headers X-Verified-User X-Auth
}
request_header X-Copied {header.X-Verified-User}
request_header X-Early {http.chat_identity.user}
`+handler+`reverse_proxy UPSTREAM {
	header_up X-Tier {tier}
	header_up X-Late {http.chat_identity.user}
	header_up X-Vars {vars.copied}
}`)
	a = g.post(t, exampleClaim("Zoe"), forged)
	equal(t, <-saw, "admin", "before chat_identity, forward_auth sees")
	if a.seen == nil || a.seen.user() != "zoe" {
		t.Fatalf("%+v", a.seen)
	}
	for name, want := range map[string]string{
		"X-Auth": "yes", "X-Copied": "from-auth", "X-Early": "{http.chat_identity.user}", "X-Vars": "admin", "X-Tier": "gold", "X-Late": "zoe",
	} {
		equal(t, a.seen.Header.Get(name), want, "%s", name)
	}
	if a = g.post(t, `{}`, forged); a.seen == nil || a.seen.user() != "" || a.seen.Header.Get("X-Tier") != "none" {
		t.Errorf("what forward_auth set under our name is still there: %+v", a.seen)
	}

	// What comes after it sees no refusal of its own.
	g = start(t, "", "intercept {\n@refused status 401\nhandle_response @refused {\nrespond intercepted\n}\n}\nencode gzip\n"+strings.Replace(handler, "{", "required {", 1)+"reverse_proxy UPSTREAM")
	if a = g.post(t, `{}`); a.StatusCode != 401 || a.problem(t).Reason != "missing" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}

	// An error before chat_identity reaches the error routes with the client's headers.
	refusing := "basic_auth {\na $2a$04$mbOxEqsDKOLtb/MWmYM8YunaTDNjliCr3s0fZ4amspOQpDb9aIVSa\n}\n" + handler + "reverse_proxy UPSTREAM\nhandle_errors {\n%s\nreverse_proxy UPSTREAM\n}"
	for guard, want := range map[string]string{"": "admin", "chat_identity off": ""} {
		g = start(t, "", fmt.Sprintf(refusing, guard))
		if a = g.post(t, `{}`, forged); a.seen == nil || a.seen.user() != want {
			t.Errorf("error routes with %q: %+v", guard, a.seen)
		}
	}
}

// TestTemplates: templates execute what a user is called wherever a page shows it,
// unless they have files of the operator's alone, as in docs/security.md.
func TestTemplates(t *testing.T) {
	folder := t.TempDir()
	must(t, os.Mkdir(filepath.Join(folder, "pages"), 0o700))
	const page = `{{placeholder "http.chat_identity.name"}}, {{placeholder "http.chat_identity.name" | html}}`
	must(t, os.WriteFile(filepath.Join(folder, "pages", "hello.html"), []byte(page), 0o600))
	echo := func(w http.ResponseWriter, r *http.Request) {
		name, _ := url.PathUnescape(r.Header.Get("X-Identity-Name"))
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "Hello "+name)
	}
	const injected = `{{env "CHAT_IDENTITY_SECRET"}}`
	g := start(t, "", strings.Replace(documented(t, "caddyfile templates"), "/srv", folder, 1))
	g.upstream.answer = echo
	query := "?user_id=zoe&user_hash=" + signWith(exampleSecret, "zoe") + "&name=" + url.QueryEscape(injected)
	for path, want := range map[string]string{"/chat": "Hello " + injected, "/pages/hello.html": injected + ", " + html.EscapeString(injected)} {
		if a := g.do(t, "GET", path+query, ""); strings.Contains(a.body, exampleSecret) || a.body != want {
			t.Errorf("%s: %s, want %s", path, a.body, want)
		}
	}
	// Otherwise it is as docs/security.md says: this is Caddy's doing, and the reason to say so.
	g = start(t, "", "chat_identity {\nsecret {env.CHAT_IDENTITY_SECRET}\n}\ntemplates\nrespond /respond \"Hello {http.chat_identity.name}\"\nreverse_proxy UPSTREAM")
	g.upstream.answer = echo
	for _, path := range []string{"/respond", "/chat"} {
		if a := g.do(t, "POST", path, exampleClaim(injected), jsonType); a.body != "Hello "+exampleSecret {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

// TestPathParameters: a path with parameters is not the one without for Caddy's
// matchers, and is refused where the lines of docs/security.md are.
func TestPathParameters(t *testing.T) {
	site := documented(t, "caddyfile parameters")
	bare := strings.Replace(site, "respond @parameters 400", "", 1)
	for path, want := range map[string][2]int{
		"/chat/messages": {401, 401}, "/other": {200, 200}, "/chat;user_id=admin/messages": {400, 200}, "/chat%3Bx/messages": {400, 200},
		"/other;user_id=admin": {400, 200}, "/chat/messages;user_id=admin": {401, 401}, "/other?a;b": {200, 200},
	} {
		for i, body := range []string{site, bare} {
			g := start(t, "", body)
			equal(t, g.do(t, "GET", path, "").StatusCode, want[i], "%s", path)
		}
	}
}

// validate does what `caddy validate` does.
func validate(caddyfile string) error {
	os.Stderr = caddyLog // see load: Caddy keeps what it has opened
	config, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	var parsed caddy.Config
	if err := json.Unmarshal(config, &parsed); err != nil {
		return err
	}
	return caddy.Validate(&parsed)
}

// TestReloadRetires: a request counts from the moment when its claim is complete.
// One whose body began before a reload is not verified by what that removed.
func TestReloadRetires(t *testing.T) {
	const own = "chat_identity required {\nsecret %s\n}\n"
	const named = "chat_identity required {\nwidget {header.X-Widget-Key}\n}\n"
	const declared = "chat_identity {\nwidget shop {\nsecret %s\n}\n}"
	t.Setenv("OTHER_SECRET", "other-secret-of-more-than-16-bytes")
	const old, other = "{env.TEST_SECRET}", "{env.OTHER_SECRET}"
	for _, c := range []struct {
		name                                 string
		global, site, globalAfter, siteAfter string // siteAfter: what it is reloaded to
		status                               int
	}{
		{"a handler's secret is replaced", "", fmt.Sprintf(own, old), "", fmt.Sprintf(own, other), 401},
		{"a handler's secret becomes the previous one", "", fmt.Sprintf(own, old), "", fmt.Sprintf(own, other+" "+old), 200},
		{"a handler's previous secret is removed", "", fmt.Sprintf(own, other+" "+old), "", fmt.Sprintf(own, other), 401},
		{"another handler is the unnamed one", "", fmt.Sprintf(own, other), "", fmt.Sprintf(own, other+"\nwidget one") + "handle_errors {\n" + fmt.Sprintf(own, old) + "}\n", 401},
		{"a named handler's secret is replaced", "", fmt.Sprintf(own, old+"\nwidget shop"), "", fmt.Sprintf(own, other+"\nwidget shop"), 401},
		{"a handler's widget is renamed", "", fmt.Sprintf(own, old+"\nwidget shop"), "", fmt.Sprintf(own, old+"\nwidget store"), 403},
		{"something else changes", "", fmt.Sprintf(own, old), "", fmt.Sprintf(own, old) + "header X-New yes\n", 200},
		{"a declared secret is replaced", fmt.Sprintf(declared, old), named, fmt.Sprintf(declared, other), named, 401},
		{"a declared widget is removed", fmt.Sprintf(declared, old), named, "", named, 403},
		{"a declared widget becomes a handler's", fmt.Sprintf(declared, old), named, "", fmt.Sprintf(own, old+"\nwidget shop"), 403},
		{"the directive is removed", "", fmt.Sprintf(own, old), "", "", 403},
		{"the reload fails", "", fmt.Sprintf(own, old), "", fmt.Sprintf(own, "{env.NO_SUCH_SECRET}"), 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.global, c.site+"reverse_proxy UPSTREAM")
			body := claim("alice")
			client := g.begin(t, "/chat", body, jsonType, "X-Widget-Key: shop")
			client.write(body[:10]) // the handler is at the body
			config := strings.Replace(g.config, c.site, c.siteAfter, 1)
			if c.global != "" {
				config = strings.Replace(config, c.global, c.globalAfter, 1)
			}
			reloaded, err := adapt(config)
			if err == nil {
				err = activate(reloaded)
			}
			if fails := strings.Contains(c.name, "fails"); (err != nil) != fails {
				t.Fatal(err)
			}
			client.write(body[10:])
			response, text := client.answer()
			if response.StatusCode != c.status {
				t.Errorf("%s %s", response.Status, text)
			}
			if seen := g.upstream.take(); (seen != nil) != (c.status == 200) {
				t.Errorf("the upstream was sent %+v", seen)
			}
		})
	}
}

// TestStopInAnyOrder: Caddy stops apps in no order, so that a server may still have
// requests to end when this module's app has been stopped, or the reverse. When
// Caddy itself stops, they are verified; when a reload has removed the directive,
// they are not.
func TestStopInAnyOrder(t *testing.T) {
	for _, removed := range []bool{false, true} {
		for _, appFirst := range []bool{false, true} {
			g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET}\n}")
			equal(t, g.post(t, claim("alice")).StatusCode, 200, "status")
			old := active(t)
			// What follows happens while a request of the old configuration is under way.
			if removed {
				config := adapted(t, fmt.Sprintf("{%s\n}\nhttp://127.0.0.1:%d {\nrespond hi\n}", globals, freePort(t)))
				must(t, activate(config))
			} else if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			if !appFirst {
				old.replaced.Store(false) // as before it is stopped
			}
			now, err := old.active()
			if want := map[bool]*App{false: old, true: nil}[removed]; now != want || err != nil {
				t.Errorf("removed %v, app first %v: %p, %v, want %p", removed, appFirst, now, err, want)
			}
		}
	}
}

// TestSecretFilesAreRead: no load waits for a pipe or reads a disk's image.
func TestSecretFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	pipe, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "large")
	must(t, exec.Command("mkfifo", pipe).Run())
	must(t, os.WriteFile(large, bytes.Repeat([]byte("x"), maxSecretFile+1), 0o600))
	link := filepath.Join(dir, "link")
	must(t, os.WriteFile(filepath.Join(dir, "data"), []byte(testSecret), 0o600))
	must(t, os.Symlink("data", link)) // as Kubernetes mounts secrets
	for file, want := range map[string]string{pipe: "is not a regular file", large: "is larger than 64 KiB", link: ""} {
		errorSays(t, validate(":0 {\nchat_identity {\nsecret {file."+file+"}\n}\n}"), want, "%s", file)
	}
}

// TestDoubtfulVariables: what surrounds a secret in a variable is part of it, and a
// warning says so, without the secret.
func TestDoubtfulVariables(t *testing.T) {
	for value, want := range map[string]string{
		`"correct-horse-battery-staple"`:            "is in quotes",
		"correct-horse-battery-staple\n":            "begins or ends with a space, tab or newline",
		"\ufeffcorrect-horse-battery-staple":        "byte-order mark",
		"CHAT_SECRET=correct-horse-battery-staple":  "is an assignment",
		`{"secret":"correct-horse-battery-staple"}`: "is a JSON object",
		"correct-horse-battery-staple":              "",
	} {
		t.Setenv("DOUBTFUL", value)
		_, lines := logged(t, "WARN", "chat_identity {\nsecret {env.DOUBTFUL}\n}")
		text := strings.Join(lines(), "\n")
		if warned := strings.Contains(text, "environment variable DOUBTFUL: "); warned != (want != "") || !strings.Contains(text, want) || strings.Contains(text, "correct-horse") {
			t.Errorf("%q: %s", value, text)
		}
		_ = caddy.Stop()
	}
}

// TestSignatureOfAnotherWidget: secrets are not shared.
func TestSignatureOfAnotherWidget(t *testing.T) {
	g := start(t, "chat_identity {\nwidget a {\nsecret {env.TEST_SECRET}\n}\nwidget b {\nsecret another-secret-of-widget-b\n}\n}",
		"chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy UPSTREAM")
	if a := g.post(t, claim("zoe"), "X-Widget-Key: a"); a.seen == nil || a.seen.Header.Get("X-Verified-Widget") != "a" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	checkProblem(t, g.post(t, claim("zoe"), "X-Widget-Key: b"), 401, "invalid", "bookbag")
}
