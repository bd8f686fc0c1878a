package verifier

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDependencies: what decides who somebody is knows no transport, and no hash
// but SHA-256.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		for _, banned := range []string{"net", "crypto/md5", "crypto/sha1", "crypto/x509", "github.com/go-jose", "golang.org/x/text", "github.com/caddyserver"} {
			if path == banned || strings.HasPrefix(path, banned+"/") {
				t.Errorf("verifier depends on %s", path)
			}
		}
	}
}

// maxNames is how many names a newcomer is asked to read.
const maxNames = 54

// TestExportedNames counts the package's exported names, methods aside.
func TestExportedNames(t *testing.T) {
	all, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	set := token.NewFileSet()
	for _, name := range all {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	d, err := doc.NewFromFiles(set, files, "verifier")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	methods := 0
	values := slices.Concat(d.Consts, d.Vars)
	for _, f := range d.Funcs {
		names = append(names, f.Name)
	}
	for _, typ := range d.Types {
		names = append(names, typ.Name)
		methods += len(typ.Methods)
		values = slices.Concat(values, typ.Consts, typ.Vars)
		for _, f := range typ.Funcs {
			names = append(names, f.Name)
		}
	}
	for _, v := range values {
		for _, name := range v.Names {
			if token.IsExported(name) {
				names = append(names, name)
			}
		}
	}
	t.Logf("%d names and %d methods: %q", len(names), methods, names)
	if len(names) > maxNames {
		t.Errorf("%d exported names, want at most %d", len(names), maxNames)
	}
}
