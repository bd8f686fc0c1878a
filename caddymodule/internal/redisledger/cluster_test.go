package redisledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// nodes starts a cluster of three.
func nodes(t *testing.T) [3]*server {
	t.Helper()
	var all [3]*server
	for i, slots := range [3][2]string{{"0", "5460"}, {"5461", "10922"}, {"10923", "16383"}} {
		all[i] = serve(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
		all[i].do("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		all[i].do("CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1])
	}
	for _, s := range all[1:] {
		all[0].do("CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(s.port))
	}
	eventually(t, "the cluster is up", func() error {
		for _, s := range all {
			if info := s.do("CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return errors.New(info)
			}
		}
		return nil
	})
	return all
}

// TestNodes uses keys and shares that are on three nodes, loses one of the
// nodes and gets it back without its data.
func TestNodes(t *testing.T) {
	t.Parallel()
	all := nodes(t)
	var gateways [2]*Ledger
	for i := range gateways {
		gateways[i] = opened(t, all[0].ledger(func(o *Options) {
			o.Cluster = true
			o.Client = all[0].dial(func(c *rueidis.ClientOption) { c.ForceSingleClient = false })
		}))
	}
	until := soon()
	for i := range 60 {
		k, share := key(fmt.Sprint(i)), ledger.Share{Owner: key(fmt.Sprint("owner ", i/2)), Limit: 1}
		e, err := gateways[i%2].Reserve(t.Context(), k, holder("a"), until, share)
		switch {
		case i%2 == 0 && (err != nil || e.Holder != holder("a")):
			t.Fatal(i, e, err)
		case i%2 == 1 && !errors.Is(err, ledger.ErrShare):
			t.Fatal(i, e, err)
		}
		if i%2 == 1 {
			first := key(fmt.Sprint(i - 1))
			if e, err := gateways[1].Keep(t.Context(), first, holder("a"), until.Add(m)); err != nil || e.Holder != holder("a") {
				t.Fatal(i, e, err)
			}
			if err := gateways[0].Release(t.Context(), first, holder("a"), until.Add(m)); err != nil {
				t.Fatal(i, err)
			}
			if e, err := gateways[0].Reserve(t.Context(), k, holder("a"), until, share); err != nil || e.Holder != holder("a") {
				t.Fatal(i, e, err)
			}
		}
	}
	var used []token
	for i := range 30 {
		used = append(used, accept(t, gateways[0], fmt.Sprint("token ", i, " ")))
	}
	all[1].kill()
	for _, u := range used {
		if accepted, err := spend(gateways[1], u); accepted {
			t.Error("a token was accepted twice", err)
		}
	}
	if err := all[1].start(); err != nil {
		t.Fatal(err)
	}
	for i, u := range used {
		refuse(t, gateways[i%2], u)
	}
	accept(t, gateways[1], "another ")
	for _, l := range gateways {
		eventually(t, "the loss is noticed", func() error {
			if since(l).Before(used[len(used)-1].signed) {
				return fmt.Errorf("since %v", since(l))
			}
			return nil
		})
	}
}

// TestPlacesGivenBack has many owners want a key at once. Only the one who gets
// it has a place in his share.
func TestPlacesGivenBack(t *testing.T) {
	t.Parallel()
	s := spread(t)
	l := opened(t, s.ledger(func(o *Options) { o.Cluster = true }))
	for round := range 10 {
		var group sync.WaitGroup
		for i := range 32 {
			me := fmt.Sprint(round, " ", i)
			group.Go(func() {
				_, err := l.Reserve(t.Context(), key(fmt.Sprint(round)), holder(me), soon(), ledger.Share{Owner: key(me), Limit: 1})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		places := 0
		for i := range 32 {
			n, err := strconv.Atoi(s.do("ZCARD", l.shareKey(key(fmt.Sprint(round, " ", i)))))
			if err != nil {
				t.Fatal(err)
			}
			places += n
		}
		if places != 1 {
			t.Fatalf("there are %d places for one key", places)
		}
	}
}
