package redisledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

// oldest is the oldest Redis whose commands are enough.
const oldest = 6

// inspect looks whether the servers are fit and remember. In a cluster it also
// asks for the key at which a call failed: that has the client find out who
// serves it now.
func (l *Ledger) inspect(ctx context.Context, known *standing, blamed string, write bool) (*standing, error) {
	primaries, err := l.primaries(ctx, known)
	if err != nil {
		return nil, err
	}
	if l.cluster && blamed != "" {
		// Not GET as the client knows it, which it would repeat.
		if err := l.client.Do(ctx, l.client.B().Arbitrary("GET").Keys(blamed).Build()).Error(); err != nil &&
			!rueidis.IsRedisNil(err) && !strings.HasPrefix(err.Error(), "WRONGTYPE ") {
			return nil, err
		}
	}
	found := &standing{primaries: primaries, runs: strings.Join(slices.Sorted(maps.Values(primaries)), " ")}
	return found, l.agree(ctx, known, found, write)
}

// primaries returns the run ids of the servers that are written to, or why one
// of them is not to be used.
func (l *Ledger) primaries(ctx context.Context, known *standing) (map[string]string, error) {
	if !l.cluster {
		a, err := l.account(ctx, l.client)
		if err == nil {
			err = a.fit(false)
		}
		if err != nil {
			return nil, err
		}
		return map[string]string{"": a.run}, nil
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	found := make(map[string]string)
	var failure error
	for address, node := range l.client.Nodes() {
		group.Go(func() {
			a, err := l.account(ctx, node)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil && complaintOf(err).away:
				// It answers nobody, so it need not be fit. Should it come back as
				// it was, it remembers.
				if known != nil && known.primaries[address] != "" {
					found[address] = known.primaries[address]
				}
			case err != nil:
				failure = err
			case a.role == "master":
				found[address] = a.run
				if err := a.fit(true); err != nil {
					failure = fmt.Errorf("%s: %w", address, err)
				}
			}
		})
	}
	group.Wait()
	return found, failure
}

// account is what a server says about itself.
type account struct{ run, role, version, policy, mode string }

func (l *Ledger) account(ctx context.Context, node rueidis.Client) (*account, error) {
	var all strings.Builder
	// One after the other: Redis 6 takes one section at a time.
	for _, reply := range node.DoMulti(ctx,
		node.B().Arbitrary("INFO", "server").Build(),
		node.B().Arbitrary("INFO", "replication").Build(),
		node.B().Arbitrary("INFO", "memory").Build()) {
		text, err := reply.ToString()
		if err != nil {
			if strings.HasPrefix(err.Error(), "NOPERM ") {
				return nil, &refusal{"INFO", "the user may not ask the server whether it could forget: grant him +info: " + err.Error()}
			}
			return nil, err
		}
		all.WriteString(text + "\n")
	}
	a := new(account)
	for line := range strings.Lines(all.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "run_id":
			a.run = value
		case "role":
			a.role = value
		case "redis_version":
			a.version = value
		case "redis_mode":
			a.mode = value
		case "maxmemory_policy":
			a.policy = value
		}
	}
	return a, nil
}

// fit returns why the server is not to be used, if so.
func (a *account) fit(cluster bool) error {
	major, _, _ := strings.Cut(a.version, ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil || n < oldest:
		return &refusal{"version", fmt.Sprintf("the server is Redis %q: use Redis %d or later, or Valkey", a.version, oldest)}
	case a.run == "" || a.policy == "":
		return &refusal{"info", "the server's INFO does not tell its run_id or its maxmemory_policy, so nobody can tell whether it forgets: use another"}
	case a.role != "master":
		return &refusal{"role", fmt.Sprintf("the server's role is %q: give the address of the primary, or of the sentinels", a.role)}
	case a.policy != "noeviction":
		return &refusal{"policy", fmt.Sprintf("the server's maxmemory-policy is %s, with which it forgets what was used when its memory is full: "+
			"CONFIG SET maxmemory-policy noeviction, in its configuration too, or use a server of its own", a.policy)}
	case a.mode == "cluster" && !cluster:
		return &refusal{"mode", "the server is a node of a cluster, and the client was not made for one: say so in the configuration"}
	}
	return nil
}
