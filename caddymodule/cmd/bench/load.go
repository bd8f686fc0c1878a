package main

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// result is what one round of one variant has shown.
type result struct {
	rate     float64 // requests a second
	cpu      float64 // of the gateway, in microseconds a request
	p50, p99 float64 // milliseconds
	peak     float64 // of the gateway's memory, in megabytes
}

// load sends one body through one variant for that long.
func (g *gateway) load(v variant, b body, duration time.Duration) (result, error) {
	text := b.signed
	if !v.signed {
		text = b.unsigned
	}
	_, rest, _ := strings.Cut(b.signed, `"user_hash":"`)
	request := []byte(fmt.Sprintf("POST /chat HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
		g.ports[v.name], len(text), strings.Replace(v.headers, "HASH", rest[:64], 1), text))

	var clients [connections]client
	for i := range clients {
		if err := clients[i].dial(g.ports[v.name]); err != nil {
			return result{}, err
		}
		defer clients[i].conn.Close()
	}
	if err := g.forgetPeak(); err != nil {
		return result{}, err
	}
	before, err := g.cpu()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() { clients[i].send(request, began.Add(duration)) })
	}
	group.Wait()
	took := time.Since(began)
	after, err := g.cpu()
	if err != nil {
		return result{}, err
	}
	peak, err := g.peak()
	if err != nil {
		return result{}, err
	}
	var all []time.Duration
	for i := range clients {
		if clients[i].err != nil {
			return result{}, clients[i].err
		}
		all = append(all, clients[i].times...)
	}
	slices.Sort(all)
	n := float64(len(all))
	return result{
		rate: n / took.Seconds(),
		cpu:  float64((after - before).Nanoseconds()) / 1000 / n,
		p50:  all[len(all)/2].Seconds() * 1000,
		p99:  all[len(all)*99/100].Seconds() * 1000,
		peak: float64(peak) / (1 << 20),
	}, nil
}

// client sends one request after the other over one connection.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	times []time.Duration
	err   error
}

func (c *client) dial(port int) (err error) {
	c.conn, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		c.in = bufio.NewReaderSize(c.conn, 4<<10)
	}
	return err
}

func (c *client) send(request []byte, until time.Time) {
	for {
		began := time.Now()
		if began.After(until) {
			return
		}
		if _, c.err = c.conn.Write(request); c.err != nil {
			return
		}
		length, status, err := readHead(c.in)
		if err == nil && status != "HTTP/1.1 200 OK" {
			err = fmt.Errorf("answered %s", status)
		}
		if err == nil {
			_, err = c.in.Discard(length)
		}
		if err != nil {
			c.err = err
			return
		}
		c.times = append(c.times, time.Since(began))
	}
}

func median(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}
