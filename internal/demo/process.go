package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Process is a program that the demo runs.
type Process struct {
	Name   string
	Config string // for its standard input, where no process list shows it
	Env    []string
	Vital  bool // has the address to open: the demo ends with it

	cmd  *exec.Cmd
	end  context.CancelFunc
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
	log  *log
}

// PID returns the id of a started process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// StartGateway starts Caddy with a data folder of its own.
func (d *Demo) StartGateway(p *Process) error {
	home := filepath.Join(d.Folder, strings.ReplaceAll(p.Name, " ", "-"))
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	p.Env = append(p.Env, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "AppData="+home)
	return d.Start(p, d.Gateway, "run", "--config", "-", "--adapter", "caddyfile")
}

// Start starts a program.
func (d *Demo) Start(p *Process, program string, args ...string) error {
	// The signal that ends the demo does not end the process; stop does.
	ctx, end := context.WithCancel(context.WithoutCancel(d.ctx))
	p.end, p.done, p.log = end, make(chan struct{}), &log{name: p.Name, to: os.Stderr, held: true}
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Stdin = strings.NewReader(p.Config)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), p.Env...)
	p.cmd.Cancel = func() error {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return p.cmd.Process.Kill()
		}
		return nil
	}
	p.cmd.WaitDelay = 5 * time.Second
	detach(p.cmd)
	if err := p.cmd.Start(); err != nil {
		end()
		return fmt.Errorf("the %s does not start: %w", p.Name, err)
	}
	d.processes = append(d.processes, p)
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
		switch {
		case ctx.Err() != nil: // stopped
		case p.Vital:
			d.fail(p.failure())
		default:
			fmt.Printf("The %s has ended. The others continue.\n", p.Name)
		}
	}()
	return nil
}

// stop asks the process to end, and waits for it. A suspended one (SIGSTOP) is
// resumed first.
func (p *Process) stop() {
	p.log.hold(true) // its last messages are of no interest
	p.end()
	resume(p.cmd)
	<-p.done
}

// failure says how a process ended unexpectedly.
func (p *Process) failure() error {
	how := "without an error"
	if p.err != nil {
		how = p.err.Error()
	}
	if p.Vital {
		how += "; if the port is the reason, choose another, for example PORT=8081"
	}
	return fmt.Errorf("the %s has ended (%s)\n%s", p.Name, how, p.log.last())
}
