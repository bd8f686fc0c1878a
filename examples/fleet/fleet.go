package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	gateways = 3
	widget   = "shop"
)

var (
	//go:embed Caddyfile
	gatewayCaddyfile string
	//go:embed balancer.Caddyfile
	balancerCaddyfile string
)

// setup is what a fleet is started with.
type setup struct {
	binary  string
	folder  string // for what all of them keep
	port    int
	backend string
}

// fleet is all that runs, in the order in which it was started.
type fleet struct {
	setup
	processes []*process
	ended     chan *process
	members   []*member
}

// member is one of the gateways.
type member struct {
	*process
	port, admin int
}

// startFleet starts everything and returns once it answers. What it has started
// by the time it fails, its caller stops.
func startFleet(ctx context.Context, s setup) (*fleet, error) {
	f := &fleet{setup: s, ended: make(chan *process, gateways+2)}
	redis, password, err := f.startRedis(ctx)
	if err != nil {
		return f, err
	}
	// Whoever has this key and Redis' data has all secrets: keep the two apart.
	key := make([]byte, 32)
	rand.Read(key)
	shared := []string{
		"BACKEND=" + s.backend, "REDIS=" + redis, "REDIS_PASSWORD=" + password,
		"CHAT_IDENTITY_KEY=" + base64.StdEncoding.EncodeToString(key),
	}
	var upstreams []string
	for i := range gateways {
		m, err := f.startGateway(ctx, i+1, shared)
		if err != nil {
			return f, err
		}
		f.members = append(f.members, m)
		upstreams = append(upstreams, "127.0.0.1:"+strconv.Itoa(m.port))
	}
	for _, m := range f.members {
		if err := f.await(ctx, m.process, fmt.Sprintf("http://127.0.0.1:%d/", m.port)); err != nil {
			return f, err
		}
	}
	balancer := &process{name: "balancer", vital: true}
	if err := f.caddy(ctx, balancer, balancerCaddyfile, "PORT="+strconv.Itoa(s.port), "GATEWAYS="+strings.Join(upstreams, " ")); err != nil {
		return f, err
	}
	return f, f.await(ctx, balancer, f.url())
}

// startRedis starts a Redis that keeps everything it has acknowledged, and
// returns its address and password.
func (f *fleet) startRedis(ctx context.Context) (address, password string, err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return "", "", errors.New("there is no redis-server on the PATH; install Redis 6 or newer, for example: apt-get install redis-server, or brew install redis")
	}
	port, err := freePort()
	if err != nil {
		return "", "", err
	}
	folder := filepath.Join(f.folder, "redis")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", "", err
	}
	password = rand.Text()
	config := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %q\nrequirepass %s\nappendonly yes\nappendfsync always\nsave \"\"\n"+
		"maxmemory-policy noeviction\nlogfile log\n", port, folder, password)
	redis := &process{name: "redis"}
	if err := f.spawn(ctx, redis, config, nil, program, "-"); err != nil {
		return "", "", err
	}
	address = "127.0.0.1:" + strconv.Itoa(port)
	return address, password, f.until(ctx, redis, func() error {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func (f *fleet) startGateway(ctx context.Context, number int, shared []string) (*member, error) {
	m := &member{process: &process{name: fmt.Sprintf("gateway %d", number)}}
	var err error
	if m.port, err = freePort(); err != nil {
		return nil, err
	}
	if m.admin, err = freePort(); err != nil {
		return nil, err
	}
	return m, f.caddy(ctx, m.process, gatewayCaddyfile, append([]string{
		fmt.Sprintf("GATEWAY=%d", number), fmt.Sprintf("PORT=%d", m.port), fmt.Sprintf("ADMIN=%d", m.admin),
	}, shared...)...)
}

// caddy starts a Caddy with a data folder of its own.
func (f *fleet) caddy(ctx context.Context, p *process, config string, environment ...string) error {
	home := filepath.Join(f.folder, strings.ReplaceAll(p.name, " ", "-"))
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	environment = append(environment, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "AppData="+home)
	err := f.spawn(ctx, p, config, environment, f.binary, "run", "--config", "-", "--adapter", "caddyfile")
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; build it with `make build`", err)
	}
	return err
}

func (f *fleet) spawn(ctx context.Context, p *process, config string, environment []string, program string, args ...string) error {
	if err := spawn(ctx, p, f.ended, config, environment, program, args...); err != nil {
		return err
	}
	f.processes = append(f.processes, p)
	return nil
}

// until waits until a process has come so far.
func (f *fleet) until(ctx context.Context, p *process, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.failure()
		case <-ctx.Done():
			return fmt.Errorf("the %s does not answer: %w", p.name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// await waits until a URL answers through the process.
func (f *fleet) await(ctx context.Context, p *process, url string) error {
	return f.until(ctx, p, func() error {
		res, err := local.Get(url)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
}

// local uses no proxy, whatever the environment says: it could not reach this
// machine's localhost.
var local = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

// createWidget makes the website's widget, at the first gateway, and returns its
// secret.
func (f *fleet) createWidget(ctx context.Context) (secret string, err error) {
	m := f.members[0]
	var created struct{ Secret, Error string }
	err = f.until(ctx, m.process, func() error {
		res, err := local.Post(fmt.Sprintf("http://127.0.0.1:%d/chat_identity/widgets", m.admin), "application/json",
			bytes.NewReader([]byte(`{"id":"`+widget+`","mode":"required"}`)))
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&created); err != nil {
			return err
		}
		if res.StatusCode != http.StatusCreated {
			return errors.New(created.Error)
		}
		return nil
	})
	return created.Secret, err
}

func (f *fleet) url() string { return fmt.Sprintf("http://localhost:%d/", f.port) }

// print says what to open and what to try.
func (f *fleet) print(w io.Writer) {
	rotate := fmt.Sprintf("%s chat-identity rotate %s --address localhost:", f.binary, widget)
	fmt.Fprintf(w, "The fleet is running: open %s in your browser, and press Ctrl-C here to stop it.\n\n", strings.TrimSuffix(f.url(), "/"))
	fmt.Fprintf(w, "The page sends signed messages of the widget %s through the balancer and shows which gateway said what. Try, in another terminal:\n\n", widget)
	fmt.Fprintf(w, "  rotate at one gateway, and see all refuse the old secret at once (then give the new one to the page):\n    %s%d\n", rotate, f.members[1].admin)
	fmt.Fprintf(w, "  the same, but the old one verifies for five more minutes:\n    %s%d --grace 5m\n", rotate, f.members[2].admin)
	fmt.Fprintf(w, "  kill a gateway, and see the others go on:\n    kill -9 %d\n", f.members[0].cmd.Process.Pid)
	fmt.Fprintf(w, "  take Redis away for a while: known widgets are served for a minute, and nothing can be changed:\n    kill -STOP %[1]d\n    kill -CONT %[1]d\n",
		f.processes[0].cmd.Process.Pid)
	for _, m := range f.members {
		fmt.Fprintf(w, "\n%s: port %d, admin API %d, process %d", m.name, m.port, m.admin, m.cmd.Process.Pid)
	}
	fmt.Fprintln(w)
}

// stop ends everything, first what was started last.
func (f *fleet) stop() {
	for i := len(f.processes) - 1; i >= 0; i-- {
		f.processes[i].stop()
	}
}
