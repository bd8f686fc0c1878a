package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
)

// beat is the time between heartbeats.
const beat = 250 * time.Millisecond

var (
	errOld    = errors.New("this is no Redis 6 or Valkey: it does not speak RESP3")
	errSilent = fmt.Errorf("no answer within %v", redislink.Timeout)
)

// session is the one connection on which Redis tells of changes.
//
// rueidis reads a connection in one goroutine. It calls back for a message that
// was pushed before it reads on, so when the answer to a heartbeat is there,
// everything that Redis sent before it has been counted (pipe.go,
// _backgroundRead and handlePush). That goroutine must be running when tracking
// begins: a command that is alone on a connection is read by its sender, who
// skips messages (syncRead). And rueidis never mends a dedicated connection: one
// that broke stays broken, so no change is missed on it without notice.
type session struct {
	store     *Store
	dedicated rueidis.DedicatedClient
	sent      time.Duration // when the last command was sent that was answered
	flushes   atomic.Uint64 // messages that all is changed
	flushed   uint64        // those of them that were heeded
	heard     bool          // a heartbeat was answered
	over      atomic.Bool
}

// session hears of changes until the connection fails, or ctx ends. It returns
// whether it came to that it heard.
func (s *Store) session(ctx context.Context) (heard bool, err error) {
	s.asked = time.Now()
	client, err := s.reach(ctx)
	if err != nil {
		return false, err
	}
	dedicated, _ := client.Dedicate()
	n := &session{store: s, dedicated: dedicated}
	defer func() {
		n.over.Store(true)
		// It waits for an answer of a server that may have none, and nobody is to
		// learn later that Redis is away because of that. Given back to the pool,
		// the connection would be used again for what else may come.
		s.doings.Go(dedicated.Close)
	}()
	if err := n.track(ctx); err != nil {
		return false, err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ; ; timer.Reset(beat) {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return heard, ctx.Err()
		}
		s.asked = time.Now()
		if err := n.heartbeat(ctx); err != nil {
			return heard, err
		}
		if !heard {
			heard = true
			s.arrived()
		}
	}
}

// reach returns a client that has reached Redis. A dedicated client follows no
// redirection; an ordinary command goes to where it is to go, and brings the
// client's map of a cluster up to date.
func (s *Store) reach(ctx context.Context) (rueidis.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*redislink.Timeout)
	defer cancel()
	client, err := s.link.Client(ctx)
	if err != nil {
		return nil, err
	}
	return client, client.Do(ctx, client.B().Exists().Key(s.keys.ids).Build()).Error()
}

// track has Redis tell of every change to a record from here on.
func (n *session) track(ctx context.Context) error {
	b := n.dedicated.B()
	// In a cluster the first key decides on the node. Hooks are set when there is
	// a connection: set before, they are handed on by another goroutine.
	if _, err := n.do(ctx, b.Exists().Key(n.store.keys.ids).Build()); err != nil {
		return err
	}
	n.dedicated.SetOnInvalidations(n.invalidate)
	answers, err := n.do(ctx, b.Arbitrary("HELLO", "3").Build(),
		b.Arbitrary("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX").Args(n.store.keys.records).Build())
	if err != nil {
		return err
	}
	hello, err := answers[0].AsMap()
	if err != nil {
		return err
	}
	version := hello["version"]
	text, _ := version.ToString()
	major, _, _ := strings.Cut(text, ".")
	proto := hello["proto"]
	spoken, _ := proto.AsInt64()
	if at, err := strconv.Atoi(major); err != nil || at < 6 || spoken != 3 {
		return errOld
	}
	if err := answers[1].Error(); err != nil {
		return err
	}
	return nil
}

// heartbeat asks whether Redis is there, and can be written.
//
// Redis sends a message of a change when it has gone through the commands that
// came in together (beforeSleep), that is, possibly behind the answer to a
// heartbeat among them. The next heartbeat is sent when that answer is there, so
// it comes in later, and its answer has before it the messages of all that was
// changed before the last one was answered. Therefore the lease counts from when
// the last one was sent.
func (n *session) heartbeat(ctx context.Context) error {
	s, last, flushes := n.store, n.sent, n.flushes.Load()
	b := n.dedicated.B()
	answers, err := n.do(ctx, b.Hgetall().Key(s.keys.dialects).Build(),
		b.Setrange().Key(s.keys.probe).Offset(0).Value("").Build()) // nothing written to nothing makes no key
	if err != nil {
		return err
	}
	counts, err := answers[0].AsStrMap()
	if err != nil {
		return err
	}
	if err := answers[1].Error(); isReply(err, "READONLY", "MOVED", "ASK", "NOPERM") {
		return err // a replica is told of changes later than writers believe
	} else if err != nil {
		s.forbid(unwritten(err))
	} else {
		s.permit()
	}
	s.dialects.count(counts, n.sent)
	if flushes != n.flushed { // and the connection has outlived that
		n.flushed = flushes
		s.fresh.missed()
	}
	if !n.heard {
		// What was read before this session may have changed unheard. Not before it
		// has come to something: what is remembered may be needed until then.
		n.heard = true
		s.fresh.missed()
	}
	if n.flushes.Load() == flushes {
		s.fresh.renew(last)
	}
	return nil
}

// invalidate is called with the keys that have changed, or with none where all
// have, and also when the connection has ended. Only an answer to what is sent
// after it tells the two apart. If all records have changed it counts them as missed;
// if Redis is away, what is remembered may yet be needed.
func (n *session) invalidate(changed []rueidis.RedisMessage) {
	if n.over.Load() {
		return
	}
	if changed == nil {
		n.flushes.Add(1)
		n.store.fresh.drop()
		return
	}
	for i := range changed {
		key, err := changed[i].ToString()
		id, ours := strings.CutPrefix(key, n.store.keys.records)
		if err == nil && ours {
			n.store.fresh.changed(n.store.hash(id))
		}
	}
}

// do sends commands together. It returns the answers, or an error where the
// connection or the first command has failed. It waits without a deadline of rueidis': a command with one
// may be read by its sender.
func (n *session) do(ctx context.Context, commands ...rueidis.Completed) ([]rueidis.RedisResult, error) {
	sent := n.store.clock()
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(redislink.Timeout, cancel)
	defer timer.Stop()
	answers := n.dedicated.DoMulti(within, commands...)
	for i := range answers {
		if err := answers[i].NonRedisError(); err != nil && !rueidis.IsRedisNil(err) {
			switch {
			case ctx.Err() != nil:
				return nil, ctx.Err()
			case within.Err() == nil:
				return nil, err
			}
			return nil, errSilent
		}
	}
	if err := answers[0].Error(); err != nil {
		return nil, err
	}
	n.sent = sent
	return answers, nil
}
