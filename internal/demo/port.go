package demo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// publicPort returns the port of the address to open, and checks that it is free.
// Caddy itself would not notice, because it shares ports with other instances.
func publicPort(target string) (int, error) {
	text := os.Getenv("PORT")
	if text == "" {
		text = "8080"
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("PORT=%s is not a port; use a number from 1 to 65535, such as PORT=8081", text)
	}
	// For localhost, browsers try ::1 first, where another program could answer.
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, text))
		switch {
		case err == nil:
			l.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			return 0, fmt.Errorf("port %d is in use by another program; choose another, for example: PORT=%d make %s", port, port%65535+1, target)
		case errors.Is(err, os.ErrPermission):
			return 0, fmt.Errorf("port %d requires more privileges; choose one above 1023, for example: PORT=8080 make %s", port, target)
		case host == "127.0.0.1": // the machine may have no IPv6
			return 0, fmt.Errorf("port %d cannot be used (%w); choose another, for example: PORT=8081 make %s", port, err, target)
		}
	}
	return port, nil
}

// FreePort returns a port that nothing listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
