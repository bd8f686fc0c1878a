package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// fleetSite answers who was verified. The first directive that matches a path decides.
const fleetSite = `chat_identity /once required {
	widget {header.X-Widget-Key}
	dialect snapengage
	one_time
	skew 3s
}
chat_identity /talk required {
	widget {header.X-Widget-Key}
	conversation body /c
}
chat_identity /own {
	widget {header.X-Widget-Key}
}
chat_identity required {
	widget {header.X-Widget-Key}
}
respond {http.chat_identity.user}`

// fleet is gateways, each in a process of its own, that share a Redis.
type fleet struct {
	gateways []*process
	client   *http.Client
	sent     atomic.Int64
}

// newFleet starts gateways with widgets and ledger at the URL.
func newFleet(t *testing.T, count int, options string) *fleet {
	t.Helper()
	f := &fleet{client: manyClients(64)}
	f.client.Timeout = patience
	t.Cleanup(f.client.CloseIdleConnections)
	for range count {
		p := newProcess(t, "encryption_key {env.TEST_KEY}\n"+options, fleetSite)
		p.run(t)
		f.gateways = append(f.gateways, p)
	}
	return f
}

// ask posts a body at a gateway. It returns the status with the verified user,
// or with the reason of the refusal.
func (f *fleet) ask(t *testing.T, p *process, path, widget, body string) string {
	r, err := http.NewRequest("POST", p.url+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return "failed"
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "X-Widget-Key": {widget}}
	response, err := f.client.Do(r)
	if err != nil {
		t.Errorf("a request failed: %v", err)
		return "failed"
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("an answer was cut short: %v", err)
		return "failed"
	}
	said := string(text)
	if response.StatusCode != 200 {
		var refusal problem
		if err := json.Unmarshal(text, &refusal); err != nil {
			t.Errorf("%d %s", response.StatusCode, text)
		}
		said = string(refusal.Reason)
	}
	return strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", said))
}

// answer is ask where Redis runs: on a busy machine it may not answer in time.
func (f *fleet) answer(t *testing.T, p *process, path, widget, body string) (said string) {
	eventually(t, "Redis does not answer", func() bool {
		said = f.ask(t, p, path, widget, body)
		return said != "503 unavailable"
	})
	return said
}

// signed is a claim of a user that no other claim has.
func (f *fleet) signed(secret string) (user, body string) {
	user = fmt.Sprintf("user-%d", f.sent.Add(1))
	return user, fmt.Sprintf(`{"user_id":"%s","user_hash":"%s"}`, user, signWith(secret, user))
}

// verifies reports whether the widget's secret verifies at the gateway. Any answer
// other than verified or invalid is an error.
func (f *fleet) verifies(t *testing.T, p *process, widget, secret string) bool {
	user, body := f.signed(secret)
	said := f.answer(t, p, "/chat", widget, body)
	if said != "200 "+user && said != "401 invalid" {
		t.Errorf("neither verified nor invalid: %s", said)
	}
	return said == "200 "+user
}

// everywhere checks that the secret verifies at all gateways, or at none.
func (f *fleet) everywhere(t *testing.T, widget, secret string, want bool) {
	t.Helper()
	for i, p := range f.gateways {
		equal(t, f.verifies(t, p, widget, secret), want, "widget %s at gateway %d: verified", widget, i)
	}
}

// each runs a function for every gateway at once.
func (f *fleet) each(do func(i int, p *process)) {
	var group sync.WaitGroup
	for i, p := range f.gateways {
		group.Go(func() { do(i, p) })
	}
	group.Wait()
}

// load sends all the time, from some clients at every gateway, as busy does.
func (f *fleet) load(t *testing.T, clients int, turn func(i int, p *process)) (end func()) {
	return busy(t, clients*len(f.gateways), func(client, i int) {
		turn(i, f.gateways[client%len(f.gateways)])
		time.Sleep(time.Millisecond) // leave the gateways some of the processors
	})
}

// TestFleet: three gateways are as one.
func TestFleet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := newFleet(t, 3, "widgets redis redis://"+server.Addr)
	t.Run("at once", func(t *testing.T) {
		for name, test := range map[string]func(t *testing.T){
			"rotations":            f.testRotations,
			"rotations in grace":   f.testRotationsInGrace,
			"concurrent rotations": f.testConcurrentRotations,
			"changes":              f.testChanges,
			"one time":             f.testOneTime,
			"conversations":        f.testConversations,
			"moving":               f.testMoving,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	t.Run("paused", f.testPaused)
	t.Run("traffic", func(t *testing.T) { f.testTraffic(t, server) })
}

// testRotations: when a rotation has answered, at whichever gateway, no request
// that begins later is verified by the secret before, and the new one is
// everywhere.
func (f *fleet) testRotations(t *testing.T) {
	const count = 8
	type rotated struct {
		secret string
		at     time.Time // when the rotation to it had answered
	}
	var mu sync.Mutex
	var all []rotated
	var begun atomic.Int64 // how many rotations were begun or are done
	add := func(secret string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, rotated{secret, time.Now()})
	}
	add(f.gateways[0].create(t, `{"id":"rotated"}`))
	f.everywhere(t, "rotated", all[0].secret, true)
	var window time.Duration
	var current, retired int
	end := f.load(t, 2, func(i int, p *process) {
		mu.Lock()
		last := len(all) - 1
		now, before := all[last], all[max(last-1, 0)]
		mu.Unlock()
		if i%2 == 0 || last == 0 {
			// A rotation that has begun meanwhile may have retired it.
			if !f.verifies(t, p, "rotated", now.secret) && begun.Load() == int64(last) {
				t.Errorf("the secret of rotation %d does not verify", last)
			}
			mu.Lock()
			current++
			mu.Unlock()
			return
		}
		late := time.Since(now.at)
		verified := f.verifies(t, p, "rotated", before.secret)
		mu.Lock()
		defer mu.Unlock()
		retired++
		if verified {
			window = max(window, late)
			t.Errorf("%v after rotation %d had answered, a request was verified by the secret before", late, last)
		}
	})
	var longest time.Duration
	for i := range count {
		begun.Add(1)
		began := time.Now()
		add(f.gateways[i%len(f.gateways)].rotate(t, "rotated", ""))
		longest = max(longest, time.Since(began))
		f.each(func(_ int, p *process) {
			if !f.verifies(t, p, "rotated", all[i+1].secret) || f.verifies(t, p, "rotated", all[i].secret) {
				t.Errorf("right after rotation %d the new secret fails or the old verifies", i+1)
			}
		})
	}
	end()
	if current < count || retired < count {
		t.Errorf("%d requests with the current and %d with the retired secret prove nothing", current, retired)
	}
	t.Logf("%d rotations, the longest took %v. Of %d requests with a retired secret, the last that was verified began %v after the answer",
		count, longest, retired, window)
}

// testRotationsInGrace: with a grace, neither the old secret fails nor the new.
func (f *fleet) testRotationsInGrace(t *testing.T) {
	var mu sync.Mutex
	secrets := []string{f.gateways[0].create(t, `{"id":"graced"}`)}
	end := f.load(t, 1, func(i int, p *process) {
		mu.Lock()
		n := i % len(secrets)
		secret := secrets[n]
		mu.Unlock()
		if !f.verifies(t, p, "graced", secret) {
			t.Errorf("the secret of rotation %d fails in its grace", n)
		}
	})
	for i := range 6 {
		secret := f.gateways[i%len(f.gateways)].rotate(t, "graced", `{"grace":"1h"}`)
		mu.Lock()
		secrets = append(secrets, secret)
		mu.Unlock()
		f.everywhere(t, "graced", secret, true)
	}
	end()
	last := len(secrets) - 1
	if c := f.gateways[2].call(t, "POST", "widgets/graced/rotate", `{"end_grace":true}`); c.status != 200 {
		t.Errorf("%d %s", c.status, c.body)
	}
	for i, secret := range secrets {
		f.everywhere(t, "graced", secret, i == last)
	}
	f.gateways[1].rotate(t, "graced", "")
	f.everywhere(t, "graced", secrets[last], false)
}

// testConcurrentRotations: none is lost, through whichever gateway.
func (f *fleet) testConcurrentRotations(t *testing.T) {
	f.gateways[0].create(t, `{"id":"contended"}`)
	secrets := make([]string, 12)
	var group sync.WaitGroup
	for i := range secrets {
		group.Go(func() {
			c, err := f.gateways[i%len(f.gateways)].tryCall("POST", "widgets/contended/rotate", `{"grace":"1h"}`)
			if err != nil || c.status != 200 {
				t.Errorf("%v: %+v", err, c)
				return
			}
			secrets[i] = c.Secret
		})
	}
	group.Wait()
	for i, secret := range secrets {
		if len(secret) != 64 {
			t.Errorf("rotation %d was lost", i)
		}
		f.everywhere(t, "contended", secret, true)
	}
}

// testChanges: a deletion, a mode and a dialect hold everywhere when they are
// answered.
func (f *fleet) testChanges(t *testing.T) {
	want := func(path, body, want string) {
		t.Helper()
		f.each(func(i int, p *process) {
			equal(t, f.answer(t, p, path, "changed", body), want, "gateway %d", i)
		})
	}
	for n, by := range f.gateways {
		want("/own", `{"text":"hi"}`, "200")
		secret := by.create(t, `{"id":"changed"}`)
		user, bookbag := f.signed(secret)
		nextcap := fmt.Sprintf(`{"userId":"%s","userHash":"%s"}`, user, signWith(secret, user))
		// A new widget retires nothing, so it may take a moment until all gateways know it.
		f.each(func(i int, p *process) {
			eventually(t, fmt.Sprintf("gateway %d does not come to know a new widget", i), func() bool {
				return f.ask(t, p, "/own", "changed", bookbag) == "200 "+user
			})
		})
		want("/own", `{"text":"hi"}`, "200")
		next := f.gateways[(n+1)%len(f.gateways)]
		if c := next.call(t, "PATCH", "widgets/changed", `{"mode":"required"}`); c.status != 200 {
			t.Fatalf("%d: %s", c.status, c.body)
		}
		want("/own", `{"text":"hi"}`, "401 missing")
		if c := by.call(t, "PATCH", "widgets/changed", `{"dialect":"nextcap"}`); c.status != 200 {
			t.Fatalf("%d: %s", c.status, c.body)
		}
		want("/own", nextcap, "200 "+user)
		want("/own", bookbag, "401 missing")
		if c := next.call(t, "DELETE", "widgets/changed", ""); c.status != 204 {
			t.Fatalf("%d: %s", c.status, c.body)
		}
		want("/chat", bookbag, "403 widget_unknown")
	}
}

// testOneTime: of many clients that send one token to three gateways at once, one
// is let in.
func (f *fleet) testOneTime(t *testing.T) {
	const clients, tokens = 32, 5
	f.gateways[0].create(t, `{"id":"ticketed","secret":"`+testSecret+`"}`)
	for n := range tokens {
		k := newToken(fmt.Sprintf("one-of-many-%d", n))
		var mu sync.Mutex
		answers := map[string]int{}
		var group sync.WaitGroup
		for i := range clients {
			group.Go(func() {
				said := f.ask(t, f.gateways[i%len(f.gateways)], "/once", "ticketed", k.json())
				mu.Lock()
				defer mu.Unlock()
				answers[said]++
			})
		}
		group.Wait()
		// Redis may be too slow to answer on a busy machine, even whoever is first.
		in, late := answers["200 "+k.user], answers["503 unavailable"]
		if in > 1 || in+late == 0 || in+late+answers["403 replayed"] != clients {
			t.Errorf("token %d: %v", n, answers)
		}
	}
}

// testConversations: of users who name a conversation at different gateways, one
// gets it, and all gateways know whose it is.
func (f *fleet) testConversations(t *testing.T) {
	secret := f.gateways[0].create(t, `{"id":"talking"}`)
	for n := range 10 {
		conversation := fmt.Sprintf("conversation-%d", n)
		bodies, users, said := make([]string, 3), make([]string, 3), make([]string, 3)
		f.each(func(i int, p *process) {
			var body string
			users[i], body = f.signed(secret)
			bodies[i] = in(conversation, body)
			said[i] = f.answer(t, p, "/talk", "talking", bodies[i])
		})
		for i := range f.gateways {
			if said[i] != "200 "+users[i] && said[i] != "403 conversation_claimed" {
				t.Errorf("%s", said[i])
			}
			f.each(func(_ int, p *process) {
				if again := f.answer(t, p, "/talk", "talking", bodies[i]); again != said[i] {
					t.Errorf("%s: %s at one gateway, %s at another", conversation, said[i], again)
				}
			})
		}
		slices.Sort(said)
		if !strings.HasPrefix(said[0], "200") || strings.HasPrefix(said[1], "200") {
			t.Errorf("%s: %v", conversation, said)
		}
	}
}

// testMoving moves widgets from a file into Redis, and back.
func (f *fleet) testMoving(t *testing.T) {
	single := &fleet{client: f.client, gateways: []*process{newProcess(t, "encryption_key {env.TEST_KEY}", fleetSite)}}
	file := single.gateways[0]
	file.run(t)
	secrets := map[string]string{}
	for i := range 3 {
		id := fmt.Sprintf("moved-%d", i)
		secrets[id] = file.create(t, `{"id":"`+id+`"}`)
	}
	old := secrets["moved-0"]
	secrets["moved-0"] = file.rotate(t, "moved-0", `{"grace":"1h"}`)
	move := func(from, to *process, args ...string) {
		t.Helper()
		exported, stderr, err := from.command(t, "", "export")
		if err != nil {
			t.Fatalf("%v: %s", err, stderr)
		}
		if stdout, stderr, err := to.command(t, exported, append([]string{"import"}, args...)...); err != nil {
			t.Fatalf("%v: %s%s", err, stdout, stderr)
		}
	}
	check := func(f *fleet) {
		t.Helper()
		for id, secret := range secrets {
			f.everywhere(t, id, secret, true)
		}
		f.everywhere(t, "moved-0", old, true)
	}
	check(single)
	move(file, f.gateways[0])
	check(f)
	check(single) // it serves until it is switched off
	retired := secrets["moved-1"]
	secrets["moved-1"] = f.gateways[1].rotate(t, "moved-1", "")
	move(f.gateways[2], file, "--replace")
	check(single)
	single.everywhere(t, "moved-1", retired, false)
}

// testPaused: a gateway whose process is stopped delays no rotation, and when it
// continues it does not serve what was retired meanwhile.
func (f *fleet) testPaused(t *testing.T) {
	by, stopped := f.gateways[0], f.gateways[2]
	signal := func(s syscall.Signal) {
		t.Helper()
		must(t, stopped.cmd.Process.Signal(s))
	}
	t.Cleanup(func() { signal(testbed.Resume) }) // a test that has failed leaves it stopped
	secret := by.create(t, `{"id":"paused"}`)
	for _, more := range []time.Duration{0, 2 * time.Second} {
		f.everywhere(t, "paused", secret, true)
		var waiting []*conn
		for range 8 {
			waiting = append(waiting, stopped.dial(t))
		}
		signal(testbed.Suspend)
		rotated, began := make(chan *called, 1), time.Now()
		go func() {
			c, err := by.tryCall("POST", "widgets/paused/rotate", "")
			if err != nil {
				t.Error(err)
				c = new(called)
			}
			rotated <- c
		}()
		var c *called
		select {
		case c = <-rotated:
		case <-time.After(patience):
			t.Fatal("a gateway that is stopped holds a rotation up")
		}
		if len(c.Secret) != 64 {
			t.Fatalf("%d %s", c.status, c.body)
		}
		t.Logf("a rotation took %v while a gateway was stopped", time.Since(began))
		for _, w := range waiting {
			_, body := f.signed(secret)
			w.write(fmt.Sprintf("POST /chat HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: application/json\r\n"+
				"X-Widget-Key: paused\r\nContent-Length: %d\r\n\r\n%s", strings.TrimPrefix(stopped.url, "http://"), len(body), body))
		}
		time.Sleep(more)
		signal(testbed.Resume)
		for _, w := range waiting {
			answer, err := io.ReadAll(w)
			if err != nil || !strings.Contains(string(answer), `"reason":"invalid"`) && !strings.Contains(string(answer), `"reason":"unavailable"`) {
				t.Errorf("sent to a stopped gateway with the secret that was retired: %v, %s", err, answer)
			}
		}
		f.everywhere(t, "paused", secret, false)
		f.everywhere(t, "paused", c.Secret, true)
		secret = c.Secret
	}
}

// testTraffic: a verified request of a widget that is known costs Redis nothing.
func (f *fleet) testTraffic(t *testing.T, server *redistest.Server) {
	const requests = 500
	secret := f.gateways[0].create(t, `{"id":"warm"}`)
	f.everywhere(t, "warm", secret, true)
	began, before := time.Now(), commands(t, server)
	for range requests {
		if !f.verifies(t, f.gateways[0], "warm", secret) {
			t.Fatal("the widget does not verify")
		}
	}
	took, middle := time.Since(began), commands(t, server)
	// What the gateways do by themselves, in as long.
	time.Sleep(took)
	after := commands(t, server)
	loaded, idle := 0, 0
	for name := range after {
		loaded += middle[name] - before[name]
		idle += after[name] - middle[name]
	}
	t.Logf("%d commands during %d requests in %v, %d in as long without any", loaded, requests, took, idle)
	if loaded > idle+requests/5 {
		t.Errorf("requests cost commands: %v, then %v, then %v", before, middle, after)
	}
}

// commands returns how often the server has done each of its commands.
func commands(t *testing.T, server *redistest.Server) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for line := range strings.Lines(server.Do("INFO", "commandstats")) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(calls)
		must(t, err)
		counts[name] = n
	}
	if len(counts) == 0 {
		t.Fatal("the server counts no commands")
	}
	return counts
}

// outage is something that happens to Redis.
type outage struct {
	name       string
	begin, end func(s *redistest.Server)
	readable   bool // Redis still says what it holds
}

// grant creates the gateways' user, whom Redis forgets when it restarts.
func grant(s *redistest.Server, password string) {
	s.Do("ACL", "SETUSER", "gateway", "on", "resetpass", ">"+password, "~*", "+@all")
}

var outages = []outage{
	{
		name:  "killed",
		begin: (*redistest.Server).Kill,
		end: func(s *redistest.Server) {
			s.Restart()
			grant(s, "password")
		},
	},
	{
		name:  "replica",
		begin: func(s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", "1") },
		end:   func(s *redistest.Server) { s.Do("REPLICAOF", "NO", "ONE") },
	},
	{
		name:     "full",
		begin:    func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "1mb") },
		end:      func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "0") },
		readable: true,
	},
	{
		name: "wrong password",
		begin: func(s *redistest.Server) {
			grant(s, "another")
			s.Do("CLIENT", "KILL", "USER", "gateway")
		},
		end: func(s *redistest.Server) { grant(s, "password") },
	},
	{
		name:  "stopped",
		begin: (*redistest.Server).Pause,
		end:   (*redistest.Server).Resume,
	},
}

// stale is how long gateways serve what they know without Redis.
const stale = 12 * time.Second

// TestFleetOutages: without Redis two gateways serve what they know for
// stale_if_error, and what needs the ledger is refused; no request hangs, nothing
// is accepted that must not be, and nobody has to restart anything afterwards.
func TestFleetOutages(t *testing.T) {
	t.Parallel()
	testOutages(t, outages[:1])
}

func testOutages(t *testing.T, outages []outage) {
	server := redistest.Start(t)
	grant(server, "password")
	f := newFleet(t, 2, fmt.Sprintf("stale_if_error %v\nwidgets redis redis://gateway:password@%s", stale, server.Addr))
	f.gateways[0].create(t, `{"id":"known","secret":"`+testSecret+`"}`)
	f.gateways[0].create(t, `{"id":"stranger","secret":"`+testSecret+`"}`)
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) { f.testOutage(t, server, o) })
	}
	t.Run("emptied", func(t *testing.T) { f.testEmptied(t, server) })
}

// logs returns what the gateways have logged since, and notes where they are.
func (f *fleet) logs() (since func(i int) string) {
	lengths := make([]int, len(f.gateways))
	for i, p := range f.gateways {
		lengths[i] = len(p.log.String())
	}
	return func(i int) string { return f.gateways[i].log.String()[lengths[i]:] }
}

// all reports whether all gateways answer a new claim like that.
func (f *fleet) all(t *testing.T, claim func(p *process) (said, want string)) bool {
	var fails atomic.Int64
	f.each(func(_ int, p *process) {
		if said, want := claim(p); said != want {
			fails.Add(1)
		}
	})
	return fails.Load() == 0
}

// awaits waits until all gateways answer a new claim like that.
func (f *fleet) awaits(t *testing.T, what string, claim func(p *process) (said, want string)) {
	t.Helper()
	eventually(t, what, func() bool { return f.all(t, claim) })
}

// token asks with a token that nobody has used.
func (f *fleet) token(t *testing.T, p *process) (said string, k ticket) {
	k = newToken(fmt.Sprintf("user-%d", f.sent.Add(1)))
	return f.ask(t, p, "/once", "known", k.json()), k
}

func (f *fleet) testOutage(t *testing.T, server *redistest.Server, o outage) {
	const known = testSecret
	f.everywhere(t, "known", known, true)
	replayed := f.replay(t)
	since := f.logs()

	// One client of a known widget at each gateway keeps count of what changes.
	course, courses := new(sync.Mutex), make([][]string, len(f.gateways))
	end := f.load(t, 1, func(_ int, p *process) {
		user, body := f.signed(known)
		said := f.ask(t, p, "/chat", "known", body)
		if said == "200 "+user {
			said = "verified"
		}
		i := slices.Index(f.gateways, p)
		course.Lock()
		defer course.Unlock()
		if n := len(courses[i]); n == 0 || courses[i][n-1] != said {
			courses[i] = append(courses[i], said)
		}
	})
	recover := sync.OnceFunc(func() { o.end(server) })
	t.Cleanup(recover) // else the next outage would meet this one
	begun := time.Now()
	o.begin(server)
	logged := func(text string) func() bool {
		return func() bool {
			for i := range f.gateways {
				if !strings.Contains(since(i), text) {
					return false
				}
			}
			return true
		}
	}
	gone, back := "Redis cannot be used", "Redis can be used again for widgets"
	if o.readable {
		gone, back = "Redis takes no changes of widgets", "Redis takes changes of widgets again"
	}
	eventually(t, "both log that it goes: "+gone, logged(gone))
	serves := func() bool {
		return f.all(t, func(p *process) (string, string) {
			user, body := f.signed(known)
			return f.ask(t, p, "/chat", "known", body), "200 " + user
		})
	}
	// stale_if_error counts from the last confirmation by Redis, which was earlier: on a busy
	// machine by seconds.
	for time.Since(begun) < stale/3 && !t.Failed() {
		if !serves() && time.Since(begun) < stale/3 {
			t.Error("what is known is not served")
		}
		time.Sleep(stale / 20)
	}

	stranger, want := "stranger", "503 unavailable"
	if o.readable {
		stranger, want = "nobody", "403 widget_unknown"
	}
	f.each(func(i int, p *process) {
		_, body := f.signed(testSecret)
		equal(t, f.ask(t, p, "/chat", stranger, body), want, "a widget that gateway %d has not seen", i)
		if said, _ := f.token(t, p); said != "503 unavailable" {
			t.Errorf("a token at gateway %d, which cannot be remembered: %s", i, said)
		}
	})
	for _, call := range [][3]string{
		{"POST", "widgets/known/rotate", ""}, {"PATCH", "widgets/known", `{"mode":"required"}`}, {"POST", "widgets", `{"id":"new"}`},
	} {
		if c, err := f.gateways[0].tryCall(call[0], call[1], call[2]); err != nil || c.status != 503 || c.Error == "" {
			t.Errorf("%s %s: %v, %d %s", call[0], call[1], err, c.status, c.body)
		}
	}
	if o.readable {
		f.everywhere(t, "known", known, true)
	} else {
		f.awaits(t, "a known widget is unavailable after stale_if_error", func(p *process) (string, string) {
			_, body := f.signed(known)
			return f.ask(t, p, "/chat", "known", body), "503 unavailable"
		})
	}

	recover()
	eventually(t, "both serve again", serves)
	f.awaits(t, "both accept tokens again", func(p *process) (string, string) {
		said, k := f.token(t, p)
		return said, "200 " + k.user
	})
	eventually(t, "both log that it is back: "+back, logged(back))
	replayed()
	end()
	for i, course := range courses {
		others := slices.DeleteFunc(slices.Clone(course), func(said string) bool { return said == "verified" || said == "503 unavailable" })
		if len(others) > 0 || course[0] != "verified" || course[len(course)-1] != "verified" || o.readable != (len(course) == 1) {
			t.Errorf("a known widget at gateway %d: %q", i, course)
		}
	}
	c := f.gateways[1].call(t, "POST", "widgets", `{"id":"after"}`)
	f.everywhere(t, "after", c.Secret, true)
	next := f.gateways[0].rotate(t, "after", "")
	f.everywhere(t, "after", c.Secret, false)
	f.everywhere(t, "after", next, true)
	if c := f.gateways[1].call(t, "DELETE", "widgets/after", ""); c.status != 204 {
		t.Errorf("%d %s", c.status, c.body)
	}
}

// replay uses tokens, and sends them again at both gateways until the returned
// function is called: whatever happens meanwhile, none may be let in. One is
// signed by a clock that is ahead, as far as is allowed.
func (f *fleet) replay(t *testing.T) (end func()) {
	t.Helper()
	used := []ticket{
		newToken(fmt.Sprintf("user-%d", f.sent.Add(1))),
		tokenAt(fmt.Sprintf("user-%d", f.sent.Add(1)), time.Now().Add(2*time.Second)),
	}
	for i, k := range used {
		eventually(t, "a token is accepted", func() bool {
			return f.ask(t, f.gateways[i], "/once", "known", k.json()) == "200 "+k.user
		})
	}
	var ended, accepted atomic.Bool
	var sent atomic.Int64
	stop := f.load(t, 1, func(i int, p *process) {
		k := used[i%len(used)]
		if said := f.ask(t, p, "/once", "known", k.json()); strings.HasPrefix(said, "200") && accepted.CompareAndSwap(false, true) {
			t.Errorf("a token that was used is accepted again: number %d of %d", i%len(used)+1, len(used))
		}
		sent.Add(1)
	})
	return func() {
		if !ended.Swap(true) {
			eventually(t, "used tokens are tried", func() bool { return sent.Load() > 20 })
			stop()
		}
	}
}

// testEmptied: a flushed Redis has neither widgets nor used tokens. Known widgets are served
// for stale_if_error, then none until there is a backup, at all gateways; tokens that may
// have been used are refused.
func (f *fleet) testEmptied(t *testing.T, server *redistest.Server) {
	f.everywhere(t, "known", testSecret, true)
	since := f.logs()
	backup := f.gateways[0].call(t, "GET", "export", "").body
	said, k := f.token(t, f.gateways[0])
	if said != "200 "+k.user {
		t.Fatalf("a token: %s", said)
	}
	replayed := f.replay(t)
	server.Do("FLUSHALL")
	f.awaits(t, "a gateway serves the widget that is lost", func(p *process) (string, string) {
		_, body := f.signed(testSecret)
		return f.ask(t, p, "/chat", "known", body), "503 unavailable"
	})
	f.each(func(i int, p *process) {
		if c, err := p.tryCall("POST", "widgets", `{"id":"meanwhile"}`); err != nil || c.status != 503 || !strings.Contains(c.Error, "lost") {
			t.Errorf("gateway %d creates a widget beside those that are lost: %v, %d %s", i, err, c.status, c.body)
		}
	})
	if c := f.gateways[1].call(t, "POST", "import", backup); c.status != 200 {
		t.Fatalf("%d: %s", c.status, c.body)
	}
	f.everywhere(t, "known", testSecret, true)
	f.awaits(t, "both accept tokens again", func(p *process) (string, string) {
		said, k := f.token(t, p)
		return said, "200 " + k.user
	})
	replayed()
	// The first request of a gateway that knows nothing yet.
	restarted := f.gateways[1]
	restarted.kill(t)
	f.client.CloseIdleConnections()
	restarted.run(t)
	equal(t, f.ask(t, restarted, "/once", "known", k.json()), "503 unavailable", "a token that was used before Redis was emptied, at a gateway that was started since")
	found := false
	for i := range f.gateways {
		found = found || strings.Contains(since(i), "the ledger may have lost entries")
	}
	if !found {
		t.Error("no gateway has logged that the ledger may have lost entries")
	}
}
