// Package demo runs examples that consist of several programs: a website in the
// example's own process, and gateways in front of it.
package demo

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// A Demo runs until it is interrupted.
type Demo struct {
	Port    int    // of the address to open
	Gateway string // the gateway's binary
	Folder  string // for the programs' files, so that nothing is left in the user's own folders

	target    string
	ctx       context.Context
	processes []*Process
	broken    chan error
}

// Main is the main function of the demo that the make target runs. If start fails,
// what it has started is stopped.
func Main(target string, start func(*Demo) error) {
	gateway := flag.String("gateway", "./caddy", "the gateway's binary, built by `make build`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	d := &Demo{target: target, Gateway: *gateway, ctx: ctx, broken: make(chan error, 1)}
	if err := d.run(start); err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", target, err)
		os.Exit(1)
	}
}

func (d *Demo) run(start func(*Demo) error) (err error) {
	if d.Port, err = publicPort(d.target); err != nil {
		return err
	}
	path, err := exec.LookPath(d.Gateway)
	if err != nil {
		return fmt.Errorf("there is no gateway %s: build it with `make build` (%w)", d.Gateway, err)
	}
	if d.Gateway, err = filepath.Abs(path); err != nil {
		return err
	}
	if d.Folder, err = os.MkdirTemp("", "chat-identity-"+d.target+"-"); err != nil {
		return fmt.Errorf("cannot create a temporary folder: %w", err)
	}
	defer os.RemoveAll(d.Folder)
	defer d.stop()
	if err := start(d); err != nil {
		return err
	}
	select {
	case <-d.ctx.Done():
		return nil
	case err := <-d.broken:
		return err
	}
}

// stop ends all programs, the last one first.
func (d *Demo) stop() {
	for i := len(d.processes) - 1; i >= 0; i-- {
		d.processes[i].stop()
	}
}

// Serve serves the website and returns its address.
func (d *Demo) Serve(website http.Handler) (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("the website cannot listen: %w", err)
	}
	server := &http.Server{Handler: website, ReadHeaderTimeout: 5 * time.Second}
	go func() { d.fail(fmt.Errorf("the website stopped: %w", server.Serve(listener))) }()
	return listener.Addr().String(), nil
}

// fail ends the demo.
func (d *Demo) fail(err error) {
	select {
	case d.broken <- err:
	default: // it is ending already
	}
}

// URL is the address to open.
func (d *Demo) URL() string { return fmt.Sprintf("http://localhost:%d", d.Port) }

// Until waits until the process is ready.
func (d *Demo) Until(p *Process, ready func() error) error {
	deadline := time.After(time.Minute)
	for {
		err := ready()
		if err == nil {
			p.log.hold(false)
			return nil
		}
		select {
		case <-d.ctx.Done():
			return d.ctx.Err()
		case <-p.done:
			return p.failure()
		case <-deadline:
			return fmt.Errorf("the %s does not answer (%w)\n%s", p.Name, err, p.log.last())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Client ignores proxies in the environment, which could not reach this machine's
// localhost.
var Client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// UntilAnswers waits until a URL answers through the process.
func (d *Demo) UntilAnswers(p *Process, url string) error {
	return d.Until(p, func() error {
		res, err := Client.Get(url)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, res.Status)
		}
		return nil
	})
}
