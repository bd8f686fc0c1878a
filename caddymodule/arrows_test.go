package caddymodule

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows are what each package may import of this module. A new room is one line
// here, and a new arrow a decision.
var arrows = map[string][]string{
	"verifier":                    {"internal/choice", "internal/period", "verifier/internal/claimform", "verifier/internal/claimjson", "verifier/internal/jws", "verifier/internal/names"},
	"verifier/keyset":             {"verifier"},
	"verifier/internal/jws":       {"internal/choice", "verifier/internal/claimjson"},
	"verifier/diagnose":           {"internal/period", "verifier", "verifier/internal/claimjson", "verifier/internal/jws"},
	"verifier/internal/claimform": {"verifier/internal/names"},
	"verifier/internal/claimjson": {"verifier/internal/names"},
	"verifier/internal/names":     {},

	"caddymodule": {
		"internal/choice", "internal/period", "verifier", "verifier/diagnose", "caddymodule/widgets", "caddymodule/internal/filestore", "caddymodule/internal/redisstore",
		"caddymodule/ledger", "caddymodule/internal/boltledger", "caddymodule/internal/redisledger", "caddymodule/internal/redislink",
		"caddymodule/internal/admin", "caddymodule/internal/adminapi", "caddymodule/internal/assertion", "caddymodule/internal/body", "caddymodule/internal/command", "caddymodule/internal/cors",
		"caddymodule/internal/durable", "caddymodule/internal/findings", "caddymodule/internal/hop", "caddymodule/internal/intake", "caddymodule/internal/judgment",
		"caddymodule/internal/ledgers", "caddymodule/internal/naming", "caddymodule/internal/observe", "caddymodule/internal/secrettext",
		"caddymodule/internal/sites", "caddymodule/internal/traffic", "caddymodule/internal/unknownid", "caddymodule/internal/keysets", "verifier/keyset",
		"caddymodule/internal/streams",
	},
	"caddymodule/internal/unknownid": {"caddymodule/internal/secrettext", "caddymodule/widgets", "internal/choice"},
	"caddymodule/internal/body":      {},
	"caddymodule/internal/cors":      {},
	"caddymodule/internal/hop":       {},
	"caddymodule/internal/intake":    {"verifier", "caddymodule/internal/body", "caddymodule/internal/hop", "caddymodule/internal/judgment"},
	"caddymodule/internal/naming":    {"internal/choice", "verifier", "caddymodule/internal/intake"},
	"caddymodule/internal/findings":  {},
	"caddymodule/internal/sites":     {"caddymodule/internal/findings", "caddymodule/internal/hop", "caddymodule/internal/naming"},
	"caddymodule/internal/admin": {
		"verifier", "caddymodule/widgets", "caddymodule/ledger", "caddymodule/internal/admin/dashboard",
		"caddymodule/internal/adminapi", "caddymodule/internal/assertion", "caddymodule/internal/secrettext", "caddymodule/internal/traffic", "caddymodule/internal/judgment",
		"caddymodule/internal/unknownid", "caddymodule/internal/keysets", "verifier/keyset",
	},
	"caddymodule/internal/admin/dashboard": {"verifier", "examples/page", "examples/signing"},
	"caddymodule/internal/adminapi":        {"verifier", "caddymodule/internal/assertion", "caddymodule/internal/traffic", "caddymodule/internal/judgment"},
	"caddymodule/internal/command": {
		"verifier", "caddymodule/widgets", "caddymodule/internal/filestore", "caddymodule/internal/findings",
		"caddymodule/internal/adminapi", "caddymodule/internal/assertion", "caddymodule/internal/secrettext", "caddymodule/internal/traffic", "caddymodule/internal/judgment", "verifier/diagnose", "verifier/keyset", "internal/choice", "internal/period",
	},
	"caddymodule/internal/secrettext": {},
	"caddymodule/internal/judgment":   {"internal/choice", "verifier"},
	"caddymodule/internal/traffic":    {"verifier", "caddymodule/internal/judgment", "caddymodule/widgets"},

	"caddymodule/widgets":              {"internal/choice", "verifier", "verifier/keyset"},
	"caddymodule/widgets/storetest":    {"caddymodule/widgets", "internal/testbed"},
	"caddymodule/internal/filestore":   {"caddymodule/widgets", "caddymodule/internal/alarm", "caddymodule/internal/durable"},
	"caddymodule/internal/redisstore":  {"caddymodule/widgets", "caddymodule/internal/alarm", "caddymodule/internal/durable", "caddymodule/internal/redislink"},
	"caddymodule/ledger":               {},
	"caddymodule/ledger/ledgertest":    {"caddymodule/ledger", "internal/testbed"},
	"caddymodule/internal/boltledger":  {"caddymodule/ledger", "caddymodule/internal/boltcheck", "caddymodule/internal/durable"},
	"caddymodule/internal/boltcheck":   {},
	"caddymodule/internal/ledgers":     {"caddymodule/ledger"},
	"caddymodule/internal/observe":     {"caddymodule/ledger", "caddymodule/widgets"},
	"caddymodule/internal/durable":     {},
	"caddymodule/internal/redisledger": {"caddymodule/ledger", "caddymodule/internal/alarm", "caddymodule/internal/redislink"},
	"caddymodule/internal/redislink":   {},
	"caddymodule/internal/alarm":       {},
	"caddymodule/internal/keysets":     {"verifier", "verifier/keyset"},
	"caddymodule/internal/assertion":   {},
	"caddymodule/internal/streams":     {},

	"caddymodule/cmd/caddy": {"caddymodule"},
	"caddymodule/cmd/bench": {},

	"caddymodule/internal/redistest": {"internal/testbed"},
	"internal/choice":                {},
	"internal/period":                {},
	"internal/parsertest":            {},
	"internal/demo":                  {},
	"internal/testbed":               {},
	"internal/testsummary":           {},
	"examples/backends":              {},
	"examples/backends/go":           {"examples/backends/go/guard"},
	"examples/backends/go/guard":     {},
	"examples/dialects":              {},
	"examples/fleet":                 {"examples/backends/go/guard", "internal/demo"},
	"examples/observability":         {},
	"examples/quickstart":            {"examples/backends/go/guard", "internal/demo"},
	"examples/page":                  {},
	"examples/signing":               {},
	"examples/signing/go":            {},
	"examples/why":                   {},
	"examples/why/backend":           {},
}

// knowCaddy are the packages that may depend on Caddy.
var knowCaddy = []string{"caddymodule", "caddymodule/cmd/caddy", "caddymodule/internal/admin", "caddymodule/internal/command",
	"caddymodule/internal/naming", "caddymodule/internal/sites"}

// TestArrows: a package imports what it may, and only the adapters depend on Caddy,
// directly or through others.
func TestArrows(t *testing.T) {
	const module, caddy = "github.com/chatidentity/caddy-chat-identity/", "github.com/caddyserver/caddy/"
	list := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}|{{join .Deps " "}}`, "./...")
	list.Dir = ".."
	var stderr strings.Builder
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	unseen := maps.Clone(arrows)
	for line := range strings.Lines(string(out)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, ours := strings.CutPrefix(name, module)
		if !ours {
			continue
		}
		imports, deps, _ := strings.Cut(rest, "|")
		allowed, known := arrows[name]
		if !known {
			t.Errorf("%s is in no line of arrows", name)
		}
		delete(unseen, name)
		for _, path := range strings.Fields(imports) {
			if path, ours := strings.CutPrefix(path, module); ours && !slices.Contains(allowed, path) {
				t.Errorf("%s must not import %s", name, path)
			}
		}
		if strings.Contains(deps, caddy) && !slices.Contains(knowCaddy, name) {
			t.Errorf("%s must not depend on Caddy", name)
		}
	}
	for name := range unseen {
		t.Errorf("arrows has %s, which does not exist", name)
	}
}
