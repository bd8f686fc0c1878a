package deploytests

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// A box is a network and a set of mounts of their own, in which services run as Compose
// would run them. It needs root.
type box struct {
	pid      string
	services map[string]*confined
	logs     []fmt.Stringer
}

// A confined service runs in its image.
type confined struct {
	*image
	env []string
}

// root is a command that root runs.
func root(arguments ...string) *exec.Cmd {
	if os.Getuid() != 0 {
		arguments = append([]string{"sudo", "-n"}, arguments...)
	}
	return exec.Command(arguments[0], arguments[1:]...)
}

func newBox(t *testing.T) *box {
	t.Helper()
	holder := root("unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", "ip link set lo up && echo $$ && exec cat")
	in, err := holder.StdinPipe()
	must(t, err)
	out, err := holder.StdoutPipe()
	must(t, err)
	holder.Stderr = os.Stderr
	must(t, holder.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = holder.Wait()
	})
	pid, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no namespaces of their own: %v", err)
	}
	return &box{pid: strings.TrimSpace(pid), services: map[string]*confined{}}
}

// command is a command in the box that root runs.
func (b *box) command(arguments ...string) *exec.Cmd {
	return root(append([]string{"nsenter", "--target", b.pid, "--mount", "--net", "--"}, arguments...)...)
}

// mount mounts what the compose file gives a service, and its image read-only. As with
// Docker, a new volume has the owner of the folder in the image, and all services are known
// by their names.
func (b *box) mount(t *testing.T, dir, name string, i *image) {
	t.Helper()
	p := project(t, dir)
	s := p.Services[name]
	b.services[name] = &confined{image: i, env: i.env}
	for key, value := range s.Environment {
		b.services[name].env = append(b.services[name].env, key+"="+*value)
	}
	hosts := "127.0.0.1 localhost " + strings.Join(p.ServiceNames(), " ") + "\n"
	must(t, os.WriteFile(filepath.Join(i.root, "etc/hosts"), []byte(hosts), 0o644))
	mounts := []string{"mount --bind $root $root"}
	bind := func(source, target, options string) {
		mounts = append(mounts, fmt.Sprintf("mount --bind '%s' $root%s && mount -o remount,bind,%s $root%s", source, target, options, target))
	}
	for _, used := range s.Secrets {
		target := "/run/secrets/" + used.Source
		must(t, os.WriteFile(filepath.Join(i.root, target), nil, 0o644))
		bind(p.Secrets[used.Source].File, target, "ro")
	}
	for _, volume := range s.Volumes {
		source, options := volume.Source, "ro"
		if volume.Type == types.VolumeTypeVolume {
			source, options = t.TempDir(), "rw"
			t.Cleanup(func() { output(t, root("rm", "-rf", source)) })
			output(t, root("cp", "-aT", filepath.Join(i.root, volume.Target), source))
		}
		bind(source, volume.Target, options)
	}
	mounts = append(mounts, "mount --rbind /dev $root/dev", "mount --bind /proc $root/proc", "mount -o remount,bind,ro $root")
	output(t, b.command("sh", "-ec", strings.ReplaceAll(strings.Join(mounts, "\n"), "$root", "'"+i.root+"'")))
}

// in is a command in the service's image, as its user, without capabilities or a way to get
// any.
func (b *box) in(service string, arguments ...string) *exec.Cmd {
	return b.with(nil, service, arguments...)
}

func (b *box) with(environment []string, service string, arguments ...string) *exec.Cmd {
	s := b.services[service]
	return b.command(slices.Concat([]string{"env", "-i"}, s.env, environment,
		[]string{"setpriv", "--no-new-privs", "chroot", "--userspec=" + s.user, "--groups=", s.root}, arguments)...)
}

// run starts a service that ends with the test.
func (b *box) run(t *testing.T, service string, command []string) {
	t.Helper()
	b.logs = append(b.logs, start(t, b.in(service, command...), syscall.SIGQUIT))
}

// redis starts the manifests' Redis, in the box but not in its image.
func (b *box) redis(t *testing.T, dir string) {
	t.Helper()
	data := t.TempDir()
	t.Cleanup(func() { output(t, root("rm", "-rf", data)) })
	cmd := b.command(append(redisCommand(t, dir), "--dir", data)...)
	b.logs = append(b.logs, start(t, cmd, syscall.SIGTERM))
}

func (b *box) becomesHealthy(t *testing.T, gateway *image) {
	t.Helper()
	testbed.Until(t, "the health check to succeed", func() bool { return b.in("gateway", gateway.health...).Run() == nil }, b.logs...)
}
