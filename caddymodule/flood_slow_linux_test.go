//go:build slow

package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// TestSlowFlood: bodies that repeat a watched name hundreds of thousands of times, or
// its escapes, cost the gateway hardly more memory than the bodies themselves.
func TestSlowFlood(t *testing.T) {
	t.Parallel()
	const limit = 200 << 20
	p := newProcess(t, "", "chat_identity optional {\nsecret {env.TEST_SECRET}\ndialect replybubble\n}\nreverse_proxy UPSTREAM")
	p.binary = filepath.Join(t.TempDir(), "caddy")
	testbed.Build(t, p.binary, "./caddymodule/cmd/caddy", "-race=false") // as users do: the race detector takes several times as much memory
	p.run(t)
	fill := func(head, unit, tail string) []byte {
		return []byte(head + strings.Repeat(unit, (1<<20-len(head)-len(tail))/len(unit)) + tail)
	}
	const part = "--b\r\nContent-Disposition: form-data; name=id\r\n\r\n\r\n"
	for _, flood := range []struct {
		name, kind string
		body       []byte
	}{
		{"form", "application/x-www-form-urlencoded", fill("", "id&", "")},
		{"form of escapes", "application/x-www-form-urlencoded", fill("id=", "%41", "")},
		{"multipart", "multipart/form-data; boundary=b", fill("", part, "--b--\r\n")},
		{"JSON", "application/json", fill("{", `"id":1,"a":1,`, `"a":1}`)},
		{"JSON of escapes", "application/json", fill(`{"id":"`, `\n`, `"}`)},
	} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0o600); err != nil {
			t.Fatal(err) // 5 has the kernel begin anew to note the peak
		}
		// All but the last byte of each is sent before the end of the first.
		var clients, ready sync.WaitGroup
		ready.Add(48 * 2)
		for range 48 * 2 {
			clients.Go(func() {
				arrive := sync.OnceFunc(ready.Done)
				defer arrive()
				last := len(flood.body) - 1
				body := io.MultiReader(bytes.NewReader(flood.body[:last]), waiting{arrive, &ready}, bytes.NewReader(flood.body[last:]))
				r, err := http.NewRequest(http.MethodPost, p.url, body)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Content-Type", flood.kind)
				r.ContentLength = int64(len(flood.body))
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer answer.Body.Close()
				if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusBadRequest {
					t.Errorf("%s: %d, %v", flood.name, answer.StatusCode, err)
				}
			})
		}
		clients.Wait()
		peak := p.peak(t)
		t.Logf("%s: %d MB", flood.name, peak>>20)
		if peak > limit {
			t.Errorf("%s: the gateway takes %d MB, want at most %d", flood.name, peak>>20, limit>>20)
		}
	}
}

// waiting is an empty reader that blocks until all have arrived.
type waiting struct {
	arrive func()
	all    *sync.WaitGroup
}

func (w waiting) Read([]byte) (int, error) {
	w.arrive()
	w.all.Wait()
	return 0, io.EOF
}

// peak returns the most memory that the process has had, in bytes (proc_pid_status(5)).
func (p *process) peak(t testing.TB) int {
	t.Helper()
	status := read(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(after)[0])
	must(t, err)
	return kilobytes << 10
}
