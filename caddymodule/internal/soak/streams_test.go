//go:build soak

package soak_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	random "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// listen serves a backend.
func listen(t *testing.T, serve http.HandlerFunc) (address string) {
	server := httptest.NewServer(serve)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// echo answers a WebSocket's bytes.
func echo(w http.ResponseWriter) {
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "Upgrade")
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.Copy(conn, in)
}

// tick sends events.
func tick(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		if _, err := fmt.Fprint(w, "data: x\n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// streamer opens a WebSocket or an event stream, and when it has ended, another one.
func (f *fleet) streamer(ctx context.Context, draw *random.Rand) {
	for ; ctx.Err() == nil; pause(ctx, draw) {
		s := &stream{fleet: f, gateway: f.gateway(draw), websocket: draw.IntN(2) == 0, life: &life{}}
		if s.widget = widgetID(draw.IntN(known)); draw.IntN(3) > 0 {
			s.secret = secretOf(s.widget)
		} else {
			s.life = f.lives[draw.IntN(len(f.lives))]
			s.life.mu.Lock()
			s.widget, s.secret = s.life.id, s.life.secret
			s.life.mu.Unlock()
		}
		began := time.Now()
		err := s.run(ctx, time.Duration(5+draw.IntN(40))*time.Second)
		switch retiring := s.life.retiring(s.secret); {
		case err == nil:
			f.count("streams kept", nil)
		case s.gateway == 1 && f.cutting.since(began):
			f.count("streams cut", nil)
		case !s.opened && f.broken(s.gateway, began):
		case errors.Is(err, errOutlived):
			f.count("streams outlived", err)
		case !retiring.IsZero():
			f.count("streams ended", nil)
		default:
			f.count("refused", fmt.Errorf("a stream of %s at gateway %d, after %v: %w", s.widget, s.gateway, time.Since(began), err))
		}
	}
}

// errOutlived is that a stream is still open although its secret was retired some time ago.
var errOutlived = errors.New("open half a minute after its secret was retired")

type stream struct {
	*fleet
	*life
	gateway        int
	widget, secret string
	websocket      bool
	opened         bool
}

// run opens the stream, and uses it for a time.
func (s *stream) run(ctx context.Context, keep time.Duration) error {
	conn, in, err := s.open()
	if err != nil {
		return err
	}
	defer conn.Close()
	s.opened = true
	for until := time.Now().Add(keep); ctx.Err() == nil && time.Now().Before(until); {
		const event = "data: x\n\n"
		if s.websocket {
			if _, err := io.WriteString(conn, event); err != nil {
				return err
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		back := make([]byte, len(event))
		if _, err := io.ReadFull(in, back); err != nil || string(back) != event {
			return fmt.Errorf("read %q: %w", back, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		if s.websocket {
			time.Sleep(300 * time.Millisecond)
		}
		// Those who retire a secret while Redis or a gateway is away are told to do it again.
		if at := s.retiring(s.secret); !at.IsZero() && time.Since(at) > 30*time.Second && !s.quiet.since(at) {
			return errOutlived
		}
	}
	return nil
}

func (s *stream) open() (conn net.Conn, body io.Reader, err error) {
	address := s.gateways[s.gateway].site
	if conn, err = net.Dial("tcp", address); err != nil {
		return nil, nil, err
	}
	opened := conn
	defer func() {
		if err != nil {
			opened.Close()
		}
	}()
	user, path, upgrade, status := newUser(), "/events", "", http.StatusOK
	if s.websocket {
		path, status = "/ws", http.StatusSwitchingProtocols
		upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	}
	if _, err = fmt.Fprintf(conn, "GET %s?user_id=%s&user_hash=%s HTTP/1.1\r\nHost: %s\r\nX-Widget-Key: %s\r\n%s\r\n",
		path, user, sign(s.secret, user), address, s.widget, upgrade); err != nil {
		return nil, nil, err
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err == nil && response.StatusCode != status {
		err = fmt.Errorf("answered %s", response.Status)
	}
	if err != nil {
		return nil, nil, err
	}
	if s.websocket {
		return conn, in, nil
	}
	return conn, response.Body, nil
}

// es256 signs a digest as RFC 7518 has it.
func (f *fleet) es256(digest []byte) []byte {
	r, s, err := ecdsa.Sign(rand.Reader, f.member, digest)
	if err != nil {
		panic(err) // a bug: the key has just been generated
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature
}
