package caddymodule

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// TestConfigurationHidesSecrets: what an operator can look at shows where
// secrets come from, and what is provisioned shows none.
func TestConfigurationHidesSecrets(t *testing.T) {
	config, err := adapt("{\n" + globals + "\nchat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}\n}\n:80 {\nchat_identity {\nsecret {env.TEST_SECRET}\n}\n}")
	if err != nil || strings.Contains(string(config), testSecret) || strings.Count(string(config), "{env.TEST_SECRET}") != 2 {
		t.Errorf("%v %s", err, config)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{AppsRaw: caddy.ModuleMap{
		"chat_identity": json.RawMessage(`{"inline_widgets":[{"id":"shop","secrets":["{env.TEST_SECRET}","` + testSecret + `-two"]}]}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("chat_identity")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := ctx.LoadModuleByID("http.handlers.chat_identity", json.RawMessage(`{"secrets":["{env.TEST_SECRET}","`+testSecret+`-two"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{app, handler} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%s %+v %#v %v %s", text, value, value, value, value)
		if strings.Contains(all, testSecret) {
			t.Errorf("%T shows its secret: %s", value, all)
		}
	}
}

// TestLoadErrorsHideSecrets: nor does an error about a secret that is refused.
func TestLoadErrorsHideSecrets(t *testing.T) {
	t.Setenv("SHORT_SECRET", "hunter2hunter2")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hunter2hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
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
		if err != nil {
			t.Fatal(err)
		}
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
		if err := validateHandler(store, `{"handler":"chat_identity","widget":"shop"}`); err == nil || !strings.Contains(err.Error(), "nothing has replaced") {
			t.Errorf("password %s: %v", password, err)
		}
	}
}

// TestSecretsAreNoNames: what secrets look like is taken, punctuation or not.
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
		if err := checkLiterals([]string{secret}); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

// validate does what `caddy validate` does.
func validate(caddyfile string) error {
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
			client := g.dial(t)
			client.write(fmt.Sprintf("POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Widget-Key: shop\r\nContent-Type: application/json\r\n"+
				"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body)))
			if response, err := http.ReadResponse(client.in, nil); err != nil || response.StatusCode != 100 {
				t.Fatal(response, err)
			}
			client.write(body[:10]) // the handler is at the body
			config := strings.Replace(g.config, c.site, c.siteAfter, 1)
			if c.global != "" {
				config = strings.Replace(config, c.global, c.globalAfter, 1)
			}
			reloaded, err := adapt(config)
			if err == nil {
				err = caddy.Load(reloaded, true)
			}
			if fails := strings.Contains(c.name, "fails"); (err != nil) != fails {
				t.Fatal(err)
			}
			client.write(body[10:])
			response, text := client.answer()
			for response.StatusCode == 100 { // the upstream asks, too
				response, text = client.answer()
			}
			if response.StatusCode != c.status {
				t.Errorf("%s %s", response.Status, text)
			}
			if seen := g.upstream.take(); (seen != nil) != (c.status == 200) {
				t.Errorf("the upstream was sent %+v", seen)
			}
		})
	}
}
