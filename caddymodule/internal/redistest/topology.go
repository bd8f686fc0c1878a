package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
)

// clustered makes a server a node of a cluster.
var clustered = []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000"}

// StartCluster starts a cluster of that many nodes, each with its part of the
// slots.
func StartCluster(t testing.TB, count int) []*Server {
	t.Helper()
	nodes := make([]*Server, count)
	for i := range nodes {
		s := Start(t, clustered...)
		nodes[i] = s
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		s.AddSlots(i*Slots/count, (i+1)*Slots/count)
		if i > 0 {
			nodes[0].Do("CLUSTER", "MEET", "127.0.0.1", s.Port)
		}
	}
	Know(t, nodes)
	return nodes
}

// Slots is how many a cluster has.
const Slots = 16384

// AddSlots has a node serve the slots from one up to another, without that one. Redis 6 knows
// no command for ranges.
func (s *Server) AddSlots(from, to int) {
	s.t.Helper()
	add := []string{"CLUSTER", "ADDSLOTS"}
	for slot := from; slot < to; slot++ {
		add = append(add, strconv.Itoa(slot))
	}
	s.Do(add...)
}

// Know waits until the cluster is up and each of these nodes knows all of them.
func Know(t testing.TB, nodes []*Server) {
	t.Helper()
	for _, s := range nodes {
		testbed.Until(t, "the cluster to come up", func() bool {
			info := s.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(nodes))+"\r")
		})
	}
}

// StartReplica starts a replica of the server, in the same cluster if it is a node.
func (s *Server) StartReplica() *Server {
	s.t.Helper()
	var replica *Server
	if slices.Contains(s.args, clustered[0]) {
		replica = Start(s.t, clustered...)
		id := s.Do("CLUSTER", "MYID")
		s.Do("CLUSTER", "MEET", "127.0.0.1", replica.Port)
		testbed.Until(s.t, "the nodes to meet", func() bool { return strings.Contains(replica.Do("CLUSTER", "NODES"), id) })
		replica.Do("CLUSTER", "REPLICATE", id)
	} else {
		replica = Start(s.t, "--replicaof", "127.0.0.1", s.Port)
	}
	testbed.Until(s.t, "the replica to follow", func() bool {
		return strings.Contains(replica.Do("INFO", "replication"), "master_link_status:up")
	})
	return replica
}

// FailOver ends the server, once its replica has what the server has now, and waits until
// the replica has taken its place.
func (s *Server) FailOver(replica *Server) {
	s.t.Helper()
	offset := func(s *Server, name string) int {
		found := regexp.MustCompile(name + `:(\d+)`).FindStringSubmatch(s.Do("INFO", "replication"))
		if found == nil {
			return -1
		}
		n, _ := strconv.Atoi(found[1])
		return n
	}
	all := offset(s, "master_repl_offset")
	testbed.Until(s.t, "the replica to have everything", func() bool { return offset(replica, "slave_repl_offset") >= all })
	s.Kill()
	testbed.Until(s.t, "the replica to be the primary", func() bool {
		return strings.Contains(replica.Do("INFO", "replication"), "role:master")
	})
}

// StartSentinels starts that many Sentinels of a server and its replicas, which they call main.
// They are returned once they know that many replicas, and each other.
func (s *Server) StartSentinels(count, replicas int) []*Server {
	s.t.Helper()
	all := make([]*Server, count)
	for i := range all {
		config := filepath.Join(s.t.TempDir(), "sentinel.conf") // which it writes to
		text := fmt.Sprintf("sentinel monitor main 127.0.0.1 %s %d\nsentinel down-after-milliseconds main 500\n"+
			"sentinel failover-timeout main 2000\n", s.Port, count/2+1)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
		all[i] = start(s.t, []string{config}, "--sentinel")
	}
	for _, sentinel := range all {
		testbed.Until(s.t, "the Sentinels to know all", func() bool {
			return strings.Contains(sentinel.Do("INFO", "sentinel"), fmt.Sprintf("slaves=%d,sentinels=%d", replicas, count))
		})
	}
	return all
}
