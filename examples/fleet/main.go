// Command fleet runs three gateways that share their widgets in one Redis, a
// balancer in front of them and a sample website behind, all on one machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	gateway := flag.String("gateway", "./caddy", "the gateway's binary, built by `make build`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, *gateway); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// run serves until the context ends, which is a clean stop, or until a part
// fails that the others cannot do without.
func run(ctx context.Context, binary string) error {
	port, err := publicPort()
	if err != nil {
		return err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	// A demo leaves nothing in the user's own folders.
	folder, err := os.MkdirTemp("", "chat-identity-fleet-")
	if err != nil {
		return fmt.Errorf("no temporary folder: %w", err)
	}
	defer os.RemoveAll(folder)

	site := new(website)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the website cannot listen: %w", err)
	}
	server := &http.Server{Handler: site.handler(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Close()

	f, err := startFleet(ctx, setup{binary: binary, folder: folder, port: port, backend: listener.Addr().String()})
	defer f.stop()
	if err != nil {
		return err
	}
	secret, err := f.createWidget(ctx)
	if err != nil {
		return err
	}
	site.set(secret)
	f.print(os.Stdout)

	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("the website stopped: %w", err)
		case p := <-f.ended:
			if p.vital {
				return p.failure()
			}
			fmt.Printf("The %s has ended. The others go on.\n", p.name)
		}
	}
}

// publicPort returns the port the balancer is to have, once nobody else has it.
// Caddy shares its ports with other Caddys, so it would not notice itself.
func publicPort() (int, error) {
	text := os.Getenv("PORT")
	if text == "" {
		text = "8080"
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("PORT=%s is not a port; use a number from 1 to 65535, such as PORT=8081", text)
	}
	// A browser tries ::1 for localhost first: a stranger there would answer
	// instead of the demo.
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, text))
		switch {
		case err == nil:
			l.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			return 0, fmt.Errorf("port %d is in use by another program; choose another one, for example: PORT=%d make fleet", port, port%65535+1)
		case host == "127.0.0.1": // a machine without IPv6 is no reason to stop
			return 0, fmt.Errorf("port %d cannot be used (%w); choose another one, for example: PORT=8081 make fleet", port, err)
		}
	}
	return port, nil
}

// freePort returns a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
