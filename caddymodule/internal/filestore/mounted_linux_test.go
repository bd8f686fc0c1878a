package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// TestMountedFile: a file that is mounted itself takes no changes, which the state says until
// it does.
func TestMountedFile(t *testing.T) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "FILESTORE_ROLE=mounted", "FILESTORE_PATH="+filed(t, widget("a", "")))
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("this process may not mount anything")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func init() { roles["mounted"] = writeMounted }

func writeMounted(path, _ string) error {
	if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	s := open(Options{Path: path})
	if err := s.Update(context.Background(), []string{"b"}, becomes(widget("b", ""))); err == nil || !strings.Contains(err.Error(), "mount its folder") {
		return fmt.Errorf("a change: %w", err)
	}
	again := func() {
		s.tried = time.Time{}
		s.tryWriting()
		s.look()
	}
	if again(); !errors.Is(s.Err(), widgets.ErrUnwritable) {
		return fmt.Errorf("while it is mounted: %w", s.Err())
	}
	if err := syscall.Unmount(path, 0); err != nil {
		return err
	}
	again()
	return s.Err()
}
