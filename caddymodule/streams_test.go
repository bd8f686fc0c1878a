package caddymodule

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/streams"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// streamWatch is a registry of the test's own, with a clock that it moves.
type streamWatch struct {
	began time.Time
	ahead atomic.Int64
	asked atomic.Int64 // about proofs
}

func watchStreams(t *testing.T) *streamWatch {
	t.Helper()
	s, before := &streamWatch{began: time.Now()}, openStreams
	openStreams = newStreams(func(p streamProof) bool {
		defer s.asked.Add(1)
		return retired(p)
	}, func() time.Time { return s.began.Add(time.Duration(s.ahead.Load())) })
	t.Cleanup(func() { openStreams = before })
	return s
}

// pass moves the clock to a time after the test began.
func (s *streamWatch) pass(t *testing.T, to time.Duration) {
	t.Helper()
	s.ahead.Store(int64(to))
	s.looked(t)
}

// looked returns when all streams were looked at since, at least once, or none is open.
func (s *streamWatch) looked(t *testing.T) {
	t.Helper()
	since, count := s.asked.Load(), int64(openStreams.Count())
	eventually(t, "nobody looks at the streams", func() bool { return s.asked.Load() > since+3*count || openStreams.Count() == 0 })
}

// isClosed waits until the other side has closed the connection.
func (c *conn) isClosed(t *testing.T, title string) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c.in); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the stream is open", title)
	}
}

// opens opens a WebSocket.
func (g *gateway) opens(t *testing.T, target string, headers ...string) *conn {
	t.Helper()
	c, response := g.upgrade(t, target, "websocket", headers...)
	equal(t, response.StatusCode, http.StatusSwitchingProtocols, "upgrade %s", target)
	return c
}

// TestStreamLimits: a stream ends 30 seconds after the token that proved it, or after
// stream_lifetime. One that a signature proved has no end, and one that is nobody's neither.
func TestStreamLimits(t *testing.T) {
	s, u, file := watchStreams(t), websocketBackend(t), filepath.Join(t.TempDir(), "caddy.log")
	const site = "\nsecret {env.TEST_SECRET}\nclaim token query token\n"
	g := newGateway(t, fmt.Sprintf("127.0.0.1:%d", freePort(t)), "log {\noutput file "+file+"\nformat json\nlevel INFO\n}",
		"chat_identity /short {"+site+"stream_lifetime 10m\n}\nchat_identity {"+site+"}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	load(t, g.config)
	before := g.scrape(t)
	token := func(lifetime time.Duration) string {
		return "token=" + jwt(testSecret, fmt.Sprintf(`{"sub":"alice","exp":%d}`, time.Now().Add(lifetime).Unix()))
	}
	signed, hour, minutes := signedQuery("alice"), token(time.Hour), token(5*time.Minute)
	endless, anonymous := g.opens(t, "/?"+signed), g.opens(t, "/short")
	for _, c := range []struct {
		query     string
		open, end time.Duration
		reason    string
	}{
		{"/short?" + minutes, 5*time.Minute + 28*time.Second, 5*time.Minute + 30*time.Second, "expired"},
		{"/short?" + signed, 10*time.Minute - time.Second, 10 * time.Minute, "lifetime"},
		{"/short?" + hour, 10*time.Minute - time.Second, 10 * time.Minute, "lifetime"},
		{"/?" + hour, time.Hour + 28*time.Second, time.Hour + 30*time.Second, "expired"},
	} {
		s.ahead.Store(0)
		stream := g.opens(t, c.query)
		s.pass(t, c.open)
		stream.echoes(t, c.query)
		s.pass(t, c.end+patience) // the test may be as late with opening it
		stream.isClosed(t, c.query)
		eventually(t, "no line in the log", func() bool {
			text := strings.TrimSpace(string(read(t, file)))
			last := text[strings.LastIndexByte(text, '\n')+1:]
			return strings.Contains(last, `"msg":"stream ended"`) && strings.Contains(last, `"reason":"`+c.reason+`"`) && strings.Contains(last, ourLogger) &&
				strings.Contains(last, `"level":"info"`) && strings.Contains(last, `"widget":"default"`) && strings.Contains(last, `"request_id":"`)
		})
	}
	s.pass(t, 10_000*time.Hour)
	endless.echoes(t, "without an end")
	anonymous.echoes(t, "nobody's")
	after := g.scrape(t)
	equal(t, after["streams_open{}"], 1, "streams_open")
	for _, path := range []string{"stats", "overview"} {
		contains(t, g.call(t, "GET", path, "").body, `"open_streams":1`)
	}
	for reason, want := range map[string]float64{"rotated": 0, "expired": 2, "lifetime": 2} {
		name := `streams_ended_total{reason="` + reason + `"}`
		if _, there := before[name]; !there {
			t.Errorf("%s is not there before the first", name)
		}
		equal(t, after[name], want, "%s", name)
	}
	text := string(read(t, file))
	equal(t, strings.Count(text, "stream ended"), 4, "lines in the log")
	for _, hidden := range []string{testSecret, sign("alice"), hour[6:], minutes[6:]} {
		if strings.Contains(text, hidden) {
			t.Errorf("the log has %s", hidden)
		}
	}
}

// TestStreamsInGrace: a stream ends with the grace of the secret that proved it, and stays
// through a change of mode, and one that the current secret proved through a rotation in grace.
func TestStreamsInGrace(t *testing.T) {
	s, u := watchStreams(t), websocketBackend(t)
	g := newLive(t, "", "chat_identity optional {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	load(t, g.config)
	open := func(secret string) *conn {
		t.Helper()
		return g.opens(t, "/?user_id=alice&user_hash="+signWith(secret, "alice"), "X-Widget-Key: shop")
	}
	first := g.create(t, `{"id":"shop"}`)
	old := open(first)
	current := open(g.rotate(t, "shop", `{"grace":"2s"}`))
	for _, mode := range []string{"required", "off", "optional"} {
		equal(t, g.call(t, "PATCH", "widgets/shop", `{"mode":"`+mode+`"}`).status, 200, "mode %s", mode)
		s.looked(t)
		current.echoes(t, mode)
	}
	old.isClosed(t, "after its grace")
	current.echoes(t, "after another's grace")

	newest := open(g.rotate(t, "shop", `{"grace":"1h"}`))
	s.looked(t)
	current.echoes(t, "in grace")
	equal(t, g.call(t, "POST", "widgets/shop/rotate", `{"end_grace":true}`).status, 200, "end_grace")
	current.isClosed(t, "after end_grace")
	newest.echoes(t, "after end_grace")

	must(t, active(t).store.Update(t.Context(), []string{"shop"}, func(_ string, r *widgets.Record) (*widgets.Record, error) {
		next := *r
		next.Dialect = "nextcap"
		return &next, nil
	}))
	s.looked(t)
	newest.echoes(t, "in another dialect")
	equal(t, g.call(t, "DELETE", "widgets/shop", "").status, 204, "deleted")
	newest.isClosed(t, "deleted")
	// The same id and secret are another widget's.
	again := open(g.create(t, `{"id":"shop","secret":"`+first+`"}`))
	s.looked(t)
	again.echoes(t, "created again")
}

// TestStreamsOfInlineSecrets: the reload that removes what proved a stream ends it, and no
// other reload does.
func TestStreamsOfInlineSecrets(t *testing.T) {
	const one, two, other = "the-first-of-the-secrets", "the-second-of-the-secrets", "the-secret-of-somebody-else"
	u := websocketBackend(t)
	first, second := newPair(t, "ES256", "a"), newPair(t, "ES256", "a")
	folder := t.TempDir()
	const token = "\nclaim token query token\ntoken {\nalgorithm ES256\nrequire /iss https://shop.example\nrequire /aud chat\n}\n"
	set := func(p *pair) string {
		path := filepath.Join(folder, fmt.Sprintf("%p.json", p))
		must(t, os.WriteFile(path, jwksOf(t, p), 0o600))
		return "jwks " + path + token
	}
	for _, c := range []struct {
		name           string
		global, site   string // that prove
		again, without string // configurations with what proved, and without
		globally       bool
		by             *pair
	}{
		{name: "a handler's", site: "secret " + one, again: "secret " + two + " " + one, without: "secret " + two},
		{name: "a named handler's", site: "widget shop\nsecret " + one, again: "widget shop\nsecret " + one + "\nmax_body 2MiB", without: "widget shop\nsecret " + two},
		{name: "under another name", site: "widget shop\nsecret " + one, again: "widget shop\nsecret " + one + " " + two, without: "widget support\nsecret " + one},
		{name: "an inline widget's", globally: true, site: "widget shop\nsecret " + one, again: "widget shop\nsecret " + other + " " + one, without: "widget shop\nsecret " + other},
		{name: "an inline widget's, gone", globally: true, site: "widget shop\nsecret " + one, again: "widget shop\nsecret " + one + " " + two, without: "widget support\nsecret " + one},
		{name: "a public key", site: "public_key FIRST" + token, again: "public_key SECOND FIRST" + token, without: "public_key SECOND" + token, by: first},
		{name: "a key set of other keys by the same kid", site: set(first), again: set(first) + "max_body 2MiB\n", without: set(second), by: first},
		{name: "no chat_identity at all", site: "secret " + one, again: "secret " + one + "\nmax_body 2MiB"},
	} {
		s := watchStreams(t)
		must(t, os.WriteFile(filepath.Join(folder, "first.pem"), []byte(first.pem(t)), 0o600))
		must(t, os.WriteFile(filepath.Join(folder, "second.pem"), []byte(second.pem(t)), 0o600))
		pems := strings.NewReplacer("FIRST", "{file."+folder+"/first.pem}", "SECOND", "{file."+folder+"/second.pem}")
		proxy := "\nreverse_proxy " + strings.TrimPrefix(u.URL, "http://") + " {\nstream_close_delay 1h\n}"
		base := newGateway(t, "off", "GLOBAL", "SITE"+proxy)
		config := func(options string) string {
			if options == "" {
				return strings.NewReplacer("GLOBAL", "", "SITE", "").Replace(base.config)
			}
			options = pems.Replace(options)
			if !c.globally {
				return strings.NewReplacer("GLOBAL", "", "SITE", "chat_identity required {\n"+options+"\n}").Replace(base.config)
			}
			widget, secret, _ := strings.Cut(options, "\n")
			return strings.NewReplacer("GLOBAL", "\nchat_identity {\n"+widget+" {\n"+secret+"\n}\n}",
				"SITE", "chat_identity required {\nwidget {query.w}\n}").Replace(base.config)
		}
		load(t, config(c.site))
		query := "/?w=shop&user_id=alice&user_hash=" + signWith(one, "alice")
		if c.by != nil {
			query = "/?token=" + c.by.token(t)
		}
		stream := base.opens(t, query)
		load(t, config(c.again))
		s.looked(t)
		stream.echoes(t, c.name+", still there")
		load(t, config(c.without))
		stream.isClosed(t, c.name)
		eventually(t, c.name+": the stream counts as open", func() bool { return openStreams.Count() == 0 })
		equal(t, openStreams.Ended(streams.Rotated), 1, "%s: ended", c.name)
	}
}

// TestStreamsOfAKeySet: a key that leaves its set ends the streams that it has proved, and a
// set that cannot be read ends none.
func TestStreamsOfAKeySet(t *testing.T) {
	s, u := watchStreams(t), websocketBackend(t)
	first, second := newPair(t, "ES256", "1"), newPair(t, "ES256", "2")
	source := newKeySource(t, first, second)
	g := start(t, "", "chat_identity required {\njwks "+source.URL+"\nclaim token query token"+bound+"\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	leaves, stays := g.opens(t, "/?token="+first.token(t)), g.opens(t, "/?token="+second.token(t))
	read := func() {
		set, err := active(t).sets.Open(source.URL)
		must(t, err)
		_ = set.Update()
		s.looked(t)
	}
	source.fails()
	read()
	leaves.echoes(t, "while the set cannot be read")
	source.holds(t, second)
	read()
	leaves.isClosed(t, "of a key that has left the set")
	stays.echoes(t, "of a key in the set")
}

// TestStreamsThroughReloads holds what docs/operations.md says: a reload closes WebSockets
// unless reverse_proxy has stream_close_delay, and event streams go on.
func TestStreamsThroughReloads(t *testing.T) {
	for _, delay := range []string{"", "{\nstream_close_delay 1h\n}"} {
		s, u := watchStreams(t), websocketBackend(t)
		g := newLive(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://")+" "+delay)
		load(t, g.config)
		secret := g.create(t, `{"id":"shop"}`)
		c := g.opens(t, "/ws?user_id=alice&user_hash="+signWith(secret, "alice"), "X-Widget-Key: shop")
		load(t, strings.Replace(g.config, "chat_identity required {", "header X-Reloaded yes\nchat_identity required {", 1))
		if delay == "" {
			if rest, err := io.ReadAll(c.in); err != nil || len(rest) == 0 || rest[0] != 0x88 {
				t.Errorf("after a reload there is no frame that closes the WebSocket: %x, %v", rest, err)
			}
			continue
		}
		s.looked(t)
		c.echoes(t, "after a reload, "+delay)
		g.rotate(t, "shop", "")
		c.isClosed(t, "rotated, in the time that stream_close_delay leaves")
	}
}

// TestStreamsOfSessions: a stream that a session has proved ends 30 seconds after the session,
// and with the secret that proved the claim.
func TestStreamsOfSessions(t *testing.T) {
	s, u := watchStreams(t), websocketBackend(t)
	g := newLive(t, "", "chat_identity required {\nwidget {query.widget}\nsession 1m\nidentify /identify\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	load(t, g.config)
	open := func(widget string) *conn {
		secret := g.create(t, `{"id":"`+widget+`"}`)
		var answer struct{ Session struct{ Token string } }
		must(t, json.Unmarshal([]byte(g.do(t, "POST", "/identify?widget="+widget, fmt.Sprintf(`{"user_id":"alice","user_hash":"%s"}`, signWith(secret, "alice")), jsonType).body), &answer))
		return g.opens(t, "/?widget="+widget+"&chat_session="+answer.Session.Token)
	}
	expires, rotated := open("expires"), open("rotated")
	g.rotate(t, "rotated", "")
	rotated.isClosed(t, "rotated")
	s.pass(t, 88*time.Second)
	expires.echoes(t, "until 30 seconds after")
	s.pass(t, 90*time.Second+patience)
	expires.isClosed(t, "after that")
	equal(t, openStreams.Ended(streams.Rotated), 1, "rotated")
	equal(t, openStreams.Ended(streams.Expired), 1, "expired")
}

// TestStreamsOfErrorRoutes: what an error route opens in place of the upstream is a verified
// stream, too.
func TestStreamsOfErrorRoutes(t *testing.T) {
	s, u := watchStreams(t), websocketBackend(t)
	g := newLive(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy 127.0.0.1:1\nhandle_errors {\nchat_identity off\nreverse_proxy "+
		strings.TrimPrefix(u.URL, "http://")+"\n}")
	load(t, g.config)
	c := g.opens(t, "/?user_id=alice&user_hash="+signWith(g.create(t, `{"id":"shop"}`), "alice"), "X-Widget-Key: shop")
	s.looked(t)
	c.echoes(t, "of an error route")
	g.rotate(t, "shop", "")
	c.isClosed(t, "of an error route")
}

// TestStreamsBehindDirectives: an event stream is one whatever writes it, and whatever names
// its type.
func TestStreamsBehindDirectives(t *testing.T) {
	watchStreams(t)
	u := newStreamUpstream(t)
	g := newLive(t, "", strings.ReplaceAll(`header /header >Content-Type text/event-stream
chat_identity required {
widget {header.X-Widget-Key}
}
handle /header {
reverse_proxy ADDRESS {
header_down Content-Type text/plain
}
}
handle /encode {
encode gzip
reverse_proxy ADDRESS
}
handle /flush {
reverse_proxy ADDRESS {
flush_interval -1
}
}
handle /copied {
reverse_proxy ADDRESS {
handle_response {
copy_response_headers
copy_response
}
}
}
handle /intercepted {
intercept {
@other status 599
replace_status @other 200
}
reverse_proxy ADDRESS
}
handle /retried {
reverse_proxy 127.0.0.1:1 ADDRESS {
lb_policy round_robin
lb_try_duration 1m
}
}`, "ADDRESS", strings.TrimPrefix(u.URL, "http://")))
	load(t, g.config)
	secret := g.create(t, `{"id":"shop"}`)
	paths := []string{"/header", "/encode", "/flush", "/copied", "/intercepted", "/retried"}
	var opened []*conn
	for i, path := range paths {
		c := g.dial(t)
		c.write("GET " + path + "?user_id=alice&user_hash=" + signWith(secret, "alice") + " HTTP/1.1\r\nHost: " + g.host() +
			"\r\nX-Widget-Key: shop\r\nAccept-Encoding: gzip\r\n\r\n")
		equal(t, c.head().StatusCode, 200, "%s", path)
		equal(t, openStreams.Count(), i+1, "%s: open streams", path)
		opened = append(opened, c)
	}
	g.rotate(t, "shop", "")
	for i, path := range paths {
		opened[i].isClosed(t, path)
	}
	eventually(t, "streams are still open", func() bool { return openStreams.Count() == 0 && u.open.Load() == 0 })
}

// TestStreamsOfOrdinaryAnswers: nothing else is cut, however long it takes.
func TestStreamsOfOrdinaryAnswers(t *testing.T) {
	watchStreams(t)
	release := make(chan struct{})
	var arrived atomic.Int64
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/download":
			_, _ = io.CopyN(w, endless{}, 1<<20)
			_ = http.NewResponseController(w).Flush()
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		case "/upload":
			_, _ = io.ReadFull(r.Body, make([]byte, 1<<20))
		}
		arrived.Add(1)
		<-release
		rest := int64(1 << 20)
		if r.URL.Path == "/upload" {
			rest, _ = io.Copy(io.Discard, r.Body)
		}
		_, _ = io.CopyN(w, endless{}, rest)
	}))
	t.Cleanup(u.Close)
	g := newStreamGateway(t, u.URL)
	secret := g.create(t, `{"id":"shop"}`)
	var waiting sync.WaitGroup
	for _, over := range transports(t) {
		for path, size := range map[string]int64{"/download": 2 << 20, "/poll": 1 << 20, "/upload": 1 << 20} {
			waiting.Go(func() {
				r := httptest.NewRequest("GET", g.secure+path+"?widget=shop&user_id=alice&user_hash="+signWith(secret, "alice"), nil)
				if path == "/upload" {
					body, in := io.Pipe()
					go func() {
						_, _ = io.CopyN(in, endless{}, 1<<20)
						<-release
						_, _ = io.CopyN(in, endless{}, 1<<20)
						_ = in.Close()
					}()
					r = httptest.NewRequest("POST", r.URL.String(), body)
				}
				response, err := over.RoundTrip(r)
				if err != nil {
					t.Error(path, err)
					return
				}
				defer response.Body.Close()
				n, err := io.Copy(io.Discard, response.Body)
				if err != nil || n != size || response.StatusCode != 200 {
					t.Errorf("%s over %s: %s, %d bytes, %v", path, response.Proto, response.Status, n, err)
				}
			})
		}
	}
	eventually(t, "a request is not there", func() bool { return arrived.Load() == 9 })
	equal(t, openStreams.Count(), 0, "open streams")
	c := g.dial(t)
	c.write("GET /events?widget=shop&user_id=alice&user_hash=" + signWith(secret, "alice") + " HTTP/1.1\r\nHost: " + g.host() + "\r\n\r\n")
	equal(t, c.head().StatusCode, 200, "an event stream")
	g.rotate(t, "shop", "")
	c.isClosed(t, "the event stream")
	close(release)
	waiting.Wait()
}

// eventBackend sends an event for each value of next.
func eventBackend(t *testing.T, next chan struct{}) *httptest.Server {
	u := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(u.Close)
	return u
}

// TestEventStreamThroughReload is about the other kind of stream, and about a failed reload.
func TestEventStreamThroughReload(t *testing.T) {
	s, next := watchStreams(t), make(chan struct{})
	g := newLive(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy "+strings.TrimPrefix(eventBackend(t, next).URL, "http://"))
	load(t, g.config)
	secret := g.create(t, `{"id":"shop"}`)
	r := g.request(t, "GET", "/events?user_id=alice&user_hash="+signWith(secret, "alice"), "", false, "X-Widget-Key: shop")
	response, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	events := bufio.NewReader(response.Body)
	for i := range 4 {
		switch i {
		case 1:
			load(t, strings.Replace(g.config, "chat_identity required {", "header X-Reloaded yes\nchat_identity required {", 1))
		case 2:
			config, err := adapt(strings.Replace(g.config, "chat_identity required {", "bind 192.0.2.1\nchat_identity required {", 1))
			must(t, err)
			if caddy.Load(config, true) == nil {
				t.Error("a configuration loads that cannot listen")
			}
		}
		s.looked(t)
		line, err := events.ReadString('\n')
		equal(t, line, fmt.Sprintf("data: %d\n", i), "event, %v", err)
		_, _ = events.ReadString('\n')
		next <- struct{}{}
	}
	g.rotate(t, "shop", "")
	if _, err := io.Copy(io.Discard, events); err == nil {
		t.Error("the end of the stream looks as if it was complete")
	}
}

// TestStreamsWithoutAStore: while the store cannot be read, streams stay. They end when it can,
// if what proved them was retired meanwhile.
func TestStreamsWithoutAStore(t *testing.T) {
	s, u := watchStreams(t), websocketBackend(t)
	server := redistest.Start(t)
	site := "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy " + strings.TrimPrefix(u.URL, "http://")
	g := newLive(t, "encryption_key {env.TEST_KEY}\nstale_if_error 0\nwidgets redis redis://"+server.Addr, site)
	load(t, g.config)
	secret := g.createInRedis(t)
	var c *conn
	eventually(t, "the widget is not known", func() bool {
		opened, response := g.upgrade(t, "/?user_id=alice&user_hash="+signWith(secret, "alice"), "websocket", "X-Widget-Key: shop")
		c = opened
		return response.StatusCode == http.StatusSwitchingProtocols
	})
	server.Kill()
	eventually(t, "the store is not known to be away", func() bool { return active(t).store.Err() != nil && !active(t).store.Serves() })
	s.looked(t)
	c.echoes(t, "without a store")
	server.Restart()
	eventually(t, "the store is not known to be back", func() bool { return active(t).store.Err() == nil })
	s.looked(t)
	c.echoes(t, "with the store again")
	server.Kill()
	server.Empty() // the widgets are lost, which says nothing about this one
	server.Restart()
	eventually(t, "the loss is not noticed", func() bool { return active(t).store.Loss() != "" })
	s.looked(t)
	c.echoes(t, "after a loss")
	_, err := active(t).store.AcceptLoss(t.Context())
	must(t, err)
	c.isClosed(t, "after the loss was accepted")

	// What a configuration no longer has is retired, whatever a store would say.
	const inline = "widget inline {\nsecret the-secret-of-the-inline-widget\n}"
	g = newLive(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr+"\n"+inline, site+" {\nstream_close_delay 1h\n}")
	load(t, g.config)
	eventually(t, "the store is not reached", func() bool { return active(t).store.Err() == nil })
	c = g.opens(t, "/?user_id=alice&user_hash="+signWith("the-secret-of-the-inline-widget", "alice"), "X-Widget-Key: inline")
	server.Pause()
	load(t, strings.Replace(g.config, inline, "", 1))
	c.isClosed(t, "of an inline widget that is gone, while Redis hangs")
	server.Resume()

	g = newLive(t, "", site)
	load(t, g.config)
	c = g.opens(t, "/?user_id=alice&user_hash="+signWith(g.create(t, `{"id":"shop"}`), "alice"), "X-Widget-Key: shop")
	file := active(t).file
	must(t, os.WriteFile(file, []byte("nonsense\n"), 0o600))
	eventually(t, "the damage is not noticed", func() bool { return active(t).store.Err() != nil })
	s.looked(t)
	c.echoes(t, "of a damaged file")
}

// TestStreamsInAFleet: a change at one gateway ends the streams at all.
func TestStreamsInAFleet(t *testing.T) {
	server, u := redistest.Start(t), websocketBackend(t)
	var gateways []*process
	for range 2 {
		p := newProcess(t, "encryption_key {env.TEST_KEY}\nwidgets redis redis://"+server.Addr,
			"chat_identity required {\nwidget {header.X-Widget-Key}\n}\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
		p.run(t)
		gateways = append(gateways, p)
	}
	open := func(widget, secret string) (all []*conn) {
		for i, p := range gateways {
			eventually(t, fmt.Sprintf("gateway %d does not know the widget", i), func() bool {
				c, response := p.upgrade(t, "/?user_id=alice&user_hash="+signWith(secret, "alice"), "websocket", "X-Widget-Key: "+widget)
				if response.StatusCode == http.StatusSwitchingProtocols {
					all = append(all, c)
					return true
				}
				return false
			})
		}
		return all
	}
	gateways[0].createInRedis(t)
	kept := open("kept", gateways[0].create(t, `{"id":"kept"}`))
	for i, end := range []func(p *process, widget string){
		func(p *process, widget string) { p.rotate(t, widget, "") },
		func(p *process, widget string) { p.rotate(t, widget, `{"grace":"1s"}`) },
		func(p *process, widget string) {
			equal(t, p.call(t, "DELETE", "widgets/"+widget, "").status, 204, "deleted")
		},
	} {
		for n, by := range gateways {
			widget := fmt.Sprintf("w%d-%d", i, n)
			ended := open(widget, by.create(t, `{"id":"`+widget+`"}`))
			end(by, widget)
			answered := time.Now()
			for other, c := range ended {
				c.isClosed(t, fmt.Sprintf("change %d by gateway %d, at gateway %d", i, n, other))
			}
			t.Logf("change %d by gateway %d: all have ended %v after the answer", i, n, time.Since(answered))
		}
	}
	for i, c := range kept {
		c.echoes(t, fmt.Sprintf("another widget's, at gateway %d", i))
	}
	server.Kill()
	for i, p := range gateways {
		eventually(t, "the store is not known to be away", func() bool { return p.scrape(t)["store_reachable{}"] == 0 })
		kept[i].echoes(t, fmt.Sprintf("without Redis, at gateway %d", i))
	}
}

// TestStreamsLeak: after a hundred reloads, and streams over each, no configuration is kept
// and no goroutine runs.
func TestStreamsLeak(t *testing.T) {
	u := newStreamUpstream(t)
	watchStreams(t)
	g := newLive(t, "", "chat_identity required {\nwidget {header.X-Widget-Key}\n}\nheader X-Generation GENERATION\nreverse_proxy "+strings.TrimPrefix(u.URL, "http://"))
	config := func(generation int) string { return strings.Replace(g.config, "GENERATION", fmt.Sprint(generation), 1) }
	load(t, config(0))
	secret := g.create(t, `{"id":"shop"}`)
	open := func() *conn {
		c := g.dial(t)
		c.write("GET /?user_id=alice&user_hash=" + signWith(secret, "alice") + " HTTP/1.1\r\nHost: " + g.host() + "\r\nX-Widget-Key: shop\r\n\r\n")
		equal(t, c.head().StatusCode, 200, "opened")
		return c
	}
	var before int
	var apps []weak.Pointer[App]
	var opened []*conn
	for i := range 100 {
		if i == 1 {
			before = runtime.NumGoroutine()
		}
		if i > 0 {
			text, err := adapt(config(i))
			must(t, err)
			must(t, activate(text))
		}
		apps = append(apps, weak.Make(active(t)))
		if opened = append(opened, open()); len(opened) < 10 {
			continue
		}
		_ = opened[0].Close()
		secret = g.rotate(t, "shop", "")
		for _, c := range opened {
			_, _ = io.Copy(io.Discard, c.in)
			_ = c.Close()
		}
		eventually(t, "a stream counts as open", func() bool { return openStreams.Count() == 0 })
		opened = nil
	}
	eventually(t, "goroutines are left", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before+5
	})
	alive := 0
	eventually(t, "configurations are kept", func() bool {
		runtime.GC()
		alive = 0
		for _, app := range apps {
			if app.Value() != nil {
				alive++
			}
		}
		return alive <= 2
	})
	t.Logf("%d configurations are alive", alive)
}

// TestStreamMemory: an open stream takes at most a kibibyte beyond what it takes without this
// module.
func TestStreamMemory(t *testing.T) {
	const count = 10_000
	h := costed(t, &Handler{Mode: widgets.ModeRequired, StreamLifetime: caddy.Duration(time.Hour)})
	measure := func(handler caddyhttp.MiddlewareHandler, opened int) float64 {
		release, open := make(chan struct{}), make(chan struct{})
		next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			w.Header()["Content-Type"] = []string{"text/event-stream"}
			w.WriteHeader(200)
			open <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return nil
		})
		for range 3 { // pools are filled
			runtime.GC()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range count {
			go func() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("GET", "/?"+signedQuery("alice"), nil)
				for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Cookie", "Origin", "Referer", "User-Agent", "Sec-Fetch-Mode", "Sec-Fetch-Site"} {
					r.Header.Set(name, "as browsers send it")
				}
				r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
				_ = handler.ServeHTTP(w, r, next)
				runtime.KeepAlive(r) // as Caddy's server does
				open <- struct{}{}
			}()
		}
		for range count {
			<-open
		}
		equal(t, openStreams.Count(), opened, "open streams")
		runtime.GC()
		runtime.ReadMemStats(&after)
		close(release)
		for range count {
			<-open
		}
		return (float64(after.HeapAlloc) - float64(before.HeapAlloc)) / count
	}
	bare := measure(emptyHandler{}, 0)
	verified := measure(h, count)
	t.Logf("%.0f bytes a stream without, %.0f with this module: %.0f", bare, verified, verified-bare)
	if !raceEnabled && verified-bare > 1024 {
		t.Errorf("%.0f bytes a stream", verified-bare)
	}
	eventually(t, "streams are left", func() bool { return openStreams.Count() == 0 })
}
