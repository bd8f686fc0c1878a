package deploytests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestReadme: the workflow runs every block of commands in the README, each of which is a
// shell script that parses, and the README names every file.
func TestReadme(t *testing.T) {
	dir := filepath.Join(testbed.Root(t), "examples/deploy")
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	must(t, err)
	readme := string(text)
	text, err = os.ReadFile(filepath.Join(testbed.Root(t), ".github/workflows/deploy.yml"))
	must(t, err)
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Run string }
		}
	}
	must(t, yaml.Unmarshal(text, &workflow))
	runs := ""
	for _, job := range workflow.Jobs {
		for _, step := range job.Steps {
			script(t, step.Run)
			runs += step.Run
		}
	}

	kinds := map[string]bool{}
	for _, block := range regexp.MustCompile("(?ms)^```([^\n]+)\n(.*?)^```$").FindAllStringSubmatch(readme, -1) {
		if kinds[block[1]] = true; block[1] == "json" {
			if !strings.Contains(runs, strings.TrimSpace(block[2])) {
				t.Errorf("the workflow does not look for %s", block[2])
			}
			continue
		}
		script(t, block[2])
		if !strings.Contains(runs, "bash -euo pipefail <(sed -n '/^```"+block[1]+"$/,/^```$/{/^```/!p}' README.md)") {
			t.Errorf("the workflow does not run the blocks %q", block[1])
		}
	}
	if len(kinds) != 5 {
		t.Errorf("the README has the blocks %v", kinds)
	}

	for _, pattern := range []string{"*", "kubernetes/*"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		must(t, err)
		for _, file := range files {
			name, err := filepath.Rel(dir, file)
			must(t, err)
			if name == "README.md" || name == "deploytests" || name == "secrets" || name == "kubernetes/gateway.yaml" {
				continue
			}
			if !strings.Contains(readme, "]("+name+")") && name != "claim.json" {
				t.Errorf("the README does not name %s", name)
			}
		}
	}
}

// script parses a script without running it.
func script(t *testing.T, text string) {
	t.Helper()
	cmd := exec.Command("bash", "-n")
	cmd.Stdin = strings.NewReader(text)
	output(t, cmd)
}
