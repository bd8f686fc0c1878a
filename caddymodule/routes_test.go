package caddymodule

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// warnings runs a Caddyfile of sites and returns what this module's app warns of.
func warnings(t *testing.T, sites string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "caddy.log")
	load(t, fmt.Sprintf("{%s\nhttp_port %d\nlog {\noutput file %s\nformat json\n}\n}\n%s", globals, freePort(t), file, sites))
	text := read(t, file)
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
		return !strings.Contains(line, `"level":"warn"`) || !strings.Contains(line, `"logger":"chat_identity"`)
	})
}

// A site that has chat_identity only in front of some of what it proxies loads, and
// does not protect the rest.
func TestUnguardedProxies(t *testing.T) {
	const identity = "chat_identity required {\nsecret {env.TEST_SECRET}\n}\n"
	const narrow = "chat_identity /chat* required {\nsecret {env.TEST_SECRET}\n}\n"
	const proxy = "reverse_proxy 127.0.0.1:1\n"
	for _, c := range []struct {
		name, site string
		without    []string // nil: no warning
	}{
		{"at the site", identity + proxy, nil},
		{"with a matcher at the site", narrow + proxy, nil},
		{"in front of all blocks", narrow + "handle /api/* {\n" + proxy + "}\nhandle {\n" + proxy + "}", nil},
		{"in one block", "handle /chat* {\n" + identity + proxy + "}\nhandle {\n" + proxy + "}", []string{"the rest of the site"}},
		{"in one block of three", "handle /chat* {\n" + identity + proxy + "}\nhandle /api/* {\n" + proxy + "}\nhandle {\nchat_identity off\n" + proxy + "}", []string{"path /api/*"}},
		{"in one block, the rest proxies nothing", "handle /chat* {\n" + identity + proxy + "}\nhandle {\nrespond hello\n}", nil},
		{"nested", "handle /a/* {\n@get method GET HEAD\nhandle @get {\n" + proxy + "}\nhandle {\n" + identity + proxy + "}\n}", []string{"path /a/* > method GET HEAD"}},
		{"behind the proxy", "route {\n" + proxy + identity + "}", []string{"the rest of the site"}},
		{"PHP", "handle /chat* {\n" + identity + proxy + "}\nhandle {\nphp_fastcgi 127.0.0.1:1\n}", []string{"path *.php"}},
		{"error routes", identity + proxy + "handle_errors {\n" + proxy + "}", []string{"handle_errors"}},
		{"error routes, off", identity + proxy + "handle_errors {\nchat_identity off\n" + proxy + "}", nil},
		{"forward_auth behind", "route {\n" + identity + "forward_auth 127.0.0.1:1 {\nuri /auth\n}\n" + proxy + "}", nil},
		{"forward_auth before", "forward_auth /a* 127.0.0.1:1 {\nuri /auth\n}\n" + identity + proxy, []string{"path /a*"}},
		{"a matcher of our header", "@forged not header X_Verified-User *\nbasic_auth @forged {\na $2a$04$mbOxEqsDKOLtb/MWmYM8YunaTDNjliCr3s0fZ4amspOQpDb9aIVSa\n}\n" + identity + proxy, []string{`not header {\"X_verified-User\":[\"*\"]}`}},
		{"a matcher of a renamed header", "@forged header X-User a\nrewrite @forged /a\nchat_identity required {\nsecret {env.TEST_SECRET}\nheader user X-User\n}\n" + proxy, []string{`header {\"X-User\":[\"a\"]}`}},
		{"a path that is called like ours", "@demo path /x-identity-demo/* /user/*\nrewrite @demo /a\nchat_identity required {\nsecret {env.TEST_SECRET}\nheader user User\n}\n" + proxy, nil},
		{"the last of a group", "handle_path /api/* {\nrequest_header X-A 1\n}\nhandle {\n" + identity + "}\n" + proxy, []string{"the rest of the site"}},
		{"all of a group", "handle_path /api/* {\nchat_identity off\n}\nhandle {\n" + identity + "}\n" + proxy, nil},
		{"a matcher of our header behind", identity + "@known header X-Verified-User *\nreverse_proxy @known 127.0.0.1:1\n" + proxy, nil},
		{"an expression of our header", "@forged `{header.X-Verified-User} != \"\"`\nrewrite @forged /a\n" + identity + proxy, []string{`\"name\":\"forged\"}`}},
		{"a fixed method behind", identity + "reverse_proxy 127.0.0.1:1 {\nmethod POST\n}", nil},
		{"a method before", "method {header.X-HTTP-Method-Override}\n" + identity + proxy, nil},
		{"named route", "handle /chat* {\ninvoke guarded\n}\nhandle {\n" + proxy + "}", []string{"the rest of the site"}},
		{"in all of a named route", "invoke guarded", nil},
		{"answers of a proxy", identity + "reverse_proxy 127.0.0.1:1 {\n@bad status 5xx\nhandle_response @bad {\n" + proxy + "}\n}", nil},
		{"another host's", identity + proxy + "}\nhttp://other.localhost {\n" + proxy, nil},
		{"no handler at all", proxy, nil},
		{"hosts within a site", "@a host *.localhost\nhandle @a {\n" + identity + proxy + "}\nhandle {\n" + proxy + "}", []string{"the rest of the site"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := warnings(t, "http://site.localhost {\n"+c.site+"\n}\n&(guarded) {\nroute {\n"+identity+proxy+"}\n}")
			if c.without == nil {
				if len(got) > 0 {
					t.Errorf("warned: %s", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], `"site":"site.localhost on :`) {
				t.Fatalf("warnings %q", got)
			}
			for _, way := range c.without {
				if !strings.Contains(got[0], way+":") && !strings.Contains(got[0], way+" (the line") {
					t.Errorf("%s is not in %s", way, got[0])
				}
			}
		})
	}
}

// Of two directives the more specific one decides. Where neither is, the first one
// does, and the operator is warned.
func TestOverlappingDirectives(t *testing.T) {
	directive := func(matcher string) string {
		return "chat_identity " + matcher + " required {\nsecret {env.TEST_SECRET}\n}\n"
	}
	for _, c := range []struct {
		name, site, first string // the one that decides; none where nothing is warned of
	}{
		{"the more specific path last", directive("/chat/*") + directive("/chat/open"), ""},
		{"the more specific path first", directive("/chat/open*") + directive("/chat/*"), ""},
		{"one without a matcher", directive("") + directive("/chat/*"), ""},
		{"apart", directive("/a/*") + directive("/b/*"), ""},
		{"apart by method", "@a {\npath /a/*\nmethod GET\n}\n@b {\npath /a/*\nmethod POST\n}\n" + directive("@a") + directive("@b"), ""},
		{"several paths apart", "@a path /a/* /b/*\n@b path /c/* /d/*\n" + directive("@a") + directive("@b"), ""},
		{"one path twice", directive("/a/*") + directive("/a/*"), "never: path /a/*"},
		{"several paths that meet", "@a path /a/* /b/*\n@b path /b/c /d/*\n" + directive("@b") + directive("@a"), "path /b/c /d/*"},
		{"a wildcard within", "@a path /a/*/x\n" + directive("@a") + directive("/a/b/*"), "path /a/*/x"},
		{"a suffix", "@a path *.json\n" + directive("@a") + directive("/chat/*"), "path *.json"},
		{"a header", "@a header X-A 1\n@b header X-B 1\n" + directive("@a") + directive("@b"), `header {\"X-A\":[\"1\"]}`},
		{"one character", "@a path /a?\n@b path /ab\n" + directive("@b") + directive("@a"), "path /a?"},
		{"a class of characters", "@a path /[ab]c\n@b path /ac\n" + directive("@b") + directive("@a"), "path /[ab]c"},
		{"a placeholder", "@a path /x/{query.q}\n@b path /x/y\n" + directive("@a") + directive("@b"), "path /x/{http.request.uri.query.q}"},
		{"a path and a header", "@a header X-A 1\n" + directive("/chat/*") + directive("@a"), "path /chat/*"},
		{"the wide one first, as written", "route {\n" + directive("/chat/*") + directive("/chat/open") + "}", "never: path /chat/*"},
		{"the one without a matcher first, as written", "route {\n" + directive("") + directive("/chat/open") + "}", "never: all requests"},
		{"a block under one at the site", "chat_identity off\nhandle /chat/* {\n" + directive("") + "}", "never: all requests"},
		{"a block under a laxer one at the site", directive("/chat/*") + "handle /chat/pay/* {\n" + directive("") + "}", "never: path /chat/*"},
		{"a block under one of other requests", directive("/chat/*") + "handle /pay/* {\n" + directive("") + "}", ""},
		{"a block that takes more", directive("/chat/*") + "handle {\nchat_identity off\n}", ""},
		{"a block that rewrites the path", directive("/chat/*") + "handle_path /api/* {\n" + directive("/chat/*") + "}", ""},
		{"blocks beside each other", "handle /a/* {\n" + directive("") + "}\nhandle {\n" + directive("") + "}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := warnings(t, "http://site.localhost {\n"+c.site+"\nreverse_proxy 127.0.0.1:1\n}")
			switch {
			case c.first == "" && len(got) > 0:
				t.Errorf("warned: %s", got)
			case c.first != "" && (len(got) != 1 || !strings.Contains(got[0], "("+strings.TrimPrefix(c.first, "never: ")+")") ||
				strings.HasPrefix(c.first, "never") != strings.Contains(got[0], "never decides")):
				t.Errorf("warnings %q", got)
			}
		})
	}
}

// A path that two directives answer is answered by the first, and the operator is warned
// unless both would answer alike.
func TestTakenPaths(t *testing.T) {
	directive := func(matcher, options string) string {
		return "chat_identity " + matcher + " {\nsecret {env.TEST_SECRET}\n" + options + "\n}\n"
	}
	const identify, keys = "identify /me", "jwks_path /me"
	for _, c := range []struct{ name, site, want string }{
		{"identify before jwks_path", directive("/a/*", identify) + directive("/b/*", keys), ""}, // which read by GET what identify answers to POST
		{"jwks_path before identify", directive("/a/*", keys) + directive("/b/*", identify), "identify /me of this chat_identity directive is never answered by it, since that is jwks_path of the one at Caddyfile:"},
		{"one without a matcher", directive("/a/*", keys) + directive("", identify), "identify /me of this"},
		{"two widgets", directive("/a/*", identify) + directive("/b/*", identify+"\nwidget b"), "since that is identify of the one"},
		{"as written", "route {\n" + directive("/a/*", keys) + directive("", identify) + "}", "identify /me of this"},
		{"a block under one at the site", directive("/a/*", keys) + "handle /b/* {\n" + directive("", identify) + "}", "identify /me of this"},
		{"one user to all", directive("/a/*", identify) + directive("/b/*", identify), ""},
		{"one key set", directive("/a/*", keys) + directive("/b/*", keys+"\nwidget b"), ""},
		{"other paths", directive("/a/*", identify) + directive("/b/*", "jwks_path /keys"), ""},
		{"a block that rewrites the path", directive("/a/*", keys) + "handle_path /b/* {\n" + directive("", identify) + "}", ""},
		{"blocks beside each other", "handle_path /a/* {\n" + directive("", identify) + "}\nhandle_path /b/* {\n" + directive("", keys) + "}\nhandle {\nchat_identity off\n}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := warnings(t, "http://site.localhost {\n"+c.site+"\nreverse_proxy 127.0.0.1:1\n}")
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want) || !strings.Contains(got[0], "Give it another path")) {
				t.Errorf("warnings %q", got)
			}
		})
	}
}

// A method that a request chooses behind the directive could become CONNECT: such a
// site does not load.
func TestMethodsChangedBehind(t *testing.T) {
	const identity = "chat_identity required {\nsecret {env.TEST_SECRET}\n}\n"
	for name, site := range map[string]string{
		"nested":       identity + "handle /api* {\nmethod {header.X-HTTP-Method-Override}\nreverse_proxy 127.0.0.1:1\n}",
		"by the proxy": identity + "reverse_proxy 127.0.0.1:1 {\nmethod {header.X-HTTP-Method-Override}\n}",
		"CONNECT":      identity + "route /api* {\nmethod CONNECT\nreverse_proxy 127.0.0.1:1\n}",
		"a guard's":    "chat_identity /chat* off\nroute {\nmethod {query.m}\nreverse_proxy 127.0.0.1:1\n}",
	} {
		config := adapted(t, fmt.Sprintf("{%s\nhttp_port %d\n}\nhttp://site.localhost {\n%s\n}", globals, freePort(t), site))
		err := caddy.Load(config, true)
		errorSays(t, err, "site.localhost: '", "%s", name)
		errorSays(t, err, "sets the method after chat_identity has run", "%s", name)
		_ = caddy.Stop()
	}
}
