// Command fleet runs three gateways that share their widgets in one Redis, with a
// balancer in front of them and a sample website behind them, all on one machine.
package main

import (
	"bytes"
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
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/internal/demo"
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

func main() { demo.Main("fleet", start) }

// member is one of the gateways.
type member struct {
	*demo.Process
	port, admin int
}

// start starts everything, and prints what to try when it answers.
func start(d *demo.Demo) error {
	site := newWebsite(d.URL())
	backend, err := d.Serve(site.handler())
	if err != nil {
		return err
	}
	redis, address, password, err := startRedis(d)
	if err != nil {
		return err
	}
	// Anyone with this key and Redis's data has all secrets: keep the two apart.
	key := make([]byte, 32)
	rand.Read(key)
	shared := []string{
		"BACKEND=" + backend, "REDIS=" + address, "REDIS_PASSWORD=" + password,
		"CHAT_IDENTITY_KEY=" + base64.StdEncoding.EncodeToString(key),
	}
	var members []member
	var upstreams []string
	for i := range gateways {
		m, err := startGateway(d, i+1, shared)
		if err != nil {
			return err
		}
		members = append(members, m)
		upstreams = append(upstreams, fmt.Sprintf("127.0.0.1:%d", m.port))
	}
	for _, m := range members {
		if err := d.UntilAnswers(m.Process, fmt.Sprintf("http://127.0.0.1:%d/", m.port)); err != nil {
			return err
		}
	}
	balancer := &demo.Process{
		Name: "balancer", Config: balancerCaddyfile, Vital: true,
		Env: []string{fmt.Sprintf("PORT=%d", d.Port), "GATEWAYS=" + strings.Join(upstreams, " ")},
	}
	if err := d.StartGateway(balancer); err != nil {
		return err
	}
	if err := d.UntilAnswers(balancer, d.URL()); err != nil {
		return err
	}
	secret, err := createWidget(d, members[0])
	if err != nil {
		return err
	}
	site.set(secret)
	explain(os.Stdout, d, redis, members)
	return nil
}

// startRedis starts a Redis that loses nothing that it has acknowledged.
func startRedis(d *demo.Demo) (redis *demo.Process, address, password string, err error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", "", errors.New("there is no redis-server on the PATH; install Redis 6 or later, for example: apt-get install redis-server, or brew install redis")
	}
	port, err := demo.FreePort()
	if err != nil {
		return nil, "", "", err
	}
	folder := filepath.Join(d.Folder, "redis")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return nil, "", "", err
	}
	address, password = fmt.Sprintf("127.0.0.1:%d", port), rand.Text()
	redis = &demo.Process{Name: "redis", Config: fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %q\nrequirepass %s\nappendonly yes\n"+
		"appendfsync always\nsave \"\"\nmaxmemory-policy noeviction\nlogfile log\n", port, folder, password)}
	if err := d.Start(redis, program, "-"); err != nil {
		return nil, "", "", err
	}
	return redis, address, password, d.Until(redis, func() error {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

func startGateway(d *demo.Demo, number int, shared []string) (m member, err error) {
	if m.port, err = demo.FreePort(); err != nil {
		return m, err
	}
	if m.admin, err = demo.FreePort(); err != nil {
		return m, err
	}
	m.Process = &demo.Process{Name: fmt.Sprintf("gateway %d", number), Config: gatewayCaddyfile, Env: append([]string{
		fmt.Sprintf("GATEWAY=%d", number), fmt.Sprintf("PORT=%d", m.port), fmt.Sprintf("ADMIN=%d", m.admin),
	}, shared...)}
	return m, d.StartGateway(m.Process)
}

// createWidget creates the website's widget at a gateway, and returns its secret.
func createWidget(d *demo.Demo, m member) (secret string, err error) {
	var created struct{ Secret, Error string }
	err = d.Until(m.Process, func() error {
		res, err := demo.Client.Post(fmt.Sprintf("http://127.0.0.1:%d/chat_identity/widgets", m.admin), "application/json",
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

// explain prints what to open and what to try.
func explain(w io.Writer, d *demo.Demo, redis *demo.Process, members []member) {
	rotate := fmt.Sprintf("%s chat-identity rotate %s --address localhost:", d.Gateway, widget)
	fmt.Fprintf(w, "The fleet is running: open %s in your browser, and press Ctrl-C here to stop it.\n\n", d.URL())
	fmt.Fprintf(w, "The page sends signed messages of the widget %s through the balancer and shows which gateway answered what. Try, in another terminal:\n\n", widget)
	fmt.Fprintf(w, "  rotate at one gateway, and see all refuse the old secret at once (then give the new one to the page):\n    %s%d\n", rotate, members[1].admin)
	fmt.Fprintf(w, "  the same, but the old secret verifies for five more minutes:\n    %s%d --grace 5m\n", rotate, members[2].admin)
	fmt.Fprintf(w, "  kill a gateway, and see the others continue:\n    kill -9 %d\n", members[0].PID())
	fmt.Fprintf(w, "  suspend Redis for a while: known widgets are served for a minute, and nothing can be changed:\n    kill -STOP %[1]d\n    kill -CONT %[1]d\n", redis.PID())
	for _, m := range members {
		fmt.Fprintf(w, "\n%s: port %d, admin API %d, process %d", m.Name, m.port, m.admin, m.PID())
	}
	fmt.Fprintln(w)
}
