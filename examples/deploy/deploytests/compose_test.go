package deploytests

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// project is the compose file, as Compose itself reads it: against its schema, with every
// name that must exist.
func project(t *testing.T, dir string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join(dir, "compose.yaml")}, cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCompose: nothing in the compose file weakens what it says, and nobody gets past the
// gateway.
func TestCompose(t *testing.T) {
	p := project(t, newFolder(t))
	for name, s := range p.Services {
		if !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 ||
			!slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			t.Errorf("%s is not confined: %+v", name, s)
		}
		if s.MemLimit == 0 || s.PidsLimit == 0 {
			t.Errorf("%s can take all memory or processes of the machine", name)
		}
		if gateway := name == "gateway"; (len(s.Ports) > 0) != gateway || slices.Contains(slices.Collect(maps.Keys(s.Networks)), "front") != gateway {
			t.Errorf("%s is reachable from outside: %v, %v", name, s.Ports, s.Networks)
		}
		for _, volume := range s.Volumes {
			if _, err := os.Stat(volume.Source); volume.Type == types.VolumeTypeBind && (err != nil || !volume.ReadOnly) {
				t.Errorf("%s mounts %s: %v", name, volume.Source, err)
			}
		}
		for _, used := range s.Secrets {
			if _, err := os.Stat(p.Secrets[used.Source].File); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if build := s.Build; build != nil {
			if _, err := os.Stat(filepath.Join(testbed.Root(t), build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if !p.Networks["back"].Internal {
		t.Error("the network back is not internal")
	}
}

// TestRedisMemory: a Redis that is full refuses writes. It is never killed for its memory,
// not even while it writes its file anew, which may double it.
func TestRedisMemory(t *testing.T) {
	dir := newFolder(t)
	pod := newCluster(t, dir).pods["redis"].Spec.Containers[0]
	compose := project(t, dir).Services["redis"]
	for _, c := range []struct {
		command []string
		limit   int64
	}{{pod.Args, pod.Resources.Limits.Memory().Value()}, {compose.Command, int64(compose.MemLimit)}} {
		match := regexp.MustCompile(`--maxmemory (\d+)mb --maxmemory-policy noeviction`).FindStringSubmatch(strings.Join(c.command, " "))
		if match == nil {
			t.Fatalf("Redis's memory has no limit: %q", c.command)
		}
		if most, _ := strconv.ParseInt(match[1], 10, 64); most == 0 || 2*most<<20 > c.limit {
			t.Errorf("maxmemory is %d MiB, the limit %d", most, c.limit>>20)
		}
	}
	if !slices.Equal(pod.Args, compose.Command) {
		t.Errorf("Redis is started by %q and by %q", pod.Args, compose.Command)
	}
}

// TestRedisRights: the user of the gateways has the rights that docs/fleet.md lists, and no
// others.
func TestRedisRights(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(testbed.Root(t), "docs/fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, row := range regexp.MustCompile("(?m)^\\| (?:widgets|the ledger) \\| `(.*?)` \\| `(.*?)` \\|$").FindAllStringSubmatch(string(page), -1) {
		want = append(want, strings.Fields(strings.ReplaceAll(row[1]+" "+row[2], "<prefix>", "chat_identity:"))...)
	}
	slices.Sort(want)
	_, user, _ := strings.Cut(secret(t, newFolder(t), "redis_acl"), "\nuser gateway on #")
	got := slices.Sorted(slices.Values(strings.Fields(user)[1:])) // without the digest
	if want = slices.Compact(want); len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("the rights are\n%s, want\n%s", got, want)
	}
}
