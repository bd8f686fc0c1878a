package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkStreams opens streams of one widget over HTTP/1.1 at a gateway in a process of its
// own, and measures from the moment that a rotation begins until every client has seen the end
// of its stream. An event stream's upstream speaks HTTP/2, so that a process need not have
// more files open than it may.
func BenchmarkStreams(b *testing.B) {
	const count = 5_000 // of each kind
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	u := newUnstartedStreamUpstream(b)
	u.Config.Protocols = protocols
	u.Start()
	address := strings.TrimPrefix(u.URL, "http://")
	p := newProcess(b, "encryption_key {env.TEST_KEY}", "chat_identity required {\nwidget {query.widget}\n}\n"+
		"handle /ws {\nreverse_proxy "+address+"\n}\nreverse_proxy h2c://"+address)
	p.run(b)
	secret := p.create(b, `{"id":"shop"}`)
	for b.Loop() {
		b.StopTimer()
		readers := make([]io.ReadCloser, 2*count)
		openers := make(chan int)
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() {
				for i := range openers {
					path, headers := "/events", ""
					if i < count {
						path, headers = "/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
					}
					c, err := net.Dial("tcp", p.host())
					if err != nil {
						b.Error(err)
						continue
					}
					_, _ = fmt.Fprintf(c, "GET %s?widget=shop&user_id=alice&user_hash=%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, signWith(secret, "alice"), p.host(), headers)
					response, err := http.ReadResponse(bufio.NewReaderSize(c, 1<<10), nil)
					if err != nil || response.StatusCode != 101 && response.StatusCode != 200 {
						b.Errorf("%v %+v", err, response)
					}
					readers[i] = c
				}
			})
		}
		for i := range readers {
			openers <- i
		}
		close(openers)
		group.Wait()
		if open := p.scrape(b)["streams_open{}"]; open != 2*count {
			b.Fatalf("%v streams are open", open)
		}
		var mu sync.Mutex
		var last time.Time
		for _, c := range readers {
			group.Go(func() {
				_, _ = c.Read(make([]byte, 1))
				mu.Lock()
				defer mu.Unlock()
				last = time.Now()
			})
		}
		time.Sleep(time.Second) // until all of them read
		b.StartTimer()
		began, spent := time.Now(), cpu(b, p.cmd.Process.Pid)
		secret = p.rotate(b, "shop", "")
		answered := time.Since(began)
		group.Wait()
		b.StopTimer()
		b.ReportMetric(last.Sub(began).Seconds(), "s/10000-streams")
		b.ReportMetric(cpu(b, p.cmd.Process.Pid)-spent, "gateway-cpu-s")
		b.ReportMetric(answered.Seconds(), "s/rotation")
		for _, c := range readers {
			_ = c.Close()
		}
		eventually(b, "streams are left", func() bool { return p.scrape(b)["streams_open{}"] == 0 && u.open.Load() == 0 })
		b.StartTimer()
	}
}

// cpu returns how many seconds of CPU a process has used, in hundredths.
func cpu(b *testing.B, pid int) float64 {
	var user, system float64
	fields := strings.Fields(string(read(b, fmt.Sprintf("/proc/%d/stat", pid))))
	_, err := fmt.Sscan(fields[13]+" "+fields[14], &user, &system)
	must(b, err)
	return (user + system) / 100
}
