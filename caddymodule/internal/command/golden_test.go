package command

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
)

// The output of commands is compared with files in testdata, so that its English is
// in one place besides the code. "go test -update" rewrites the files.
var update = flag.Bool("update", false, "rewrite the files in testdata")

func TestMain(m *testing.M) {
	time.Local = time.UTC // as in the files
	os.Exit(m.Run())
}

// transcript is the output of all cases.
type transcript struct{ strings.Builder }

// add adds a case: the command's arguments, its output and its errors.
func (s *transcript) add(name string, args []string, out, errors string) {
	s.WriteString("# " + name + "\n$ caddy chat-identity " + strings.Join(args, " ") + "\n" + out)
	errors = strings.ReplaceAll(errors, adminapi.Dialects(), "(the dialects)") // a new one changes no golden file
	for line := range strings.Lines(errors) {
		s.WriteString("! " + line)
	}
	s.WriteString("\n")
}

// compare compares the transcript with a file in testdata.
func (s *transcript) compare(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(s.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, wanted := strings.Split(s.String(), "\n\n# "), strings.Split(string(want), "\n\n# ")
	for i := range max(len(got), len(wanted)) {
		switch {
		case i >= len(got):
			t.Errorf("%s: not printed:\n%s", path, wanted[i])
		case i >= len(wanted):
			t.Errorf("%s lacks\n%s", path, got[i])
		case got[i] != wanted[i]:
			t.Errorf("%s: printed\n%s\nwant\n%s", path, got[i], wanted[i])
		}
	}
}
