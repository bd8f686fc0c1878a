package browsertests

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSnippetsReachTheSite runs the code that the dashboard shows, the server's and the
// page's, against the gateway whose configuration it was made from.
func TestSnippetsReachTheSite(t *testing.T) {
	t.Parallel()
	const run = `
const real = globalThis.fetch
globalThis.fetch = async (url, options) => url === '/your/chat-identity'
  ? { ok: true, json: async () => chatIdentity('user-1') } : real(url, options)
Promise.all([send('hello').then((answer) => answer.text()), typeof identify === 'function' ? identify() : undefined])
  .then((said) => console.log(said.map((one) => typeof one === 'string' ? one : JSON.stringify(one)).join('\n')))
`
	for _, test := range []struct{ name, site, url, identified string }{
		{"a header names the widget", "chat_identity /chat/* {\nwidget {header.X-Widget-Key}\nidentify /chat/who\n}", "/chat/", `{"verified":true,"user":{"id":"user-1"}}`},
		{"the query names the widget", "chat_identity /v1/*/send {\nwidget {query.w}\n}", "/v1/messages/send", ""},
		{"the body names the widget", "chat_identity {\nwidget body /meta/widget\ndialect snapengage\nat /claim\n}", "/messages", ""},
		{"the dialect names the widget", "@chat path /a* /b\nchat_identity @chat {\ndialect inviaro\n}", "/a", ""},
		{"a claim in header and query", "chat_identity {\nwidget shop\nclaim user_id header X-User\nclaim signature query sig\n}", "/messages", ""},
		{"a claim under names of its own", "chat_identity {\nwidget shop\nclaim user_id body \"/who is it/user's id\"\nclaim signature body /proof\n}", "/messages", ""},
		{"a token in Authorization", "chat_identity {\nwidget shop\ndialect zendesk\n}", "/messages", ""},
		{"a token in place of a signature", "chat_identity {\nwidget shop\nproof token\nclaim token body /jwt\n}", "/messages", ""},
		{"a message of its own", "chat_identity {\nwidget shop\nmessage v1:{user_id}:{timestamp}\nclaim timestamp header X-Time\ntimestamp_unit milliseconds\nencoding base64url\n}", "/messages", ""},
		{"within a handle block", "handle /inner/* {\nchat_identity {\nwidget shop\n}\n" + answers + "\n}", "/inner/", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, "", test.site+"\n"+answers, nil)
			g.run(t)
			secret := g.create(t, `{"id":"shop"}`)
			var got struct {
				Sites    []string
				Snippets []struct{ Language, Code, Browser string }
			}
			c := g.call(t, "GET", "snippets?widget=shop", "")
			if err := json.Unmarshal([]byte(c.body), &got); err != nil || len(got.Sites) != 1 || got.Snippets[0].Language != "node" {
				t.Fatalf("%v: %s", err, c.body)
			}
			if page := got.Snippets[0].Browser; !strings.Contains(page, "'"+g.url+test.url+"'") {
				t.Errorf("posts to another place than %s:\n%s", test.url, page)
			}
			file := filepath.Join(t.TempDir(), "page.js")
			must(t, os.WriteFile(file, []byte(got.Snippets[0].Code+got.Snippets[0].Browser+run), 0o600))
			cmd := exec.Command("node", file)
			cmd.Env = append(os.Environ(), "CHAT_IDENTITY_SECRET="+secret)
			out, err := cmd.CombinedOutput()
			if want := strings.TrimSuffix("verified  user-1\n"+test.identified, "\n"); err != nil || strings.TrimSpace(string(out)) != want {
				t.Errorf("%v: got %s, want %s, from\n%s", err, out, want, got.Snippets[0].Browser)
			}
		})
	}
}
