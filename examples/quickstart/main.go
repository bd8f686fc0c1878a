// Command quickstart runs the whole of a verified chat on one machine: a sample
// chat backend with its page, and the gateway in front of it.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	gateway := flag.String("gateway", "./caddy", "the gateway's binary, built by `make build`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, *gateway); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run serves until the context ends, which is a clean stop, or until a part of
// the demo fails.
func run(ctx context.Context, binary string) error {
	port, err := publicPort()
	if err != nil {
		return err
	}
	secrets := secrets{chat: secretFrom("CHAT_IDENTITY_SECRET"), calls: secretFrom("CALLS_SECRET")}
	// A demo leaves nothing in the user's own folders.
	home, err := os.MkdirTemp("", "chat-identity-demo-")
	if err != nil {
		return fmt.Errorf("no temporary folder for the gateway: %w", err)
	}
	defer os.RemoveAll(home)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("the chat backend cannot listen: %w", err)
	}
	server := &http.Server{Handler: newBackend(secrets), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Close()

	gw, err := startGateway(ctx, setup{binary, home, port, listener.Addr().String(), secrets})
	if err != nil {
		return err
	}
	defer gw.stop()

	if err := gw.waitUntilReady(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	fmt.Printf("The demo is running: open http://localhost:%d in your browser, and press Ctrl-C here to stop it.\n", port)

	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return fmt.Errorf("the chat backend stopped: %w", err)
	case <-gw.done:
		// Ctrl-C may reach the gateway, too, and it may be the first to act.
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
			return gw.failure()
		}
	}
}

// publicPort returns the port the gateway is to have, once nobody else has it.
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
			return 0, fmt.Errorf("port %d is in use by another program; choose another one, for example: PORT=%d make demo", port, otherPort(port))
		case errors.Is(err, os.ErrPermission):
			return 0, fmt.Errorf("port %d needs more rights than this user has; choose one above 1023, for example: PORT=8080 make demo", port)
		case host == "127.0.0.1": // a machine without IPv6 is no reason to stop
			return 0, fmt.Errorf("port %d cannot be used (%w); choose another one, for example: PORT=%d make demo", port, err, otherPort(port))
		}
	}
	return port, nil
}

func otherPort(port int) int {
	if port < 65535 {
		return port + 1
	}
	return port - 1
}

// secrets are those that the website shares with the gateway, one for each kind
// of signature. With a single one, what is signed for a call, which is several
// fields run together, would also sign for the chat user whose id is just that.
type secrets struct{ chat, calls string }

// secretFrom returns the secret that the environment has, or else a new one as
// the products show them: 32 random bytes as 64 hex characters, whose text is
// the key.
func secretFrom(variable string) string {
	if secret := os.Getenv(variable); secret != "" {
		return secret
	}
	b := make([]byte, 32)
	rand.Read(b)
	return hex.EncodeToString(b)
}
