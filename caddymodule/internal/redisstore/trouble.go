package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// trouble is an error that requests share.
type trouble struct{ err error }

// isReply reports whether err is Redis' answer, and begins with one of the words.
func isReply(err error, words ...string) bool {
	reply, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok {
		return false
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	return slices.Contains(words, word)
}

// remedy says what to do about an error.
func remedy(err error) string {
	_, answered := errors.AsType[*rueidis.RedisError](err)
	switch {
	case errors.Is(err, errOld):
		return "use Redis 6 or newer, or Valkey"
	case isReply(err, "READONLY"):
		return "this is a replica: name the primary in the URL, or its sentinels"
	case isReply(err, "OOM"):
		return "Redis has no memory left: raise its maxmemory, and keep maxmemory-policy noeviction"
	case isReply(err, "NOAUTH"):
		return "Redis asks for a password: write it into the URL"
	case isReply(err, "WRONGPASS"):
		return "correct the user and the password in the URL"
	case isReply(err, "NOPERM"):
		return "give the user this right, see the documentation for all that are needed (ACL SETUSER)"
	case isReply(err, "LOADING"):
		return "Redis is reading its data, wait for it"
	case isReply(err, "BUSY"):
		return "somebody's script is holding Redis up: end it (SCRIPT KILL)"
	case isReply(err, "MASTERDOWN"):
		return "the replica has lost its primary: name the primary in the URL, or its sentinels"
	case isReply(err, "CLUSTERDOWN"):
		return "a part of the cluster is missing: see CLUSTER INFO"
	case isReply(err, "MOVED", "CROSSSLOT"):
		return "this is a node of a cluster: begin the URL with redis+cluster"
	case isReply(err, "ASK", "TRYAGAIN"):
		return "the cluster is moving the widgets' slot: wait for it"
	case isReply(err, "MISCONF"):
		return "Redis cannot save its data: see its log, and the space on its disk"
	case isReply(err, "NOREPLICAS"):
		return "too few replicas follow the primary: see min-replicas-to-write"
	case isReply(err, "WRONGTYPE"):
		return "the keys are used by something else: choose another prefix in the URL"
	case answered:
		return "see the log of Redis"
	case errors.Is(err, errSilent), isTimeout(err):
		return "see whether Redis is overloaded or stopped, and the network to it"
	case isCertificate(err):
		return "check ca, server_name, cert and key in the URL"
	case errors.Is(err, rueidis.ErrClosing):
		return "the connection was closed"
	}
	return "see whether Redis runs, and whether the URL is right: a server that wants TLS, or a certificate, hangs up"
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

func isCertificate(err error) bool {
	var (
		record tls.RecordHeaderError
		alert  tls.AlertError
		verify *tls.CertificateVerificationError
		host   x509.HostnameError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) || errors.As(err, &host)
}

// unreadable says what to do when Redis does not answer.
func unreadable(err error) error {
	return fmt.Errorf("%w: %w: %s", widgets.ErrUnavailable, err, remedy(err))
}

// unwritten says what to do when Redis refuses a change.
func unwritten(err error) error {
	return fmt.Errorf("%w: nothing was changed: %w: %s", widgets.ErrUnavailable, err, remedy(err))
}

// unsure says that a change was sent, and its outcome is not known.
func unsure(err error) error {
	return fmt.Errorf("%w: it is not known whether all, some or nothing was changed, look before you try again: %w: %s",
		widgets.ErrUnavailable, err, remedy(err))
}
