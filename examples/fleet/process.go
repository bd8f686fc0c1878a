package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that this one has started.
type process struct {
	name  string
	vital bool // without it the rest is of no use
	cmd   *exec.Cmd
	end   context.CancelFunc
	done  chan struct{} // closed when it has ended
	err   error         // how it ended; read after done
}

// spawn starts a program with its configuration on standard input, where no list
// of processes shows it, and reports its end on a channel.
func spawn(ctx context.Context, p *process, ended chan<- *process, config string, environment []string, program string, args ...string) error {
	// It outlives the signal that ends ctx until stop has asked it to go.
	ctx, p.end = context.WithCancel(context.WithoutCancel(ctx))
	p.done = make(chan struct{})
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Stdin = strings.NewReader(config)
	said := &prefixed{name: p.name, to: os.Stderr}
	p.cmd.Stdout, p.cmd.Stderr = said, said
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Cancel = func() error {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return p.cmd.Process.Kill()
		}
		return nil
	}
	p.cmd.WaitDelay = 5 * time.Second
	endWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		p.end()
		return fmt.Errorf("the %s does not start: %w", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
		ended <- p
	}()
	return nil
}

// stop asks the process to end, and waits for it. One that somebody has stopped
// (SIGSTOP) has to go on for that.
func (p *process) stop() {
	p.end()
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	<-p.done
}

func (p *process) failure() error {
	if p.err != nil {
		return fmt.Errorf("the %s has ended (%w)", p.name, p.err)
	}
	return fmt.Errorf("the %s has ended", p.name)
}

// prefixed says who says something.
type prefixed struct {
	name string
	to   io.Writer

	mu   sync.Mutex
	rest []byte // a line that has no end yet
}

func (w *prefixed) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		fmt.Fprintf(w.to, "%s: %s\n", w.name, line)
		w.rest = rest
	}
}
