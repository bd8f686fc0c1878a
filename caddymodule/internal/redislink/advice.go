package redislink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/redis/rueidis"
)

// Fault explains an error of Redis.
type Fault struct {
	Code   string // the first word of Redis's answer, "" without an answer
	Advice string // what an operator can do about it
	Away   bool   // all other commands would fail, too
}

// Is reports whether Redis answered with one of these codes.
func (f Fault) Is(codes ...string) bool { return f.Code != "" && slices.Contains(codes, f.Code) }

// answers are the faults that Redis reports, in the order in which they are looked for.
var answers = []Fault{
	{"OOM", "Redis has no memory left: raise its maxmemory, and keep maxmemory-policy noeviction", false},
	{"READONLY", "this is a replica: name the primary in the URL, or its Sentinels", true},
	{"NOAUTH", "Redis asks for a password: write it into the URL", true},
	{"WRONGPASS", "correct the user and the password in the URL", true},
	{"NOPERM", "give the user this right; docs/fleet.md lists all that are needed (ACL SETUSER)", false},
	{"LOADING", "Redis is loading its data: wait for it", true},
	{"MASTERDOWN", "the replica has lost its primary: name the primary in the URL, or its Sentinels", true},
	{"CLUSTERDOWN", "a part of the cluster is missing: see CLUSTER INFO", true},
	{"MISCONF", "Redis cannot save its data: see its log, and the space on its disk", false},
	{"NOREPLICAS", "too few replicas follow the primary: see min-replicas-to-write", false},
	{"BUSY", "another script keeps Redis busy: end it (SCRIPT KILL)", true},
	{"MOVED", "this is a node of a cluster: begin the URL with redis+cluster", true},
	{"CROSSSLOT", "this is a node of a cluster: begin the URL with redis+cluster", true},
	{"ASK", "the cluster is moving these keys: wait for it", true},
	{"TRYAGAIN", "the cluster is moving these keys: wait for it", true},
	{"WRONGTYPE", "something else uses these keys: choose another prefix in the URL", false},
}

// Refusal is the error of a command within a script.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Explain explains an error of the client, or a [Refusal].
func Explain(err error) Fault {
	if reply, ok := rueidis.IsRedisErr(err); ok {
		return explainReply(reply.Error())
	}
	if refusal, ok := errors.AsType[Refusal](err); ok {
		return explainReply(string(refusal))
	}
	f := Fault{Away: true}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case ok && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		f.Advice = "see whether Redis is overloaded or stopped, and the network to it"
	case isCertificate(err):
		f.Advice = "check ca, server_name, cert and key in the URL"
	case errors.Is(err, rueidis.ErrClosing):
		f.Advice = "the connection was closed"
	default:
		f.Advice = "see whether Redis runs, and whether the URL is right: a server that wants TLS, or a certificate, hangs up"
	}
	return f
}

// explainReply explains an error reply. Within a script, some versions of Redis wrap the
// code, and one omits it.
func explainReply(text string) Fault {
	text = strings.Replace(text, "The user executing the script can't ", "NOPERM can't ", 1)
	for _, f := range answers {
		if strings.HasPrefix(text, f.Code+" ") || strings.Contains(text, " "+f.Code+" ") || strings.Contains(text, "-"+f.Code+" ") {
			return f
		}
	}
	code, _, _ := strings.Cut(text, " ")
	return Fault{code, "see the log of Redis", false}
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
