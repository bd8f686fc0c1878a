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

// turn is the result of one variant in one round.
type turn struct {
	rate     float64 // requests a second
	cpu      float64 // of the gateway, in microseconds a request
	p50, p99 float64 // milliseconds
}

// clients send one body to one variant. Their connections last for all rounds, so
// that opening them is not measured.
type clients struct {
	g       *gateway
	v       *variant
	request string
	all     []client
}

// distinctRequests is how many requests of their own a client has in a turn, after which
// its turn ends.
const distinctRequests = 32

// client sends requests over one connection, one after another.
type client struct {
	conn     net.Conn
	in       *bufio.Reader
	requests [][]byte // sent in turn
	next     int      // which of them
	times    []time.Duration
	err      error
}

func (g *gateway) dial(v *variant, b body) (*clients, error) {
	text := b.signed
	switch {
	case v.unsigned:
		text = b.unsigned
	case v.tokens != nil:
		text = b.unclaimed
	}
	head := fmt.Sprintf("POST /chat HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n",
		g.address[v], b.media, len(text), v.headers)
	if _, rest, ok := strings.Cut(b.signed, `"user_hash":"`); ok {
		head = strings.Replace(head, "HASH", rest[:64], 1)
	}
	c := &clients{g: g, v: v, request: head + text, all: make([]client, b.clients)}
	for i := range c.all {
		conn, err := net.Dial("tcp", g.address[v])
		if err != nil {
			c.close()
			return nil, err
		}
		c.all[i].conn, c.all[i].in = conn, bufio.NewReaderSize(conn, 4<<10)
	}
	c.prepare()
	return c, nil
}

// prepare writes the requests of a turn.
func (c *clients) prepare() {
	texts := []string{c.request}
	if c.v.tokens != nil {
		n := 1
		if c.v.distinct {
			n = distinctRequests * len(c.all)
		}
		texts = texts[:0]
		for _, token := range c.v.tokens(n) {
			texts = append(texts, strings.Replace(c.request, "TOKEN", token, 1))
		}
	}
	if c.v.users > 0 {
		texts = texts[:0]
		for i := range c.v.users {
			id := fmt.Sprintf("u%0*d", len(user)-1, i)
			texts = append(texts, strings.NewReplacer(user, id, fmt.Sprintf("%x", sign(user)), fmt.Sprintf("%x", sign(id))).Replace(c.request))
		}
	}
	requests := make([][]byte, len(texts))
	for i, text := range texts {
		requests[i] = []byte(text)
	}
	for i := range c.all {
		of := &c.all[i]
		switch of.requests = requests; {
		case c.v.distinct:
			of.requests = requests[i*distinctRequests:][:distinctRequests]
		case c.v.users > 0:
			of.requests = requests[i*len(requests)/len(c.all) : (i+1)*len(requests)/len(c.all)]
		}
	}
}

func (c *clients) close() {
	for i := range c.all {
		if conn := c.all[i].conn; conn != nil {
			conn.Close()
		}
	}
}

// load has all clients send for a duration, each at least one request.
func (c *clients) load(duration time.Duration) (turn, error) { return c.loadAll(duration, 1) }

// warm has all clients send for a duration, and each of the requests at least once.
func (c *clients) warm(duration time.Duration) (turn, error) {
	return c.loadAll(duration, len(c.all[0].requests)+1)
}

func (c *clients) loadAll(duration time.Duration, least int) (turn, error) {
	if c.v.distinct {
		c.prepare()
	}
	before, err := c.g.cpu()
	if err != nil {
		return turn{}, err
	}
	began := time.Now()
	var group sync.WaitGroup
	for i := range c.all {
		group.Go(func() { c.all[i].send(began.Add(duration), least, c.v.distinct) })
	}
	group.Wait()
	took := time.Since(began)
	after, err := c.g.cpu()
	if err != nil {
		return turn{}, err
	}
	var times []time.Duration
	for i := range c.all {
		if c.all[i].err != nil {
			return turn{}, c.all[i].err
		}
		times = append(times, c.all[i].times...)
	}
	slices.Sort(times)
	n := float64(len(times))
	return turn{
		rate: n / took.Seconds(),
		cpu:  float64((after - before).Nanoseconds()) / 1000 / n,
		p50:  times[len(times)/2].Seconds() * 1000,
		p99:  times[len(times)*99/100].Seconds() * 1000,
	}, nil
}

func (c *client) send(until time.Time, least int, once bool) {
	c.times = c.times[:0]
	for began := time.Now(); len(c.times) < least || began.Before(until); began = time.Now() {
		if once && len(c.times) == len(c.requests) {
			return
		}
		if c.err = c.exchange(c.requests[c.next%len(c.requests)]); c.err != nil {
			return
		}
		c.next++
		c.times = append(c.times, time.Since(began))
	}
}

func (c *client) exchange(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	length, status, err := readHead(c.in)
	if err != nil {
		return err
	}
	if status != "HTTP/1.1 200 OK" {
		return fmt.Errorf("answered %s", status)
	}
	_, err = c.in.Discard(length)
	return err
}
