package body

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// clock is a time that passes when somebody says so.
type clock struct{ now time.Time }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

func (c *clock) pace() Pace {
	return Pace{Now: func() time.Time { return c.now }}
}

// trickle brings so many bytes at a time, each of which takes so long. It keeps
// to deadlines as a connection does.
type trickle struct {
	*clock
	bytes    int
	takes    time.Duration
	left     int // to come
	there    int // of them
	deadline time.Time
	set      int
}

func (r *trickle) SetReadDeadline(at time.Time) error {
	r.deadline = at
	r.set++
	return nil
}

func (r *trickle) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if r.there == 0 {
		if end := r.now.Add(r.takes); !r.deadline.IsZero() && end.After(r.deadline) {
			r.now = r.deadline
			return 0, fmt.Errorf("read: %w", os.ErrDeadlineExceeded)
		}
		r.pass(r.takes)
		r.there = min(r.bytes, r.left)
	}
	n := min(r.there, len(p))
	r.there -= n
	r.left -= n
	return n, nil
}

func TestPace(t *testing.T) {
	const second, minute, year = time.Second, time.Minute, 365 * 24 * time.Hour
	for _, c := range []struct {
		name  string
		bytes int
		takes time.Duration
		size  int
		want  error
	}{
		{"all at once", 1 << 30, 0, 3 << 20, nil},
		{"a slow start", 1 << 30, 29 * second, 10, nil},
		{"too slow a start", 1 << 30, 31 * second, 10, ErrStalled},
		{"just fast enough", 64 << 10, 30 * second, 3 << 20, nil},
		{"just too slow", 64<<10 - 1, 30 * second, 3 << 20, ErrStalled},
		{"just too slow, in pieces", 64<<10/30 - 1, second, 3 << 20, ErrStalled},
		{"fast enough, in pieces", 64<<10/30 + 2, second, 3 << 20, nil},
		{"a byte a second", 1, second, 60, ErrStalled},
		{"a byte a second, for half a minute", 1, second, 29, nil},
		{"nothing", 0, minute, 1, ErrStalled},
		{"nothing, ever", 0, year, 1, ErrStalled},
	} {
		for _, with := range []string{"deadlines", "none", "some that fail"} {
			r := &trickle{clock: &clock{time.Unix(1e9, 0)}, bytes: c.bytes, takes: c.takes, left: c.size}
			s := testSpool(t)
			s.Pace = r.pace()
			u := Upload{Limit: 1 << 30, Client: testClient}
			switch with {
			case "deadlines":
				u.Deadline = r.SetReadDeadline
			case "some that fail":
				u.Deadline = func(time.Time) error { return http.ErrNotSupported }
			}
			b, _ := received(r, -1)
			if err := b.Spool(t.Context(), s, u); err != c.want {
				t.Errorf("%s, deadlines: %s: %v", c.name, with, err)
			}
			if with == "deadlines" && r.deadline.IsZero() != (c.want == nil) {
				t.Errorf("%s: the deadline is left at %v", c.name, r.deadline)
			}
			if r.set > c.size/(64<<10)+3 {
				t.Errorf("%s: %d deadlines are set", c.name, r.set)
			}
			b.End()
		}
	}
}

// servers are a handler's own over each version of HTTP: its address, and a
// client that speaks no other.
func servers(t *testing.T, handler http.Handler) map[string]func() (string, *http.Client) {
	return map[string]func() (string, *http.Client){
		"HTTP/1": func() (string, *http.Client) {
			s := httptest.NewServer(handler)
			t.Cleanup(s.Close)
			return s.URL, s.Client()
		},
		"HTTP/2": func() (string, *http.Client) {
			s := httptest.NewUnstartedServer(handler)
			s.EnableHTTP2 = true
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL, s.Client()
		},
		"HTTP/3": func() (string, *http.Client) {
			certified := httptest.NewUnstartedServer(handler)
			certified.StartTLS()
			t.Cleanup(certified.Close)
			l, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: certified.TLS.Certificates})}
			served := make(chan error)
			go func() { served <- s.Serve(l) }()
			roots := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
			t.Cleanup(func() {
				_ = transport.Close()
				_ = s.Close()
				<-served
				_ = l.Close()
			})
			return "https://" + l.LocalAddr().String(), &http.Client{Transport: transport}
		},
	}
}

// TestStalledClients: over each version of HTTP a client that stops is answered,
// and one that takes its time is not; afterwards no deadline is left.
func TestStalledClients(t *testing.T) {
	stalled, late := testSpool(t), testSpool(t)
	stalled.Pace = Pace{Bytes: 1, Period: 500 * time.Millisecond}
	late.Pace = Pace{Bytes: 1, Period: 5 * time.Second} // for an honest client of a busy machine
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := stalled
		if r.URL.Path == "/late" {
			s = late
		}
		u := Upload{Limit: 1 << 30, Client: testClient, Deadline: http.NewResponseController(w).SetReadDeadline}
		b := Open(r, new(Body), nil)
		err := b.Spool(r.Context(), s, u)
		switch {
		case errors.Is(err, ErrStalled):
			b.Discard(r)
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close")
			}
			w.WriteHeader(http.StatusRequestTimeout)
			return
		case err != nil:
			t.Error(err)
		}
		if s == late {
			time.Sleep(2 * s.Pace.Period) // longer than the deadline was
			if r.Context().Err() != nil {
				t.Error("the request ended when its deadline passed")
			}
		}
		b.Pass(r)
		_, _ = io.Copy(w, r.Body)
	}) // and leaves it to the request to end the body
	for version, start := range servers(t, handler) {
		url, client := start()
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{0, 10, 2 * MemoryLimit} {
				out, in := io.Pipe()
				go func() { _, _ = in.Write(make([]byte, size)) }() // and never ends
				answer, err := client.Post(url, "multipart/form-data; boundary=x", out)
				if err != nil {
					t.Fatalf("%d bytes and no more: %v", size, err)
				}
				if answer.StatusCode != http.StatusRequestTimeout {
					t.Errorf("%d bytes and no more: %s", size, answer.Status)
				}
				_ = answer.Body.Close()
				_ = in.Close()
			}
			for _, size := range []int{10, 2 * MemoryLimit} {
				text := randomText(size)
				answer, err := client.Post(url+"/late", "multipart/form-data; boundary=x", bytes.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(answer.Body); !bytes.Equal(got, text) || err != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				_ = answer.Body.Close()
			}
			for stalled.Used() > 0 || late.Used() > 0 {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

// TestGivenUp: of many uploads that are begun and given up nothing stays.
func TestGivenUp(t *testing.T) {
	s := testSpool(t)
	done := make(chan error)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := Open(r, new(Body), nil)
		done <- b.Spool(r.Context(), s, Upload{Limit: 1 << 30, Client: testClient, Deadline: http.NewResponseController(w).SetReadDeadline})
	}))
	defer server.Close()
	before := runtime.NumGoroutine()
	for range 30 {
		out, in := io.Pipe()
		go func() {
			_, _ = in.Write(make([]byte, 2*MemoryLimit))
			_ = in.CloseWithError(errors.New("given up"))
		}()
		if answer, err := http.Post(server.URL, "multipart/form-data; boundary=x", out); err == nil {
			t.Error(answer.Status)
		}
		if err := <-done; err != ErrBroken {
			t.Error(err)
		}
	}
	server.CloseClientConnections()
	for s.Used() > 0 || runtime.NumGoroutine() > before+2 {
		time.Sleep(time.Millisecond)
	}
}

// A body may be refused before it was sent; the server goes on.
func TestRefusedUnread(t *testing.T) {
	s := testSpool(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := Open(r, new(Body), nil)
		if err := b.Spool(r.Context(), s, Upload{Limit: 100, Client: testClient}); err != ErrTooLarge {
			t.Error(err)
		}
		b.Discard(r)
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer server.Close()
	answer, err := http.Post(server.URL, "multipart/form-data; boundary=x", strings.NewReader(strings.Repeat("x", 101)))
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Error(answer.Status)
	}
	_ = answer.Body.Close()
}
