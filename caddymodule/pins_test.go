package caddymodule

import (
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestWorkflowsPin: a tag of an action can be moved to other code, and a commit cannot.
func TestWorkflowsPin(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	must(t, err)
	pins := map[string]string{}
	for _, file := range files {
		for _, m := range regexp.MustCompile(`(?m)uses: *([^\s@]+)(.*)$`).FindAllStringSubmatch(string(read(t, file)), -1) {
			if strings.HasPrefix(m[1], "./") {
				continue
			}
			if !regexp.MustCompile(`^@[0-9a-f]{40} # v\d+\.\d+\.\d+$`).MatchString(m[2]) || pins[m[1]] != "" && pins[m[1]] != m[2] {
				t.Errorf("%s: %s%s: write @, the commit of a release, and # with its tag, the same in every workflow", file, m[1], m[2])
			}
			pins[m[1]] = m[2]
		}
	}
	if len(pins) == 0 {
		t.Error("no workflow uses an action")
	}
}

// TestDependabot: dependabot.yml names every folder in which versions are pinned, and no other.
func TestDependabot(t *testing.T) {
	var config struct {
		Updates []struct {
			Ecosystem string `yaml:"package-ecosystem"`
			Directory string
			Folders   []string `yaml:"directories"`
		}
	}
	must(t, yaml.Unmarshal(read(t, "../.github/dependabot.yml"), &config))
	var covered, needed []string
	for _, u := range config.Updates {
		if u.Directory != "" {
			u.Folders = append(u.Folders, u.Directory)
		}
		for _, folder := range u.Folders {
			covered = append(covered, u.Ecosystem+" "+folder)
		}
	}
	files, err := exec.Command("git", "-C", "..", "ls-files", "--cached", "--others", "--exclude-standard").Output()
	must(t, err)
	image := regexp.MustCompile(`(?m)^[ -]*image: \S+:\S`)
	for file := range strings.Lines(string(files)) {
		file = strings.TrimSpace(file)
		ecosystem := ""
		switch folder, name := path.Split(file); {
		case folder == ".github/workflows/":
			ecosystem, file = "github-actions", "/"
		case name == "go.mod":
			ecosystem = "gomod"
		case name == "package.json":
			ecosystem = "npm"
		case name == "Gemfile":
			ecosystem = "bundler"
		case name == "composer.json":
			ecosystem = "composer"
		case strings.HasPrefix(name, "requirements"):
			ecosystem = "pip"
		case strings.HasPrefix(name, "compose."):
			ecosystem = "docker-compose"
		case strings.HasSuffix(name, "Dockerfile"), path.Ext(name) == ".yaml" && image.Match(read(t, filepath.Join("..", file))):
			ecosystem = "docker"
		default:
			continue
		}
		needed = append(needed, ecosystem+" "+path.Dir("/"+file))
	}
	slices.Sort(needed)
	slices.Sort(covered)
	if needed = slices.Compact(needed); !slices.Equal(needed, covered) {
		t.Errorf("dependabot.yml covers %q, and versions are pinned in %q", covered, needed)
	}
}
