package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// TestBodiesDoNotMix: memory that bodies are read into is used again, while
// upstreams answer early, read on after that, or hang up and are tried again.
// None of them ever gets a byte of another client's body.
func TestBodiesDoNotMix(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rude := &rudeUpstream{t: t, Listener: l}
	rude.Go(rude.accept)
	t.Cleanup(rude.stop)
	g := start(t, "", fmt.Sprintf("chat_identity optional {\nsecret {env.TEST_SECRET}\n}\n"+
		"reverse_proxy %[1]s %[1]s {\nlb_retries 1\nlb_try_interval 1ms\nlb_retry_match method POST\n}", l.Addr()))
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			for i := range 12 {
				tag := fmt.Sprintf("%02d-%03d.", c, i)
				size := []int{10, 300, 5000, 70_000, 300_000}[rand.IntN(5)]
				body := fmt.Sprintf(`{"user_id":"%[1]s","user_hash":"%[2]s","text":"%[3]s"}`, tag, sign(tag), strings.Repeat(tag, size/len(tag)))
				if i%3 == 0 { // to be cut
					body = strings.Replace(body, `user_hash":"`, `user_hash":"0`, 1)
				}
				r, err := http.NewRequest("POST", g.url+"/"+tag, strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					r.Body = io.NopCloser(io.MultiReader(r.Body)) // of unknown length
					r.ContentLength = -1
				}
				r.Header.Set("Content-Type", "application/json")
				if a, err := http.DefaultClient.Do(r); err == nil { // an upstream that hangs up is no fault here
					_, _ = io.Copy(io.Discard, a.Body)
					_ = a.Body.Close()
				}
			}
		})
	}
	clients.Wait()
	rude.mu.Lock()
	defer rude.mu.Unlock()
	if rude.whole == 0 || rude.early == 0 || rude.hungUp == 0 {
		t.Errorf("%d bodies were read whole, %d after the answer, %d not to the end", rude.whole, rude.early, rude.hungUp)
	}
}

// rudeUpstream answers when it likes, and looks at all that it is sent.
type rudeUpstream struct {
	net.Listener
	sync.WaitGroup
	t                    *testing.T
	mu                   sync.Mutex
	open                 []net.Conn
	whole, early, hungUp int
}

func (u *rudeUpstream) accept() {
	for {
		c, err := u.Accept()
		if err != nil {
			return
		}
		u.mu.Lock()
		u.open = append(u.open, c)
		u.mu.Unlock()
		u.Go(func() {
			defer c.Close()
			in := bufio.NewReader(c)
			for u.serve(c, in) {
			}
		})
	}
}

func (u *rudeUpstream) stop() {
	_ = u.Close()
	u.mu.Lock()
	for _, c := range u.open {
		_ = c.Close() // a proxy keeps them for minutes
	}
	u.mu.Unlock()
	u.Wait()
}

// serve answers one request, and reports whether the connection is still good.
func (u *rudeUpstream) serve(c net.Conn, in *bufio.Reader) bool {
	r, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	how := rand.IntN(8)
	body := io.Reader(r.Body)
	switch how {
	case 0: // hangs up in the middle
		body = io.LimitReader(body, int64(rand.IntN(100_000)))
	case 1: // answers early
		_, _ = io.WriteString(c, answer)
	}
	text, err := io.ReadAll(body)
	u.inspect(strings.TrimPrefix(r.URL.Path, "/"), text)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch how {
	case 0:
		u.hungUp++
		return false
	case 1:
		u.early++
		return err == nil
	}
	if err == nil {
		u.whole++
		_, err = io.WriteString(c, answer)
	}
	return err == nil
}

var tags = regexp.MustCompile(`[0-9]{2}-[0-9]{3}\.`)

// inspect looks for another request's tag.
func (u *rudeUpstream) inspect(tag string, body []byte) {
	for _, found := range tags.FindAll(body, -1) {
		if string(found) != tag {
			u.t.Errorf("the body of %s has a piece of %s", tag, found)
			return
		}
	}
}

// TestRetrySendsNoRest: an upstream that hangs up in the middle of a body leaves
// a rest, which the next must not take for a whole one.
func TestRetrySendsNoRest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bodies := make(chan string, 100)
	var upstream sync.WaitGroup
	upstream.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				if n%2 == 0 {
					_, _ = io.CopyN(io.Discard, r.Body, 100_000)
				} else if text, err := io.ReadAll(r.Body); err == nil {
					bodies <- string(text)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				}
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		upstream.Wait()
	})
	g := start(t, "", fmt.Sprintf("chat_identity required {\nsecret {env.TEST_SECRET}\n}\n"+
		"reverse_proxy %[1]s %[1]s {\nlb_retries 1\nlb_try_interval 50ms\nlb_retry_match method POST\n}", l.Addr()))
	body := strings.TrimSuffix(claim("zoe"), "}") + `,"more":"` + strings.Repeat("more ", 100_000) + `"}`
	for range 5 {
		r, err := http.NewRequest("POST", g.url, io.MultiReader(strings.NewReader(body))) // of unknown length
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if a, err := http.DefaultClient.Do(r); err == nil {
			_ = a.Body.Close()
		}
	}
	close(bodies)
	for text := range bodies {
		if text != body {
			t.Errorf("an upstream got %d bytes as a whole body of %d: %.40q", len(text), len(body), text)
		}
	}
}

// Whoever reads a body after its request has ended gets an error.
func TestBufferedBodyEnds(t *testing.T) {
	var b bufferedBody
	hold := func(text string) {
		memory := newBodyBlock(len(text))
		b.hold(append(memory.room, text...), memory)
	}
	p := make([]byte, 4)
	hold("a body")
	if _, err := b.Read(p); err != nil || string(p) != "a bo" {
		t.Fatalf("%q, %v", p, err)
	}
	if _ = b.end(nil); b.memory == nil {
		t.Error("a body that somebody is still reading has lost its memory")
	}
	if err := b.end(io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the error became %v", err)
	}
	if rest, err := io.ReadAll(&b); string(rest) != "dy" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	if _ = b.end(io.EOF); b.memory == nil {
		t.Error("a body that error routes may want has lost its memory")
	}
	_ = b.end(nil)
	if b.memory != nil {
		t.Error("the memory of a body that was read is kept")
	}
	if n, err := b.Read(p); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := io.Copy(io.Discard, &b); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("%d, %v", n, err)
	}

	hold("one that is closed in the middle")
	if _, err := b.Read(p); err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if n, err := b.Read(p); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("the rest of a closed body is read: %d, %v", n, err)
	}

	hold("another")
	_ = b.Close()
	room := make([]byte, 10)
	if n, err := b.Read(room); string(room[:n]) != "another" || err != nil {
		t.Errorf("an attempt that read nothing and closed left %q to the next, %v", room[:n], err)
	}
	hold("a third")
	_ = b.Close()
	b.mu.Lock() // as somebody who reads does
	_ = b.end(nil)
	b.mu.Unlock()
	if b.memory == nil {
		t.Error("the memory was taken from somebody who is reading it")
	}
}

// Bodies get the memory that they need, and none gets a piece of another's.
func TestBodyBlocks(t *testing.T) {
	for _, size := range []int{0, 1, 1024, 1536, 1537, 64 << 10, 64<<10 + 1, 1 << 20, 1<<20 + 512, 1<<20 + 513, 3 << 20} {
		a, b := newBodyBlock(size), newBodyBlock(size)
		if len(a.room) != 0 || cap(a.room) < size || cap(a.room) > max(2*size, 4<<10) {
			t.Errorf("%d bytes: a block of %d", size, cap(a.room))
		}
		if size > 0 && &a.room[:1][0] == &b.room[:1][0] {
			t.Errorf("%d bytes: one block for two", size)
		}
		a.free()
		b.free()
	}
}
