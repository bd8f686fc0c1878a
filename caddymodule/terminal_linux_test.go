package caddymodule

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDeleteAsks: on a terminal, a deletion is asked about, and resealing.
func TestDeleteAsks(t *testing.T) {
	p := newProcess(t, "encryption_key {env.TEST_KEY}", liveSite)
	p.run(t)
	for _, c := range []struct {
		answer  string
		args    []string
		deleted bool
	}{
		{"n\n", nil, false},
		{"\n", nil, false},
		{"\x04", nil, false}, // end of input
		{"y\n", nil, true},
		{"", []string{"--yes"}, true},
	} {
		p.call(t, "POST", "widgets", `{"id":"shop"}`)
		shown, err := p.onTerminal(t, c.answer, append([]string{"delete", "shop"}, c.args...)...)
		asked := strings.Contains(shown, "Delete widget shop and its secrets, which cannot be undone? [y/N]")
		if asked != (c.args == nil) || (err == nil) != c.deleted || strings.Contains(shown, "nothing was changed") == c.deleted {
			t.Errorf("%q %v: %v %s", c.answer, c.args, err, shown)
		}
		if status := p.call(t, "GET", "widgets/shop", "").status; (status == 404) != c.deleted {
			t.Errorf("%q %v: the widget then answers %d", c.answer, c.args, status)
		}
	}
	for answer, resealed := range map[string]bool{"n\n": false, "y\n": true} {
		shown, err := p.onTerminal(t, answer, "reseal")
		if !strings.Contains(shown, "Has every gateway of this store the encryption key that is first here?") || (err == nil) != resealed || strings.Contains(shown, "resealed:") != resealed {
			t.Errorf("reseal, answered %q: %v %s", answer, err, shown)
		}
	}
}

// onTerminal runs a command on a terminal, where the answer is typed, and returns what it shows.
func (p *process) onTerminal(t *testing.T, answer string, args ...string) (string, error) {
	t.Helper()
	screen, terminal := openTerminal(t)
	cmd := caddyCommand(p.dir, append([]string{"chat-identity"}, append(args, "--address", p.admin)...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	must(t, cmd.Start())
	must(t, terminal.Close())
	_, err := io.WriteString(screen, answer)
	must(t, err)
	shown, _ := io.ReadAll(screen) // ends with an error, once nobody has the terminal
	return string(shown), cmd.Wait()
}

// openTerminal opens both ends of a pseudoterminal.
func openTerminal(t *testing.T) (screen, terminal *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { _ = screen.Close() })
	must(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	must(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	return screen, terminal
}
