package caddymodule

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/findings"
)

// runCheck runs caddy chat-identity check on a Caddyfile in a folder.
func runCheck(t *testing.T, dir, caddyfile string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(caddyfile), 0o600))
	cmd := caddyCommand(dir, append([]string{"chat-identity", "check"}, args...)...)
	var out, errors strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

// oneSite is a Caddyfile of one site.
func oneSite(global, directives string) string {
	return "{\n\tadmin off\n" + global + "\n}\nhttp://site.localhost {\n" + directives + "\n}\n"
}

// TestCheck: each kind of finding is found, with its line, and nothing else is.
func TestCheck(t *testing.T) {
	const own = "chat_identity required {\nsecret {env.TEST_SECRET}\n"
	const proxy = "reverse_proxy 127.0.0.1:1\n"
	const login = "basic_auth {\na $2a$04$mbOxEqsDKOLtb/MWmYM8YunaTDNjliCr3s0fZ4amspOQpDb9aIVSa\n}\n"
	damaged := filepath.Join(t.TempDir(), "damaged")
	must(t, os.WriteFile(damaged, []byte("{\"id\":\"shop\"\n"), 0o600))
	t.Setenv("DAMAGED", damaged)
	stored := func(path string) string {
		return oneSite("chat_identity {\nwidgets file "+path+"\n}", "chat_identity {\nwidget {query.w}\n}\n"+proxy)
	}
	t.Setenv("QUOTED", `"a-secret-in-quotes-of-many-bytes"`)
	t.Setenv("CHAT_IDENTITY_KEY", testEncryptionKey)
	t.Setenv("SHOP_PUBLIC_KEY", newPair(t, "ES256", "").pem(t))
	t.Setenv("HEX_SECRET", "000102030405060708090a0b0c0d0e0f")
	for _, name := range []string{"SHOP_SECRET", "SHOP_SECRET_OLD", "CHAT_IDENTITY_SECRET"} {
		t.Setenv(name, "secret-of-"+name)
	}
	example := string(read(t, "../Caddyfile.example"))
	before, _, _ := strings.Cut(example, "\t\t\tno_expiry\n")
	forever := fmt.Sprintf("token_forever %d", 1+strings.Count(before[:strings.LastIndex(before, "chat_identity")], "\n"))
	seen := map[findings.Kind]bool{}
	public := base64.StdEncoding.EncodeToString([]byte(newPair(t, "ES256", "").pem(t)))
	for _, c := range []struct{ name, caddyfile, want string }{
		{"nothing", oneSite("", own+"}\n"+proxy), ""},
		{"nothing, with certificates of its own", "{\nlog {\noutput file caddy.log\n}\n}\na.localhost {\ntls internal\n" + own + "}\n" + proxy + "}", ""},
		{"what the example has for its own sake", example, forever},
		{"signatures and tokens", oneSite("", own+"claim token header Authorization\n}\n"+proxy), "hash_is_token 6"},
		{"signatures alone, where tokens could come", oneSite("", own+"dialect intercom\nproof signature\n}\n"+proxy), ""},
		{"signatures, and tokens by HS512", oneSite("", own+"claim token header Authorization\ntoken {\nalgorithm HS512\n}\n}\n"+proxy), ""},
		{"a proxy before", oneSite("", "route {\n"+proxy+own+"}\n}"), "proxy_before 8"},
		{"another order", oneSite("order chat_identity after reverse_proxy", own+"}\n"+proxy), "proxy_before 6"},
		{"a proxy beside", oneSite("", "handle /a {\n"+own+"}\n"+proxy+"}\nhandle {\n"+proxy+"}"), "proxy_unprotected 7"},
		{"error routes", oneSite("", own+"}\n"+proxy+"handle_errors {\n"+proxy+"}"), "errors_unprotected 6"},
		{"forward_auth", oneSite("", "forward_auth 127.0.0.1:1 {\nuri /\n}\n"+own+"}\n"+proxy), "subrequest_before 9"},
		{"a matcher", oneSite("", "@a header X-Verified-User *\nrewrite @a /a\n"+own+"}\n"+proxy), "early_matcher 8"},
		{"never", oneSite("", "chat_identity off\nhandle /a {\n"+own+"}\n}\n"+proxy), "never_decides 8"},
		{"never, one of two", oneSite("", own+"}\n"+own+"}\n"+proxy), "never_decides 9"},
		{"a path that was rewritten", oneSite("", "route {\nrewrite /chat/* /v2{uri}\nchat_identity /chat/* off\n"+proxy+"}"), "never_matches 8"},
		{"a prefix that was stripped", oneSite("", "uri strip_prefix /api\nchat_identity /api/chat/* off\n"+proxy), "never_matches 7"},
		{"a prefix that handle_path strips", oneSite("", "handle_path /chat/* {\nchat_identity /chat/* off\n"+proxy+"}"), "never_matches 7"},
		{"other paths around", oneSite("", "handle /api/* {\nchat_identity /chat/* off\n"+proxy+"}"), "never_matches 7"},
		{"another site's host", oneSite("", "@x host chat.example.org\nchat_identity @x off\n"+proxy), "never_matches 7"},
		{"answered before", oneSite("", "route {\nrespond ok\nchat_identity off\n}"), "never_matches 8"},
		{"a folder's name", oneSite("", "chat_identity /chat off\n"+"reverse_proxy /chat/* 127.0.0.1:1"), "never_matches 6"},
		{"a rewrite of other paths", oneSite("", "rewrite /a/* /v2{uri}\nchat_identity /chat/* off\n"+proxy), ""},
		{"a rewrite to that path", oneSite("", "route {\nrewrite /old/* /chat{uri}\nchat_identity /chat/* off\n"+proxy+"}"), ""},
		{"a rewrite of another block", oneSite("", "handle_path /a/* {\n"+proxy+"}\nhandle /a/b {\nchat_identity off\n"+proxy+"}\nhandle /api/* {\nuri strip_prefix /api\nchat_identity /chat/* off\n"+proxy+"}"), "proxy_unprotected 15"},
		{"a block within a block", oneSite("", "handle /API/* {\nhandle /api/chat/* {\nchat_identity /api/chat/open off\n"+proxy+"}\n}"), ""},
		{"one of the site's hosts", "{\nadmin off\n}\nhttp://*.example.com, http://b.localhost {\n@x host a.example.com\nchat_identity @x off\n" + proxy + "}", ""},
		{"a snippet of two blocks", "(ci) {\nchat_identity /chat/* off\n}\n" + oneSite("", "handle /chat/* {\nimport ci\n"+proxy+"}\nhandle /api/* {\nimport ci\n"+proxy+"}"), ""},
		{"early hints", oneSite("", "route {\nrespond 103\nchat_identity off\n"+proxy+"}"), ""},
		{"some is answered before", oneSite("", "route {\nrespond /healthz 200\nchat_identity off\n"+proxy+"}"), ""},
		{"a folder's name, and the folder", oneSite("", "chat_identity /chat off\nchat_identity /chat/* off\nreverse_proxy /chat/* 127.0.0.1:1"), ""},
		{"error routes of one status", oneSite("", own+"}\n"+proxy+"handle_errors 502 {\nhandle /a {\n"+proxy+"}\n}"), "errors_unprotected 6"},
		{"error routes, PHP", oneSite("", own+"}\n"+proxy+"handle_errors {\nphp_fastcgi 127.0.0.1:1\n}"), "errors_unprotected 6"},
		{"overlapping", oneSite("", "@a header A 1\nchat_identity /a off\nchat_identity @a off\n"+proxy), "overlap 8"},
		{"a taken path", oneSite("", own+"jwks_path /me\nassertion b\n}\nchat_identity /keys off {\nidentify /me\n}\n"+proxy), "path_taken 11"},
		{"keys and users by one path", oneSite("", own+"assertion b\nidentify /me\n}\nchat_identity /keys off {\njwks_path /me\n}\n"+proxy), ""},
		{"a path of two hosts", "{\nadmin off\n}\nhttp://a.localhost, http://b.localhost {\n@a host a.localhost\n@b host b.localhost\nchat_identity @a {\nsecret {env.TEST_SECRET}\nidentify /me\n}\nchat_identity @b off {\nidentify /me\n}\n" + proxy + "}", ""},
		{"a path of two in a route", oneSite("", "@a header A 1\n@b header B 1\nroute {\nchat_identity @a {\nsecret {env.TEST_SECRET}\nidentify /me\n}\nchat_identity @b off {\nidentify /me\n}\n"+proxy+"}"), "overlap 13, path_taken 13"},
		{"a path that handle_path strips", oneSite("", "handle_path /chat/* {\n"+own+"identify /chat/me\n}\n"+proxy+"}\nhandle {\nrespond 404\n}"), "path_taken 7"},
		{"a path that is stripped", oneSite("", "uri strip_prefix /api\n"+own+"jwks_path /api/keys\nassertion b\n}\n"+proxy), "path_taken 7"},
		{"a path behind one that is stripped", oneSite("", "handle_path /chat/* {\n"+own+"identify /me\n}\n"+proxy+"}\nhandle {\nrespond 404\n}"), ""},
		{"a path that is rewritten", oneSite("", "rewrite * /index.php\n"+own+"identify /me\n}\n"+proxy), "path_taken 7"},
		{"a path that one of two rewrites leaves", oneSite("", "rewrite /old /chat/me\nrewrite /chat/* /v2{uri}\n"+own+"identify /chat/me\n}\n"+proxy), ""},
		{"a path outside its block", oneSite("", "handle /chat/* {\n"+own+"identify /me\n}\n"+proxy+"}\nhandle {\nrespond 404\n}"), "path_taken 7"},
		{"a path outside one of two blocks", "(ci) {\n" + own + "identify /chat/me\n}\n}\n" + oneSite("", "handle /chat/* {\nimport ci\n"+proxy+"}\nhandle /files/* {\nimport ci\n"+proxy+"}"), ""},
		{"a path of another block", oneSite("", "handle /chat/me {\nrespond ok\n}\nhandle {\n"+own+"identify /chat/me\n}\n"+proxy+"}"), "path_taken 10"},
		{"keys of another block", oneSite("", "handle /keys {\nfile_server\n}\nhandle {\n"+own+"jwks_path /keys\nassertion b\n}\n"+proxy+"}"), "path_taken 10"},
		{"paths beside those of another block", oneSite("", "@get {\npath /keys\nmethod POST\n}\nhandle @get {\nrespond no\n}\nhandle {\n"+own+"jwks_path /keys\nassertion b\n}\n"+proxy+"}"), ""},
		{"a path between blocks", oneSite("", "route {\nhandle /me {\nrequest_header A 1\n}\n"+own+"identify /me\n}\nhandle {\n"+proxy+"}\n}"), ""},
		{"a directive of another block", oneSite("", "handle /chat/* {\n"+own+"}\n"+proxy+"}\nhandle {\nchat_identity /chat/* off\n"+proxy+"}"), "never_matches 13"},
		{"a path that redir takes", oneSite("", "redir /old/* /\nchat_identity /chat/* {\nsecret {env.TEST_SECRET}\nidentify /old/me\njwks_path /keys\nassertion b\n}\n"+proxy), "path_taken 7"},
		{"paths that respond takes", oneSite("", "route {\nrespond /Keys ok\nerror /me 404\nhandle {\n"+own+"identify /me\njwks_path /keys\nassertion b\n}\n"+proxy+"}\n}"), "path_taken 10, path_taken 10"},
		{"paths beside those", oneSite("", "@get {\npath /keys\nmethod POST\n}\nroute {\nrespond @get no\nrespond /me 103\nrespond /keys/* ok\nuri strip_prefix /a\n"+own+"identify /me\njwks_path /keys\nassertion b\n}\n"+proxy+"}"), ""},
		{"a path that was another when it was answered", oneSite("", "route {\nrespond /me ok\nuri strip_prefix /a\n"+own+"identify /me\n}\n"+proxy+"}"), ""},
		{"a path in a block under a stricter directive", oneSite("", "chat_identity /chat/* required {\nsecret {env.TEST_SECRET}\n}\nhandle {\nchat_identity /open/* {\nsecret {env.TEST_SECRET}\njwks_path /chat/keys\nassertion b\n}\n"+proxy+"}"), "path_taken 10"},
		{"a path behind a stricter directive", oneSite("", "route {\n"+own+"}\nrequest_header X-A 1\nchat_identity off {\nidentify /me\n}\n"+proxy+"}"), "never_decides 11, path_taken 11"},
		{"a path beside a stricter directive", oneSite("", own+"assertion b\n}\nchat_identity /open/* off {\nidentify /me\njwks_path /keys\n}\nhandle {\nchat_identity /open/* off {\njwks_path /keys\n}\n"+proxy+"}"), "never_decides 15"},
		{"a login for the keys", oneSite("", login+own+"identify /me\njwks_path /keys\nassertion b\n}\n"+proxy), "path_taken 9"},
		{"a login for others", oneSite("", strings.Replace(login, " {", " /admin/* {", 1)+own+"identify /me\njwks_path /keys\nassertion b\n}\n"+proxy), ""},
		{"a login behind", oneSite("", "route {\n"+own+"jwks_path /keys\nassertion b\n}\n"+login+proxy+"}"), ""},
		{"copied", oneSite("", "request_header X-User {header.X-Verified-User}\n"+own+"}\n"+proxy), "header_copied 7"},
		{"copied behind", oneSite("", own+"}\nreverse_proxy 127.0.0.1:1 {\nheader_up X-User {header.X-Verified-User}\n}"), ""},
		{"overwritten", oneSite("", own+"}\nreverse_proxy 127.0.0.1:1 {\nheader_up X-Verified-User {header.X-User}\n}"), "header_overwritten 6"},
		{"overwritten by another name", oneSite("", own+"header user X-User\n}\nreverse_proxy 127.0.0.1:1 {\nheader_up X-User a\n}"), "header_overwritten 6"},
		{"removed", oneSite("", own+"}\nreverse_proxy 127.0.0.1:1 {\nheader_up -X-Verified-*\n}"), "header_overwritten 6"},
		{"removed before", oneSite("", "request_header -X-Verified-*\n"+own+"}\n"+proxy), ""},
		{"cors elsewhere", oneSite("", "header Access-Control-Allow-Origin https://a.example.com\n"+own+"}\n"+proxy), "no_cors 7"},
		{"cors", oneSite("", "header Access-Control-Allow-Origin https://a.example.com\n"+own+"cors https://a.example.com\n}\n"+proxy), ""},
		{"preflights", oneSite("", "@o method OPTIONS\nrespond @o 204\n"+own+"}\n"+proxy), "no_cors 8"},
		{"an error that nothing handles", oneSite("", own+"refuse error\n}\n"+proxy), "error_unhandled 6"},
		{"an error that is handled", oneSite("", own+"refuse error\n}\n"+proxy+"handle_errors {\nrespond no\n}"), ""},
		{"no directive", oneSite("chat_identity", proxy), "no_directive 3"},
		{"unreachable", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", own+"}\n"+proxy), "widget_unreachable 4"},
		{"reachable by a literal", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", "chat_identity {\nwidget shop\n}\n"+proxy), ""},
		{"reachable by a request", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", "chat_identity {\nwidget {query.w}\n}\n"+proxy), ""},
		{"another dialect", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\ndialect snapengage\n}\n}", "chat_identity {\nwidget {query.w}\nclaim user_id header X-User\n}\n"+proxy), "dialect_refused 4"},
		{"another dialect, taken", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\ndialect snapengage\n}\n}", "chat_identity {\nwidget {query.w}\n}\n"+proxy), ""},
		{"a secret where public keys verify", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", "chat_identity {\nwidget {query.w}\nclaim token query t\ntoken {\nalgorithm ES256\n}\n}\n"+proxy), "secret_refused 4"},
		{"a store that is none", oneSite("chat_identity {\nwidgets file {env.DAMAGED}\n}", "chat_identity {\nwidget {query.w}\n}\n"+proxy), "file_damaged 3"},
		{"a ledger that is none", oneSite("chat_identity {\nledger bolt {env.DAMAGED}\n}", own+"visitor query v\n}\n"+proxy), "file_damaged 3"},
		{"not stored", oneSite("", "chat_identity {\nwidget shop\n}\n"+proxy), "widget_unstored 6"},
		{"a literal", oneSite("", "chat_identity {\nsecret 0123456789abcdef\n}\n"+proxy), "secret_literal 6"},
		{"literals of the app", oneSite("chat_identity {\nencryption_key "+testEncryptionKey+"\nledger redis redis://:password@127.0.0.1:1\n}", own+"}\n"+proxy), "secret_literal 3, secret_literal 3"},
		{"a literal for sentinels", oneSite("chat_identity {\nencryption_key {env.CHAT_IDENTITY_KEY}\nwidgets redis redis+sentinel://127.0.0.1:1/main?sentinel_password=password\n}", own+"}\n"+proxy), "secret_literal 3"},
		{"a doubtful secret", oneSite("", "chat_identity {\nsecret {env.QUOTED}\n}\n"+proxy), "secret_doubtful 6"},
		{"a doubtful literal", oneSite("", "chat_identity {\nsecret 0123456789abcdefg;\n}\n"+proxy), "secret_literal 6, secret_doubtful 6"},
		{"an undecoded secret", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", "chat_identity {\nwidget {query.w}\nkey_encoding hex\n}\n"+proxy), "secret_undecoded 10"},
		{"a decoded secret", oneSite("chat_identity {\nwidget shop {\nsecret {env.HEX_SECRET}\n}\n}", "chat_identity {\nwidget {query.w}\nkey_encoding hex\n}\n"+proxy), ""},
		{"tokens forever", oneSite("", own+"dialect jwt\ntoken {\nno_expiry\n}\n}\n"+proxy), "token_forever 6"},
		{"sessions for one gateway", oneSite("", "chat_identity {\nclaim token query t\nidentify /identify\nsession 1h\npublic_key "+public+"\ntoken {\nalgorithm ES256\n}\n}\n"+proxy), "session_key_local 6"},
		{"sessions for a fleet", oneSite("chat_identity {\nencryption_key {env.CHAT_IDENTITY_KEY}\n}", "chat_identity {\nclaim token query t\nidentify /identify\nsession 1h\npublic_key "+public+"\ntoken {\nalgorithm ES256\n}\n}\n"+proxy), ""},
		{"sessions that nobody gives", oneSite("", own+"session 1h\n}\n"+proxy), "session_ungiven 6"},
		{"sessions that another directive gives", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /me\nsession 1h\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\nsession 2h\n}\n"+proxy), ""},
		{"sessions of another widget", oneSite("", "chat_identity /a/* {\nwidget a\nsecret {env.TEST_SECRET}\nidentify /me\nsession 1h\n}\nchat_identity /b/* {\nwidget b\nsecret {env.TEST_SECRET}\nsession 1h\n}\n"+proxy), "session_ungiven 12"},
		{"sessions under other rules", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /me\nsession 1h\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\nproof signature\nsession 1h\n}\n"+proxy), "session_rules 11"},
		{"sessions of two under other rules", oneSite("chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n}", "chat_identity /a/* {\nwidget {query.w}\nidentify /a\nsession 1h\n}\nchat_identity /b/* {\nwidget {query.w}\nproof signature\nidentify /b\nsession 1h\n}\n"+proxy), ""},
		{"sessions of two of one widget under other rules", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /a\nsession 1h\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\nproof signature\nidentify /b\nsession 1h\n}\n"+proxy), "session_rules 11"},
		{"sessions that are moved", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /me\nsession 1h\nclaim session header X-My-Session\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\nsession 2h\n}\n"+proxy), "session_rules 12"},
		{"sessions in links", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /me\nsession 1h\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\nsession 2h\nclaim session query s\n}\n"+proxy), ""},
		{"sessions that are removed", oneSite("", "request_header -X-Chat-*\n"+own+"identify /me\nsession 1h\n}\n"+proxy), "session_removed 7"},
		{"sessions that are removed before a block", oneSite("", "request_header -x-chat-session\nhandle_path /chat/* {\n"+own+"identify /me\nsession 1h\n}\n"+proxy+"}"), "session_removed 8"},
		{"sessions that some requests lose", oneSite("", "request_header /old/* -X-Chat-Session\n"+own+"identify /me\nsession 1h\n}\n"+proxy), ""},
		{"sessions from elsewhere", oneSite("", "route {\nrequest_header -X-Chat-Session\nroute {\nrequest_header X-Chat-Session {cookie.chat}\n}\n"+own+"identify /me\nsession 1h\n}\n"+proxy+"}"), ""},
		{"sessions in a cookie", oneSite("", "request_header -X-Chat-Session\n"+own+"identify /me\nsession 1h\nclaim session cookie s\n}\n"+proxy), ""},
		{"sessions that are removed behind", oneSite("", "route {\n"+own+"identify /me\nsession 1h\n}\nrequest_header -X-Chat-Session\n"+proxy+"}"), ""},
		{"sessions of two sites under other rules", oneSite("", "chat_identity {\nsecret {env.TEST_SECRET}\nidentify /me\nsession 1h\n}\n"+proxy) + "\nhttp://b.localhost {\nchat_identity {\nsecret {env.TEST_SECRET}\nproof signature\nidentify /me\nsession 1h\n}\n" + proxy + "}", ""},
		{"sessions that are not taken", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /me\nsession 1h\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\n}\nchat_identity /c/* off\n"+proxy), "session_untaken 11"},
		{"sessions that one_time does not take", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\ndialect snapengage\nidentify /me\nsession 1h\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\ndialect snapengage\none_time\n}\n"+proxy), ""},
		{"sessions of a secret", oneSite("", own+"identify /identify\nsession 1h\n}\n"+proxy), ""},
		{"without units", oneSite("", own+"max_body 64\nmax_upload 64\n}\n"+proxy), "value_tiny 6, value_tiny 6"},
		{"a short age", oneSite("", own+"dialect snapengage\nmax_age 5ms\n}\n"+proxy), "value_tiny 6"},
		{"uploads", oneSite("chat_identity {\nmax_spool 1MiB\n}", own+"}\n"+proxy), "upload_too_large 8"},
		{"a path of two", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /me\n}\nchat_identity /b/* off {\nidentify /me\n}\n"+proxy), "path_taken 10"},
		{"a path of two that answer alike", oneSite("", "chat_identity /a/* {\nsecret {env.TEST_SECRET}\nidentify /me\n}\nchat_identity /b/* {\nsecret {env.TEST_SECRET}\nidentify /me\n}\n"+proxy), ""},
		{"an assertion that is left out", oneSite("", own+"assertion backend\nheader assertion off\n}\n"+proxy), "not_asserted 6"},
		{"an assertion in mode off", oneSite("", "chat_identity off {\nassertion backend\n}\n"+proxy), "not_asserted 6"},
		{"an assertion in mode off, which a stored widget may raise", oneSite("", "chat_identity off {\nwidget {query.w}\nassertion backend\n}\n"+proxy), ""},
		{"an assertion of another name", oneSite("", own+"assertion backend\nheader assertion X-Chat-Assertion\n}\n"+proxy), ""},
		{"kept", oneSite("", own+"unverified keep\n}\n"+proxy), "claims_kept 6"},
		{"a ledger below a file", oneSite("chat_identity {\nledger bolt /etc/hostname/ledger.db\n}", own+"visitor query v\n}\n"+proxy), "file_unwritable 3"},
		{"a ledger that is a folder", oneSite("chat_identity {\nledger bolt /etc\n}", own+"visitor query v\n}\n"+proxy), "file_unwritable 3"},
		{"widgets in a folder's place", stored("/etc"), "file_unwritable 3"},
		{"widgets in a device's place", stored("/dev/null"), "file_unwritable 3"},
		{"widgets among the kernel's files", stored("/proc/none/widgets.jsonl"), "file_unwritable 3"},
		{"a ledger that nothing needs", oneSite("chat_identity {\nledger bolt /etc\n}", own+"}\n"+proxy), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			out, stderr, err := runCheck(t, dir, c.caddyfile, "--json")
			if files := findFiles(t, dir); len(files) != 1 {
				t.Errorf("written: %s", files)
			}
			var report findings.Report
			if json.Unmarshal([]byte(out), &report) != nil {
				t.Fatalf("%s%s", out, stderr)
			}
			var got []string
			for _, f := range report.Findings {
				seen[f.Kind] = true
				got = append(got, string(f.Kind)+strings.Replace(f.Line, "Caddyfile:", " ", 1))
				if f.Text == "" || f.Remedy == "" || strings.HasSuffix(f.Text, " ") {
					t.Errorf("%+v", f)
				}
			}
			equal(t, strings.Join(got, ", "), c.want, "%s", out)
			if (err != nil) != (c.want != "") || strings.Contains(stderr, `"level"`) {
				t.Errorf("%v %s", err, stderr)
			}
		})
	}
	// What the state of this machine decides is tested elsewhere.
	for kind := range findings.Remedies {
		if !seen[kind] && !slices.Contains([]findings.Kind{findings.WidgetShadowed, findings.KeyMissing, findings.KeyReadable, findings.SpoolInMemory}, kind) {
			t.Errorf("%s is never found", kind)
		}
	}
}

// TestCheckBesideGateway: a check touches nothing that a running gateway has, and says the
// state of its store.
func TestCheckBesideGateway(t *testing.T) {
	p := newProcess(t, "", strings.Replace(liveSite, "widget {", "visitor query v\nwidget {", 1))
	p.run(t)
	p.create(t, `{"id":"shop"}`)
	files := func() map[string]string {
		all := map[string]string{}
		for _, file := range findFiles(t, filepath.Join(p.dir, "caddy", "chat_identity")) {
			info, err := os.Stat(file)
			must(t, err)
			all[file] = fmt.Sprint(info.ModTime(), info.Size(), string(read(t, file)))
		}
		return all
	}
	dir := t.TempDir()
	config := strings.Replace(p.config, "chat_identity {", "chat_identity {\nwidget shop {\nsecret {env.TEST_SECRET}\n}\n", 1)
	if config == p.config {
		t.Fatalf("no block in %s", config)
	}
	must(t, os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(config), 0o600))
	before := files()
	cmd := caddyCommand(p.dir, "chat-identity", "check", "--config", filepath.Join(dir, "Caddyfile"))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "widget_shadowed\n") || !strings.Contains(string(out), "findings: 1") {
		t.Errorf("%v %s", err, out)
	}
	for file, state := range files() {
		if before[file] != state {
			t.Errorf("%s was changed", file)
		}
	}
}

// TestCheckRemedies: what to do about a file depends on what is there.
func TestCheckRemedies(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for path, want := range map[string]string{dir: "Name a file in it, or move what is there away", dir + "/file/ledger.db": "Name a file in a folder"} {
		out, stderr, _ := runCheck(t, t.TempDir(), oneSite("chat_identity {\nledger bolt "+path+"\n}", "chat_identity {\nsecret {env.TEST_SECRET}\nvisitor query v\n}\nreverse_proxy 127.0.0.1:1"))
		if !strings.Contains(out, "\n  "+want+".\n") {
			t.Errorf("%s: %s%s", path, out, stderr)
		}
	}
}

// TestCheckErrors: what does not load is said as caddy validate says it, but for Caddy's way
// to the module.
func TestCheckErrors(t *testing.T) {
	for _, c := range []struct{ caddyfile, want string }{
		{oneSite("", "chat_identity {\nsecret {env.NOT_SET}\n}"), "Error: environment variable NOT_SET is not set or is empty"},
		{oneSite("", "chat_identity {\nsecrets a\n}"), "Error: unknown option 'secrets' of the chat_identity directive (did you mean 'secret'?), at Caddyfile:7"},
		{oneSite("chat_identity {\nencryption_key {env.NOT_SET}\n}", "chat_identity {\nsecret {env.TEST_SECRET}\n}"), "Error: environment variable NOT_SET is not set or is empty"},
		{oneSite("", "chat_identity off\nroute {\nmethod {query.m}\n}"), "sets the method after chat_identity has run"},
		{oneSite("", "chat_identity /a {\nclaim token header X-Proof\nsecret {env.TEST_SECRET}\n}\nchat_identity /b {\nwidget b\nsecret {env.TEST_SECRET}\nassertion b\nheader assertion X_Proof\n}"),
			"header: this site renames one of chat_identity's headers to X-Proof, so the client's is removed and no token arrives in it"},
		{oneSite("", "chat_identity /a {\nwidget {header.X-Widget-Key}\n}\nhandle /b {\nchat_identity {\nwidget b\nsecret {env.TEST_SECRET}\nassertion b\nheader assertion x-widget-key\n}\n}"),
			"widget: no id can travel in the header X-Widget-Key, which is removed from every request, at Caddyfile:6"},
		{oneSite("", "respond hello"), "this configuration has no chat_identity"},
	} {
		out, stderr, err := runCheck(t, t.TempDir(), c.caddyfile)
		if err == nil || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%v %s%s, want %s", err, out, stderr, c.want)
		}
		// A script gets the same error as JSON.
		asJSON, again, err := runCheck(t, t.TempDir(), c.caddyfile, "--json")
		var report findings.Report
		if err == nil || again != stderr || json.Unmarshal([]byte(asJSON), &report) != nil || "Error: "+report.Error+"\n" != stderr || report.Findings == nil {
			t.Errorf("%v %s%s", err, asJSON, again)
		}
	}
	// In JSON the place is the path to the handler.
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"apps":{"http":{"servers":{"chat":{"routes":[{},{"handle":[{"handler":"subroute","routes":[`+
		`{"handle":[{"handler":"headers"},{"handler":"chat_identity","sesion":1}]}]}]}]}}}}}`), 0o600))
	out, err := caddyCommand(dir, "chat-identity", "check", "--config", "config.json").CombinedOutput()
	const want = "Error: unknown option 'sesion' (did you mean 'session'?), at apps.http.servers.chat.routes[1].handle[0].routes[0].handle[1]\n"
	if err == nil || string(out) != want {
		t.Errorf("%v %s, want %s", err, out, want)
	}
	cmd := caddyCommand(t.TempDir(), "chat-identity", "check")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "there is no Caddyfile in the current directory") {
		t.Errorf("%v %s", err, out)
	}
}

// TestDocsFindings: docs/operations.md has all kinds and their remedies.
func TestDocsFindings(t *testing.T) {
	_, section, found := strings.Cut(string(read(t, "../docs/operations.md")), "\n## Check a configuration\n")
	if !found {
		t.Fatal("no section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .+ \\| (.+) \\|$").FindAllStringSubmatch(section, -1) {
		rows[row[1]] = row[2]
	}
	for kind, remedy := range findings.Remedies {
		equal(t, strings.ReplaceAll(rows[string(kind)], "`", ""), strings.NewReplacer("'", "", "|", `\|`).Replace(remedy), "%s", kind)
		delete(rows, string(kind))
	}
	if len(rows) > 0 {
		t.Errorf("no such kinds: %v", rows)
	}
}
