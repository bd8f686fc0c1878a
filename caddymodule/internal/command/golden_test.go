package command

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What commands print is compared with files in testdata, so that their English
// is in one place beside the code. "go test -update" writes them anew.
var update = flag.Bool("update", false, "write the files of testdata anew")

func TestMain(m *testing.M) {
	time.Local = time.UTC // as in the files
	os.Exit(m.Run())
}

// transcript is what was printed, case by case.
type transcript struct{ strings.Builder }

// add adds a case by name: the command's arguments, its output and its errors.
func (s *transcript) add(name string, args []string, out, errors string) {
	s.WriteString("# " + name + "\n$ caddy chat-identity " + strings.Join(args, " ") + "\n" + out)
	for line := range strings.Lines(errors) {
		s.WriteString("! " + line)
	}
	s.WriteString("\n")
}

// compare compares the whole with the file of that name in testdata.
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
			t.Errorf("%s: nobody printed\n%s", path, wanted[i])
		case i >= len(wanted):
			t.Errorf("%s has no\n%s", path, got[i])
		case got[i] != wanted[i]:
			t.Errorf("%s: printed\n%s\nwant\n%s", path, got[i], wanted[i])
		}
	}
}
