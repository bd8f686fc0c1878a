package redislink_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// ask has the server run a script, in at most some seconds.
func ask(t *testing.T, url, script string, keys ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, err := open(t, url).Client(ctx)
	if err != nil {
		return err
	}
	return client.Do(ctx, client.B().Eval().Script(script).Numkeys(int64(len(keys))).Key(keys...).Build()).Error()
}

// remedied checks what an operator reads: one sentence, which begins with what is wrong and
// ends with what to do.
func remedied(t *testing.T, name string, err error, script, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	got := redislink.Explain(err, script).Error()
	t.Logf("%s: %s", name, got)
	if got != want {
		t.Errorf("%s: %q, want %q (%v)", name, got, want, err)
	}
}

const hungUp = "Redis hung up without an answer: see whether it runs, and its log: a server that wants TLS (rediss in the URL) " +
	"or a certificate (cert and key) hangs up, and so does a proxy that does not know HELLO"

// TestRemedies breaks a real server in every way that an operator may.
func TestRemedies(t *testing.T) {
	t.Parallel()
	const script = "redis.call('GET', KEYS[1])\nredis.call('SET', KEYS[1], '1')\nreturn 1"
	server := redistest.Start(t)
	at := func(rest string) string { return "redis://" + server.Addr + rest }
	primary := redistest.Start(t)
	web := httptest.NewServer(nil)
	defer web.Close()
	cluster := redistest.StartCluster(t, 2)
	loading := fmt.Sprintf("redis://127.0.0.1:%s", redistest.FreePort(t))
	server.Do("ACL", "SETUSER", "few", "on", ">right", "resetkeys", "~mine*", "-@all", "+eval", "+get")
	server.Do("ACL", "SETUSER", "none", "on", ">right", "~*", "-@all")
	for _, c := range []struct{ name, url, want string }{
		{"nothing listens", loading, "nothing listens at " + strings.TrimPrefix(loading, "redis://") + " (connection refused): see whether Redis runs, and correct the host and port in the URL"},
		{"no socket", "redis+unix:///nowhere/socket", "there is no socket at /nowhere/socket: see whether Redis runs, and correct the path in the URL"},
		{"wrong password", "redis://few:wrong@" + server.Addr, "Redis has no such user with that password: correct the user and the password in the URL"},
		{"wrong database", at("/99"), "Redis has no database of the number in the URL: correct the number, or raise 'databases' in the configuration of Redis"},
		{"no cluster", "redis+cluster://" + server.Addr + "," + primary.Addr, "this is not a node of a cluster: begin the URL with redis in place of redis+cluster"},
		{"no sentinel", strings.Replace(at("/name"), "redis:", "redis+sentinel:", 1), "there is no Sentinel at this address, but a Redis: begin the URL with redis in place of redis+sentinel, or name the port of the Sentinels (26379)"},
		{"no Redis", "redis://" + web.Listener.Addr().String(), "what answers there is not Redis: correct the host and port in the URL"},
		{"no TLS", strings.Replace(at(""), "redis:", "rediss:", 1), "there is no TLS at " + server.Addr + ": begin the URL with redis in place of rediss, or name the port of Redis that has TLS (tls-port)"},
		{"a right within the script", "redis://few:right@" + server.Addr + "#mine", "the user may not use the command set: give the user this right; all that widgets and ledger need are: ACL SETUSER <user> " + redislink.Rights},
		{"a right", "redis://none:right@" + server.Addr, "the user may not use the command eval: give the user this right; all that widgets and ledger need are: ACL SETUSER <user> " + redislink.Rights},
		{"other keys", "redis://few:right@" + server.Addr, "the user may not use these keys: give the user this right, the keys that begin with the prefix in the URL; all that widgets and ledger need are: ACL SETUSER <user> " + redislink.Rights},
		{"a node of a cluster", "redis://" + cluster[0].Addr, "this is a node of a cluster: begin the URL with redis+cluster"},
		{"a node of a cluster", "redis://" + cluster[1].Addr, "this is a node of a cluster: begin the URL with redis+cluster"},
	} {
		url, key, _ := strings.Cut(c.url, "#")
		if key == "" {
			key = "others"
		}
		err := ask(t, url, script, key)
		if c.name == "a node of a cluster" && err == nil {
			continue // the key is on this one
		}
		remedied(t, c.name, err, script, c.want)
	}
	for name, c := range map[string]struct {
		begin func()
		want  string
	}{
		"full memory":    {func() { server.Do("CONFIG", "SET", "maxmemory", "1") }, "Redis has no memory left: raise its maxmemory, and keep maxmemory-policy noeviction"},
		"a replica":      {func() { server.Do("REPLICAOF", "127.0.0.1", primary.Port) }, "this Redis is a replica: name the primary in the URL, or its Sentinels (redis+sentinel)"},
		"no replicas":    {func() { server.Do("CONFIG", "SET", "min-replicas-to-write", "1") }, "too few replicas follow the primary: start them, or lower min-replicas-to-write"},
		"no clients":     {func() { server.Do("CONFIG", "SET", "maxclients", "1") }, "Redis has no room for another connection: raise its maxclients, or close connections of others"},
		"a new password": {func() { server.Do("ACL", "SETUSER", "default", "resetpass", ">right") }, "Redis asks for a password: write it into the URL"},
	} {
		c.begin()
		var err error
		if name == "no clients" {
			held, dialErr := net.Dial("tcp", server.Addr)
			if dialErr != nil {
				t.Fatal(dialErr)
			}
			err = ask(t, at(""), script, "mine")
			_ = held.Close()
		} else {
			err = ask(t, at(""), script, "mine")
		}
		remedied(t, name, err, script, c.want)
		server.Kill()
		server.Restart()
	}
	server.Pause()
	remedied(t, "a server that hangs", ask(t, at(""), script, "mine"), script,
		"Redis does not answer in time: see whether Redis is overloaded or stopped, and the network to it; correct the host and port in the URL")
	server.Resume()
}

func TestRemediesOfTLS(t *testing.T) {
	t.Parallel()
	good, goodKey := redistest.Certificate(t, time.Now().Add(time.Hour), "localhost")
	past, pastKey := redistest.Certificate(t, time.Now().Add(-24*time.Hour), "localhost")
	listen := func(cert, key string) string {
		server := redistest.Start(t, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
		port := redistest.FreePort(t)
		server.Do("CONFIG", "SET", "tls-port", port)
		return port
	}
	port := listen(good, goodKey)
	pair := "&cert=" + good + "&key=" + goodKey
	for _, c := range []struct{ name, url, want string }{
		{"no TLS here", "redis://localhost:" + port, hungUp},
		{"an unknown authority", "rediss://localhost:" + port, "the certificate of localhost:" + port + " is from an unknown authority: name the authority's certificate as ca in the URL"},
		{"another name", "rediss://127.0.0.1:" + port + "?ca=" + good + pair, "the certificate of 127.0.0.1:" + port + " is for another name: write that name as server_name into the URL"},
	} {
		remedied(t, c.name, ask(t, c.url, "return 1"), "", c.want)
	}
	// The server's reason may get lost when it hangs up.
	without := redislink.Explain(ask(t, "rediss://localhost:"+port+"?ca="+good, "return 1")).Error()
	if without != hungUp && without != "Redis refuses the TLS connection (remote error: tls: certificate required): "+
		"name a certificate that it accepts, and its key, as cert and key in the URL" {
		t.Errorf("no certificate: %s", without)
	}
	if err := ask(t, "rediss://localhost:"+port+"?ca="+good+pair, "return 1"); err != nil {
		t.Error(err)
	}
	port = listen(past, pastKey)
	remedied(t, "expired", ask(t, "rediss://localhost:"+port+"?ca="+past, "return 1"), "",
		"the certificate of localhost:"+port+" has expired, or is not valid yet: renew it, and see this machine's clock")
}

// TestRemediesOfSentinels names another primary, and a Sentinel as if it was one.
func TestRemediesOfSentinels(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	sentinel := primary.StartSentinels(1, 0)[0]
	if err := ask(t, "redis+sentinel://"+sentinel.Addr+"/main", "return 1"); err != nil {
		t.Error(err)
	}
	remedied(t, "another name", ask(t, "redis+sentinel://"+sentinel.Addr+"/other", "return 1"), "",
		"these Sentinels know no primary of the name in the URL: correct the name behind the hosts (SENTINEL MASTERS lists them)")
	remedied(t, "a Sentinel", ask(t, "redis://"+sentinel.Addr, "return 1"), "",
		"the server does not know the command EVAL: name a Redis 6 or later, or a Valkey, in the URL, not a proxy without that command; Sentinels need redis+sentinel")
}

// TestOldServers: a proxy or an old Redis that knows neither HELLO nor CLIENT is spoken to
// in RESP2, also with a password and another database.
func TestOldServers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rename-command", "HELLO", "", "--rename-command", "CLIENT", "", "--rename-command", "CONFIG", "", "--requirepass", "right")
	for range 2 {
		if err := ask(t, "redis://:right@"+server.Addr+"/3", "return redis.call('SET', KEYS[1], '1')", "key"); err != nil {
			t.Error(err)
		}
	}
	remedied(t, "no password", ask(t, "redis://"+server.Addr, "return 1"), "", "Redis asks for a password: write it into the URL")
	remedied(t, "a wrong password", ask(t, "redis://:wrong@"+server.Addr, "return 1"), "",
		"Redis has no such user with that password: correct the user and the password in the URL")
}

// TestNoRESP3 relays to a server as if it refused the protocol.
func TestNoRESP3(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server.Addr)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(client, upstream)
				_ = client.Close()
			}()
			go func() {
				defer upstream.Close()
				for buffer := make([]byte, 64<<10); ; {
					n, err := client.Read(buffer)
					if err != nil {
						return
					}
					_, _ = upstream.Write(bytes.Replace(buffer[:n], []byte("HELLO\r\n$1\r\n3"), []byte("HELLO\r\n$1\r\n9"), 1))
				}
			}()
		}
	}()
	if err := ask(t, "redis://"+listener.Addr().String(), "return redis.call('SET', KEYS[1], '1')", "key"); err != nil {
		t.Error(err)
	}
}

// TestRemediesOfNames explains what no server on this machine answers.
func TestRemediesOfNames(t *testing.T) {
	for want, err := range map[string]error{
		"no address was found for the host redis.internal: ":       &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Name: "redis.internal", IsNotFound: true}},
		"Redis is in protected mode":                               redislink.Refusal("DENIED Redis is running in protected mode because protected mode is enabled"),
		"the URL has a password, but this Redis has none: ":        redislink.Refusal("ERR AUTH <password> called without any password configured for the default user."),
		"these Sentinels know no primary of the name in the URL: ": redislink.Refusal("ERR No such master with that name"),
		"Redis refuses (some text): see the log of Redis":          redislink.Refusal("ERR some text"),
	} {
		if got := redislink.Explain(fmt.Errorf("wrapped: %w", err)).Error(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestRights: they are those of the documentation.
func TestRights(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(docs), "| for | keys | commands |")
	table, _, _ = strings.Cut(table, "\n\n")
	for right := range strings.FieldsSeq(redislink.Rights) {
		if !strings.Contains(table, right) {
			t.Errorf("%s is not in the table", right)
		}
	}
	for right := range strings.FieldsSeq(strings.NewReplacer("`", " ", "*", " ").Replace(table)) {
		if (right[0] == '+' || right[0] == '~') && !strings.Contains(redislink.Rights, right) {
			t.Errorf("%s is missing", right)
		}
	}
}
