package redislink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/redis/rueidis"
)

// handshake is an error of TLS.
type handshake struct {
	address string
	err     error
}

func (h *handshake) Error() string { return fmt.Sprintf("TLS with %s: %v", h.address, h.err) }
func (h *handshake) Unwrap() error { return h.err }

// dial connects to a host or a socket.
func (o Options) dial(ctx context.Context, address string, d *net.Dialer, config *tls.Config) (net.Conn, error) {
	network := "tcp"
	if o.Unix {
		network = "unix"
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil || config == nil {
		return conn, err
	}
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &handshake{address, err}
	}
	return secure, nil
}

// explainConnection explains an error without an answer.
func explainConnection(err error) Fault {
	f := Fault{Away: true}
	at := "Redis"
	op, dialing := errors.AsType[*net.OpError](err)
	if dialing = dialing && op.Op == "dial"; dialing && op.Addr != nil {
		at = op.Addr.String()
	}
	if h, ok := errors.AsType[*handshake](err); ok {
		f.What, f.Advice = explainTLS(h)
		return f
	}
	timeout, isNet := errors.AsType[net.Error](err)
	dns, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case isAlert(err):
		f.What, f.Advice = "Redis refuses the TLS connection ("+err.Error()+")", clientCertificate
	case unresolved:
		f.What, f.Advice = "no address was found for the host "+dns.Name, "correct the host in the URL, or see what answers DNS there"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.What, f.Advice = "nothing listens at "+at+" (connection refused)", "see whether Redis runs, and correct the host and port in the URL"
	case errors.Is(err, fs.ErrNotExist):
		f.What, f.Advice = "there is no socket at "+at, "see whether Redis runs, and correct the path in the URL"
	case errors.Is(err, fs.ErrPermission):
		f.What, f.Advice = "this process may not connect to "+at, "let its user do that (unixsocketperm in the configuration of Redis)"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.What, f.Advice = "there is no way to "+at, "see the network, and correct the host in the URL"
	case errors.Is(err, context.Canceled) && !dialing:
		f.What, f.Advice = "the caller did not wait for the answer of Redis", "try again"
	case isNet && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f.What, f.Advice = at+" does not answer in time", "see whether Redis is overloaded or stopped, and the network to it; correct the host and port in the URL"
	case errors.Is(err, rueidis.ErrClosing), errors.Is(err, ErrClosed):
		f.What, f.Advice = "the connection to Redis was closed", "try again"
	case errors.Is(err, rueidis.ErrNoSlot):
		f.What, f.Advice = "a part of the cluster is missing", "see CLUSTER INFO"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.What = "Redis hung up without an answer"
		f.Advice = "see whether it runs, and its log: a server that wants TLS (rediss in the URL) or a certificate (cert and key) hangs up, " +
			"and so does a proxy that does not know HELLO"
	case strings.Contains(err.Error(), "unknown message type"):
		f.What, f.Advice = "what answers there is not Redis", "correct the host and port in the URL"
	default:
		f.What, f.Advice = "Redis cannot be reached ("+err.Error()+")", "see whether Redis runs, and whether the URL is right"
	}
	return f
}

// explainTLS returns what is wrong and what to do.
func explainTLS(h *handshake) (what, advice string) {
	_, plain := errors.AsType[tls.RecordHeaderError](h.err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](h.err)
	_, host := errors.AsType[x509.HostnameError](h.err)
	invalid, unfit := errors.AsType[x509.CertificateInvalidError](h.err)
	timeout, isNet := errors.AsType[net.Error](h.err)
	switch {
	case plain, errors.Is(h.err, io.EOF), errors.Is(h.err, syscall.ECONNRESET), errors.Is(h.err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return "there is no TLS at " + h.address, "begin the URL with redis in place of rediss, or name the port of Redis that has TLS (tls-port)"
	case authority:
		return "the certificate of " + h.address + " is from an unknown authority", "name the authority's certificate as ca in the URL"
	case host:
		return "the certificate of " + h.address + " is for another name", "write that name as server_name into the URL"
	case unfit && invalid.Reason == x509.Expired:
		return "the certificate of " + h.address + " has expired, or is not valid yet", "renew it, and see this machine's clock"
	case isAlert(h.err):
		return "Redis refuses the TLS connection (" + h.err.Error() + ")", clientCertificate
	}
	return "TLS with " + h.address + " fails (" + h.err.Error() + ")", "check ca, server_name, cert and key in the URL"
}

const clientCertificate = "name a certificate that it accepts, and its key, as cert and key in the URL"

// isAlert reports whether the server has said why it ends TLS.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}
