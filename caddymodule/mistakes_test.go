package caddymodule

import (
	"os"
	"strings"
	"testing"
)

// TestMistakes loads Caddyfiles as a tired operator writes them. Each has its whole
// message in testdata/mistakes.txt, to be read there as that operator would. With
// UPDATE=1 in the environment the file is written anew.
func TestMistakes(t *testing.T) {
	const file = "testdata/mistakes.txt"
	t.Setenv("OTHER_SECRET", "other-secret-of-more-than-16-bytes")
	t.Setenv("SHORT", "short")
	t.Setenv("QUOTED_KEY", `"`+testEncryptionKey+`"`)
	var updated strings.Builder
	entries := strings.Split(strings.TrimPrefix(string(read(t, file)), "==== "), "\n==== ")
	if len(entries) < 150 {
		t.Errorf("%d entries", len(entries))
	}
	for _, entry := range entries {
		name, rest, _ := strings.Cut(entry, "\n")
		caddyfile, want, _ := strings.Cut(rest, "\n----\n")
		t.Run(name, func(t *testing.T) {
			_, err := adapt(caddyfile + "\n")
			got := ""
			if err != nil {
				got = adaptError(err)
			} else if err = validate(caddyfile + "\n"); err != nil {
				got = "at load: " + loadError(err)
			}
			updated.WriteString("==== " + name + "\n" + caddyfile + "\n----\n" + got + "\n")
			if got != strings.TrimSpace(want) || got == "" || !where.MatchString(got) {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
	if os.Getenv("UPDATE") != "" {
		must(t, os.WriteFile(file, []byte(updated.String()), 0o600))
	}
}
