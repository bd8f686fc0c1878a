package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed Caddyfile
var caddyfile string

// gateway is the Caddy that this program started.
type gateway struct {
	url    string
	cancel context.CancelFunc
	log    *heldLog
	done   chan struct{} // closed when the process has ended
	err    error         // how it ended; read after done
}

// setup is what a gateway is started with.
type setup struct {
	binary  string
	home    string // what it keeps is here: started again with it, it goes on where it was
	port    int
	backend string
	secrets secrets
}

// startGateway starts the gateway with the embedded Caddyfile on its standard
// input, so that it runs from any folder.
func startGateway(ctx context.Context, s setup) (*gateway, error) {
	// The gateway outlives the signal that ends ctx until stop has asked it to go.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g := &gateway{
		url:    "http://localhost:" + strconv.Itoa(s.port) + "/",
		cancel: cancel,
		log:    &heldLog{to: os.Stderr},
		done:   make(chan struct{}),
	}

	cmd := exec.CommandContext(ctx, s.binary, "run", "--config", "-", "--adapter", "caddyfile")
	cmd.Stdin = strings.NewReader(caddyfile)
	cmd.Stdout, cmd.Stderr = g.log, g.log
	cmd.Env = append(os.Environ(),
		"PORT="+strconv.Itoa(s.port),
		"BACKEND="+s.backend,
		"CHAT_IDENTITY_SECRET="+s.secrets.chat,
		"CALLS_SECRET="+s.secrets.calls,
		"HOME="+s.home, "XDG_DATA_HOME="+s.home, "XDG_CONFIG_HOME="+s.home, "AppData="+s.home,
	)
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 5 * time.Second
	endWithParent(cmd)

	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("the gateway %s does not start; build it with `make build` (%w)", s.binary, err)
	}
	go func() {
		g.err = cmd.Wait()
		close(g.done)
	}()
	return g, nil
}

// waitUntilReady returns once the page answers through the gateway.
func (g *gateway) waitUntilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	// No proxy, whatever the environment says: it could not reach this localhost.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		if g.answers(ctx, client) {
			g.log.release()
			return nil
		}
		select {
		case <-g.done:
			return g.failure()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("the gateway does not answer on %s after 30 seconds:\n%s", g.url, g.log.text())
			}
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (g *gateway) answers(ctx context.Context, client *http.Client) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}

// failure says how a gateway ended that nobody had asked to.
func (g *gateway) failure() error {
	how := "without an error"
	if g.err != nil {
		how = g.err.Error()
	}
	message := fmt.Sprintf("the gateway stopped (%s); if the port is the reason, choose another one, for example: PORT=8081 make demo", how)
	if said := g.log.text(); said != "" {
		message += "\nIts last words:\n" + said
	}
	return errors.New(message)
}

// stop asks the gateway to end, and waits for it.
func (g *gateway) stop() {
	g.log.hold() // its farewell is nothing anybody needs to read
	g.cancel()
	<-g.done
}

// heldLog keeps what the gateway says while it starts, which is of interest only
// if that fails, and passes on what it says while it runs: warnings of forged
// claims.
type heldLog struct {
	to io.Writer

	mu       sync.Mutex
	released bool
	held     bytes.Buffer
}

func (l *heldLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return l.to.Write(p)
	}
	if l.held.Len() < 64<<10 {
		l.held.Write(p)
	}
	return len(p), nil
}

func (l *heldLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = true
	l.held.Reset()
}

func (l *heldLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = false
}

// text returns the last lines held.
func (l *heldLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(l.held.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
