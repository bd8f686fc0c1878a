package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
)

// validateHandler provisions a handler of a JSON configuration beside an app.
func validateHandler(app, handler string) error {
	var config caddy.Config
	text := fmt.Sprintf(`{"apps":{"chat_identity":%s,"http":{"servers":{"s":{"listen":[":0"],"routes":[{"handle":[%s]}]}}}}}`, app, handler)
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	return caddy.Validate(&config)
}

// TestJSONConfiguration: what is wrong in a configuration that comes
// from no Caddyfile is refused as well, and the error names the option.
func TestJSONConfiguration(t *testing.T) {
	const secret = `"secrets":["{env.TEST_SECRET}"]`
	for fields, want := range map[string]string{
		secret: "", secret + `,"mode":"required"`: "", `"mode":"off"`: "", `"dialect":"inviaro"`: "", `"widget":"shop"`: "",
		`"widget":"{http.request.header.X-Widget-Key}"`: "", `"widget_body":"/key"`: "", `"widget":"shop",` + secret: "",
		secret + `,"max_age":1000000000,"skew":0,"nonce_length":8,"dialect":"snapengage"`: "",

		secret + `,"assertion":"https://backend.internal","jwks_path":"/keys"`: "", `"guard":true,"dialect":"nextcap"`: "", `"guard":true,"jwks_path":"/keys"`: "takes only the options headers and dialect",
		`"guard":true,"assertion":"backend"`:                       "takes only the options headers and dialect",
		secret + `,"assertion":"{env.AUDIENCE}"`:                   "assertion: '{env.AUDIENCE}' has a placeholder",
		secret + `,"assertion":"a\u0000b"`:                         "assertion: the text has a control character",
		secret + `,"assertion":"` + strings.Repeat("a", 256) + `"`: "assertion: the text is longer than 255 bytes",
		secret + `,"assertion":["a","b"]`:                          "assertion takes a string, not a",
		secret + `,"jwks_path":"keys"`:                             "jwks_path: 'keys' is not a path",
		secret + `,"jwks_path":"/a","identify":"/a"`:               "jwks_path: /a is the path of identify",

		``:                                                            "no widget",
		`"mode":"required"`:                                           "no widget",
		secret + `,"mode":"strict"`:                                   "unknown mode 'strict'",
		secret + `,"one_time":true`:                                   "one_time",
		secret + `,"secret":"x"`:                                      "unknown option 'secret' (did you mean 'secrets'?)",
		secret + `,"no_such":"x"`:                                     "unknown option 'no_such'",
		`"secrets":"{env.TEST_SECRET}"`:                               "secrets takes a list, not a string",
		secret + `,"max_body":"1 MB"`:                                 "max_body takes a number, not a string",
		secret + `,"claims":{}`:                                       "claims takes a list, not an object",
		secret + `,"one_time":1`:                                      "one_time takes true or false, not a number",
		secret + `,"widget":"{http.request.header.A}"`:                "single widget",
		secret + `,"widget_body":"/key"`:                              "single widget",
		`"widget":"a","widget_body":"/b"`:                             "widget",
		`"widget":"default"`:                                          "'default' is reserved",
		`"widget":"a b"`:                                              "widget id 'a b'",
		`"widget_body":"key"`:                                         "widget",
		`"secrets":["short"]`:                                         "shorter than 16 bytes",
		`"secrets":[""]`:                                              "secret is empty",
		`"secrets":["                    "]`:                          "secret is empty",
		`"secrets":["{env.CHAT_IDENTITY_NOT_SET}"]`:                   "CHAT_IDENTITY_NOT_SET",
		`"secrets":["{file./nowhere/secret}"]`:                        "/nowhere/secret",
		secret + `,"dialect":"acme"`:                                  "unknown dialect 'acme'",
		secret + `,"refuse":"json"`:                                   "refuse",
		secret + `,"unverified":"cut"`:                                "unverified",
		secret + `,"max_body":-1`:                                     "max_body",
		secret + `,"max_upload":-1`:                                   "max_upload",
		secret + `,"unverified_fields":["email","phone"]`:             "",
		secret + `,"unverified_fields":["mail"]`:                      "unknown field 'mail'",
		secret + `,"unverified_fields":["widget"]`:                    "unknown field 'widget'",
		secret + `,"unverified":"keep","unverified_fields":["email"]`: "keep cuts nothing out",
		secret + `,"claims":[{"field":"user_id","location":"body","name":"/a","else":[{"location":"body","name":"b"}]}]`:  "claim user_id",
		secret + `,"claims":[{"field":"user_id","location":"body","name":"/a","else":[{"location":"query","name":"b"}]}]`: "",
		secret + `,"max_age":-1,"dialect":"snapengage"`:                                                                   "max_age",
		secret + `,"max_age":1`:                                                                "max_age",
		secret + `,"skew":-1,"dialect":"snapengage"`:                                           "skew",
		secret + `,"timestamp_unit":"minutes","dialect":"snapengage"`:                          "timestamp_unit",
		secret + `,"nonce_length":-1,"dialect":"snapengage"`:                                   "nonce_length",
		secret + `,"nonce_length":1000,"dialect":"snapengage"`:                                 "nonce_length",
		secret + `,"encoding":"octal"`:                                                         "encoding",
		secret + `,"message":"{user_id}{email}"`:                                               "could be split in two ways",
		secret + `,"at":"x"`:                                                                   "at:",
		secret + `,"reject":{"forged":403}`:                                                    "reject",
		secret + `,"reject":{"invalid":302}`:                                                   "reject invalid",
		secret + `,"headers":{"users":"X"}`:                                                    "header: unknown name 'users'",
		secret + `,"headers":{"user":"X Y"}`:                                                   "header user",
		secret + `,"headers":{"user":"Host"}`:                                                  "header user",
		secret + `,"headers":{"user":"X-Identity-Name"}`:                                       "would both be",
		secret + `,"cors":["https://a.example/"]`:                                              "cors",
		secret + `,"claims":[{"field":"user","location":"body","name":"/a"}]`:                  "unknown field 'user'",
		secret + `,"claims":[{"field":"user_id","location":"path","name":"/a"}]`:               "unknown location 'path'",
		secret + `,"claims":[{"field":"user_id","location":"query","name":""}]`:                "claim user_id",
		secret + `,"claims":[{"field":"widget","location":"query","name":"w"}]`:                "unknown field 'widget'",
		secret + `,"claims":[{"field":"user_id","location":"header","name":"Content-Length"}]`: "claim user_id",
		`"widget":"shop","claims":[{"field":"user_id","location":"query","name":"u"}]`:         "widget shop has the dialect nextcap",
	} {
		separator := ","
		if fields == "" {
			separator = ""
		}
		err := validateHandler(`{"inline_widgets":[{"id":"shop","secrets":["{env.TEST_SECRET}"],"dialect":"nextcap"}]}`, `{"handler":"chat_identity"`+separator+fields+`}`)
		errorSays(t, err, want, "%s", fields)
	}
}

// TestJSONApp is TestJSONConfiguration for the widgets that all handlers share.
func TestJSONApp(t *testing.T) {
	for widgets, want := range map[string]string{
		`{"id":"a","secrets":["{env.TEST_SECRET}"],"mode":"required","dialect":"nextcap"}`: "",
		`{"id":"default","secrets":["{env.TEST_SECRET}"]}`:                                 "'default' is reserved",
		`{"id":"","secrets":["{env.TEST_SECRET}"]}`:                                        "widget id ''",
		`{"id":"-a","secrets":["{env.TEST_SECRET}"]}`:                                      "widget id '-a'",
		`{"id":"` + strings.Repeat("a", 129) + `","secrets":["{env.TEST_SECRET}"]}`:        "widget id",
		`{"id":"a"}`: "widget a has no secret",
		`{"id":"a","secrets":["{env.TEST_SECRET}"]},{"id":"a","secrets":["{env.TEST_SECRET}"]}`: "inline widget a is repeated",
		`{"id":"a","secrets":["{env.TEST_SECRET}","{env.CHAT_IDENTITY_NOT_SET}"]}`:              "CHAT_IDENTITY_NOT_SET",
		`{"id":"a","secrets":["{env.TEST_SECRET}"],"dialect":"acme"}`:                           "unknown dialect 'acme'",
		`{"id":"a","secrets":["{env.TEST_SECRET}"],"mode":"on"}`:                                "unknown mode 'on'",
	} {
		err := validateHandler(`{"inline_widgets":[`+widgets+`]}`, `{"handler":"chat_identity","widget":"{http.request.header.X-Widget-Key}"}`)
		errorSays(t, err, want, "%s", widgets)
	}
	for options, want := range map[string]string{
		`{}`: "", `{"issuer":"gateway","lifetime":"1h"}`: "", `{"lifetime":"1s"}`: "",
		`{"lifetime":"2h"}`:         "assertion: lifetime: '2h0m0s'",
		`{"lifetime":"1500ms"}`:     "assertion: lifetime: '1.5s'",
		`{"lifetime":-1000000000}`:  "assertion: lifetime: '-1s'",
		`{"issuer":"{env.ISSUER}"}`: "assertion: issuer: '{env.ISSUER}' has a placeholder",
		`{"audience":"backend"}`:    "unknown option 'audience'",
		`{"issuer":1}`:              "assertion.issuer takes a string",
	} {
		err := validateHandler(`{"assertion":`+options+`}`, `{"handler":"chat_identity","secrets":["{env.TEST_SECRET}"],"assertion":"backend"}`)
		errorSays(t, err, want, "%s", options)
	}
}

// TestJSONStores: errors about a store's JSON quote none of it.
func TestJSONStores(t *testing.T) {
	for store, want := range map[string]string{
		`"redis://user:password@localhost"`: "this takes an object", `{"url":"redis://user:password@localhost"}`: `"store" is missing`,
	} {
		err := validateHandler(`{"widgets":`+store+`}`, `{"handler":"chat_identity","widget":"shop"}`)
		if errorSays(t, err, want, "%s", store); strings.Contains(err.Error(), "password") {
			t.Error(err)
		}
	}
}

// TestSameFile: store and ledger cannot be one file, by whatever paths.
func TestSameFile(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o700))
	must(t, os.Symlink("a", filepath.Join(dir, "b")))
	must(t, os.WriteFile(filepath.Join(dir, "there"), nil, 0o600))
	must(t, os.Symlink("there", filepath.Join(dir, "link")))
	for _, paths := range [][2]string{{"a/x", "a/x"}, {"a/x", "b/x"}, {"there", "link"}} {
		stores := fmt.Sprintf(`{"widgets":{"store":"file","path":%q},"ledger":{"store":"bolt","path":%q}}`, filepath.Join(dir, paths[0]), filepath.Join(dir, paths[1]))
		errorSays(t, validateHandler(stores, `{"handler":"chat_identity","widget":"shop"}`), "have the same file", "%s", paths)
	}
}

// TestOneNameOneSecret: an identity is a pair of widget and user, so one widget id
// must not have two secrets.
func TestOneNameOneSecret(t *testing.T) {
	const other = "another-secret-of-16-bytes"
	site := func(port, name, secret string) string {
		return ":" + port + " {\nchat_identity {\nwidget " + name + "\nsecret " + secret + "\n}\n}\n"
	}
	declared := "{\nchat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}\n}\n"
	const refused = "widget shop has different secrets elsewhere"
	for caddyfile, want := range map[string]string{
		site("1", "shop", "{env.TEST_SECRET}") + site("2", "shop", other):                      refused,
		site("1", "shop", "{env.TEST_SECRET}") + site("2", "shop", "{env.TEST_SECRET}"):        "",
		site("1", "shop", "{env.TEST_SECRET}") + site("2", "shop", testSecret):                 "",
		site("1", "shop", "{env.TEST_SECRET}") + site("2", "Shop", other):                      "",
		site("1", "shop", "{env.TEST_SECRET}") + site("2", "shop", "{env.TEST_SECRET} "+other): refused,
		declared + site("1", "shop", other):                                                    refused,
		declared + site("1", "shop", "{env.TEST_SECRET}"):                                      "",
	} {
		errorSays(t, validate(caddyfile), want, "%s", caddyfile)
	}
}

// TestDeclaredWidgetKeepsItsMode: a handler that repeats a declared widget's
// secret does not get a laxer mode.
func TestDeclaredWidgetKeepsItsMode(t *testing.T) {
	g := start(t, "chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\nmode required\n}\n}", "chat_identity {\nwidget shop\nsecret {env.TEST_SECRET}\n}\nreverse_proxy UPSTREAM")
	checkProblem(t, g.post(t, `{}`), 401, "missing", "bookbag")
}

// TestSecretSources: a newline at the end of a file is no part of the secret, the order
// does not matter for verifying, and braces within a literal are its own.
func TestSecretSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte("a-secret-from-a-file\r\n"), 0o600))
	g := chat(t, "chat_identity required {\nsecret {env.TEST_SECRET} {file."+file+"} `{a} literal {env.TEST_SECRET}`\n}")
	for secret, want := range map[string]int{
		testSecret: 200, "a-secret-from-a-file": 200, "{a} literal {env.TEST_SECRET}": 200, "a-secret-from-a-file\r\n": 401, "{env.TEST_SECRET}": 401, "{a} literal " + testSecret: 401,
	} {
		equal(t, g.post(t, `{"user_id":"zoe","user_hash":"`+signWith(secret, "zoe")+`"}`).StatusCode, want, "%q", secret)
	}
}

// TestPlaceholderNames: a name that nothing could ever set is refused, in JSON as
// well, where nothing is written short; those of Caddy and of other modules are taken.
func TestPlaceholderNames(t *testing.T) {
	for _, name := range append([]string{
		"http.request.header.X-Widget-Key", "http.request.uri.query.w", "http.request.cookie.w", "http.request.host.labels.2", "http.request.remote.host/24",
		"http.request.uri.path.0", "http.request.uri.path.file.base", "http.request.orig_uri.path.dir", "http.request.tls.client.san.dns_names.0", "http.request.uri",
		"http.vars.widget", "http.regexp.widget.1", "http.auth.user.id", "http.matchers.file.relative", "http.chat_identity.widget", "env.WIDGET", "geoip2.country_code", "jwt", "headers",
	}, knownToCaddy(t)...) {
		handler := `{"handler":"chat_identity","widget":"a-{` + name + `}","visitor":{"text":"\\{a\\}{` + name + `}"}}`
		errorSays(t, validateHandler(`{}`, handler), "", "%s", name)
	}
	for text, want := range map[string]string{
		"{http.request.header.X-Widget-Key": "'{' is not closed", "{http.request.header.X-{http.request.host}": "'{' is not closed",
		"{header.X-Widget-Key}": "write {http.request.header.X-Widget-Key}", "a-{headers.X-Widget-Key}": "write {http.request.header.X-Widget-Key}",
		"{cookies.w}": "write {http.request.cookie.w}", "{query.w}": "write {http.request.uri.query.w}", "{http.request.headr.X}": "http.request is followed by one of body,",
		"{http.request.uri.qury.w}": "http.request.uri is followed by one of path,", "{http.request.}": "no placeholder",
	} {
		for option, handler := range map[string]string{
			"widget":       `"widget":"` + text + `"`,
			"visitor":      `"widget":"shop","visitor":{"text":"` + text + `"}`,
			"conversation": `"widget":"shop","conversation":{"text":"` + text + `"}`,
		} {
			err := validateHandler(`{}`, `{"handler":"chat_identity",`+handler+`}`)
			errorSays(t, err, option+": ", "%s %s", option, text)
			errorSays(t, err, want, "%s %s", option, text)
		}
	}
}

// knownToCaddy returns the placeholders of the parts that a request has here,
// and checks that Caddy has them.
func knownToCaddy(t *testing.T) (names []string) {
	t.Helper()
	request := httptest.NewRequest("GET", "https://shop.example/", nil)
	repl := caddyhttp.NewTestReplacer(request)
	for _, part := range naming.RequestParts {
		if slices.Contains([]string{"cookie", "header", "tls", "local", "duration", "duration_ms", "orig_method", "orig_uri", "uuid"}, part) {
			continue // only with a name, a connection or a server
		}
		names = append(names, "http.request."+part)
	}
	for _, part := range naming.URIParts {
		names = append(names, "http.request.uri."+part)
	}
	for _, name := range names {
		if _, known := repl.Get(name); !known {
			t.Errorf("Caddy has no placeholder %s", name)
		}
	}
	return names
}

// TestXcaddy: the build that xcaddy.json describes is the one that is tested.
func TestXcaddy(t *testing.T) {
	text := read(t, "../xcaddy.json")
	var builder struct {
		CaddyVersion string `json:"caddy_version"`
		Plugins      []struct {
			Module     string `json:"module"`
			ModulePath string `json:"module_path"`
		} `json:"plugins"`
		Replacements []struct{ Old, New string } `json:"replacements"`
	}
	must(t, json.Unmarshal(text, &builder))
	module := read(t, "../go.mod")
	version := regexp.MustCompile(`(?m)^\s*(?:require\s+)?github\.com/caddyserver/caddy/v2\s+(v\S+)`).FindSubmatch(module)
	if version == nil || string(version[1]) != builder.CaddyVersion {
		t.Errorf("caddy_version is %s, go.mod requires %s", builder.CaddyVersion, version)
	}
	var plugins []string
	for _, p := range builder.Plugins {
		plugins = append(plugins, p.Module+p.ModulePath)
	}
	if !slices.Contains(plugins, "github.com/chatidentity/caddy-chat-identity/caddymodule") {
		t.Errorf("the plugins %q lack this package", plugins)
	}
	replaced, wanted := []string{}, []string{}
	for _, r := range builder.Replacements {
		// xcaddy replaces this module by the working tree, which go.mod need not.
		if path, _, _ := strings.Cut(r.Old, "@"); path != "github.com/chatidentity/caddy-chat-identity" {
			replaced = append(replaced, r.Old+" => "+r.New)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:replace\s+)?(\S+)(?: (v\S+))? => (\S+)(?: (v\S+))?$`).FindAllStringSubmatch(string(module), -1) {
		wanted = append(wanted, at(m[1], m[2])+" => "+at(m[3], m[4]))
	}
	slices.Sort(replaced)
	slices.Sort(wanted)
	if !slices.Equal(replaced, wanted) {
		t.Errorf("replacements %q, go.mod has %q", replaced, wanted)
	}
}

func at(path, version string) string {
	if version == "" {
		return path
	}
	return path + "@" + version
}
