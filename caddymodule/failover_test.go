package caddymodule

import (
	"fmt"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redistest"
)

// TestFleetSentinel: the primary's machine is lost, and one of three Sentinels with it.
func TestFleetSentinel(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := primary.StartReplica()
	sentinels := primary.StartSentinels(3, 1)
	testFailover(t, fmt.Sprintf("redis+sentinel://%s,%s,%s/main", sentinels[0].Addr, sentinels[1].Addr, sentinels[2].Addr), func() {
		sentinels[0].Kill()
		primary.FailOver(replica)
	})
}

// TestFleetCluster: a cluster loses the node that has the widgets, and then the one that has
// the ledger.
func TestFleetCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, 3)
	primaries := nodes
	replicas := map[*redistest.Server]*redistest.Server{}
	for _, s := range primaries {
		replicas[s] = s.StartReplica()
		nodes = append(nodes, replicas[s])
	}
	redistest.Know(t, nodes)
	testFailover(t, "redis+cluster://"+nodes[0].Addr+","+nodes[1].Addr, func() {
		lost := 0
		for _, s := range primaries {
			if s.Do("DBSIZE") != "0" {
				s.FailOver(replicas[s])
				lost++
			}
		}
		equal(t, lost, 2, "nodes that had something")
	})
}

// testFailover: while the servers at the URL fail over, no claim of a known widget is
// refused. Afterwards everything works as before, and what was used or claimed remains so.
func testFailover(t *testing.T, url string, fail func()) {
	f := newFleet(t, 2, "widgets redis "+url)
	eventually(t, "no widget can be created", func() bool {
		return f.gateways[0].call(t, "POST", "widgets", `{"id":"known","secret":"`+testSecret+`"}`).status == 201
	})
	f.everywhere(t, "known", testSecret, true)
	talk := func(user, secret string) (said string) {
		for _, p := range f.gateways {
			said = f.answer(t, p, "/talk", "known", in("theirs", fmt.Sprintf(`{"user_id":"%s","user_hash":"%s"}`, user, signWith(secret, user))))
		}
		return said
	}
	equal(t, talk("owner", testSecret), "200 owner", "a new conversation")
	replayed := f.replay(t)
	// Within a lease, a second, the gateways see that the store was created. Only what they
	// read after that is known, see docs/fleet.md.
	time.Sleep(2 * time.Second)
	end := f.load(t, 2, func(_ int, p *process) {
		user, body := f.signed(testSecret)
		if said := f.ask(t, p, "/chat", "known", body); said != "200 "+user {
			t.Errorf("during the failover: %s", said)
		}
	})
	time.Sleep(time.Second)
	fail()
	f.awaits(t, "tokens are accepted again", func(p *process) (string, string) {
		said, k := f.token(t, p)
		return said, "200 " + k.user
	})
	replayed()
	end()
	var secret string
	eventually(t, "no secret can be rotated", func() bool {
		c, err := f.gateways[1].tryCall("POST", "widgets/known/rotate", "")
		must(t, err)
		secret = c.Secret
		return c.status == 200
	})
	f.everywhere(t, "known", secret, true)
	f.everywhere(t, "known", testSecret, false)
	equal(t, talk("owner", secret), "200 owner", "the conversation's owner")
	equal(t, talk("stranger", secret), "403 conversation_claimed", "somebody else in the conversation")
}
