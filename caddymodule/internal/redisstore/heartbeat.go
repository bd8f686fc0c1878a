package redisstore

import (
	"context"
	"errors"
	"maps"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/zap"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
)

const (
	// interval is the time between two heartbeats.
	interval = 250 * time.Millisecond
	// lease is how long cached records may be used after the last answered heartbeat was
	// sent.
	lease = time.Second
	// writerWait is how long a writer waits for others' leases to end. It is longer than a
	// lease, since clocks differ in speed.
	writerWait = lease + 100*time.Millisecond
	never      = math.MinInt64 / 2
	// policyEvery is how many heartbeats pass between two questions for the policy, about a
	// minute.
	policyEvery = 240
)

// heartbeat returns, atomically, the version of the widgets, whether Redis accepts writes, the
// store's name, and the counts of dialects. Writing an empty text to a missing key does not create it.
const heartbeat = `
local probe = redis.pcall('SETRANGE', KEYS[2], 0, '')
local answer = {redis.call('GET', KEYS[1]) or '', type(probe) == 'table' and probe.err or '', redis.call('GET', KEYS[4]) or ''}
for _, text in ipairs(redis.call('HGETALL', KEYS[3])) do answer[#answer + 1] = text end
return answer`

// check determines whether Redis is away. Concurrent callers share one check.
func (s *Store) check() error {
	_, err, _ := s.checks.Do("", func() (any, error) {
		err := s.beat(redislink.Timeout)
		if err != nil && redislink.Explain(err).Code == "" {
			// This process may have been stopped, and its connection cut meanwhile. If
			// it took Redis to be away, it would serve what was retired while it was
			// stopped. So it asks once more, though not for long, since requests wait.
			err = s.beat(redislink.Timeout / 2)
		}
		switch {
		case s.alive.Err() != nil:
			return nil, errClosed
		case err == nil:
			s.away.Store(nil)
			if s.lost.Load() == nil {
				s.readAlarm.Clear()
			}
			return nil, nil
		}
		code := redislink.Explain(err).Code
		err = unreadable(err)
		s.away.Store(&err)
		s.dialects.counted.Store(false)
		s.readAlarm.Raise(code, err)
		return nil, err
	})
	return err
}

// beat sends one heartbeat. If the version has changed, nothing that was read before is used
// any more; otherwise all of it is current, unless the widgets are lost.
func (s *Store) beat(within time.Duration) error {
	ctx, cancel := context.WithTimeout(s.alive, within)
	defer cancel()
	client, err := s.link.Client(ctx)
	if err != nil {
		return err
	}
	sent := s.clock()
	answer, err := client.Do(ctx, client.B().Eval().Script(heartbeat).Numkeys(4).
		Key(s.keys.version, s.keys.probe, s.keys.dialects, s.keys.store).Build().ToRetryable()).AsStrSlice()
	if err == nil && len(answer) < 3 {
		err = errors.New("the answer to a heartbeat is too short")
	}
	if err != nil {
		return err
	}
	if err := redislink.Refusal(answer[1]); err == "" {
		s.unwritable.Store(nil)
		s.writeAlarm.Clear()
	} else if f := redislink.Explain(err); f.Of("OOM", "MISCONF", "NOREPLICAS") {
		err := unwritten(err)
		s.unwritable.Store(&err)
		s.writeAlarm.Raise(f.Code, err)
	} else {
		return err // for example a replica, which may not have the latest changes
	}
	s.warnEviction(ctx, client)
	if s.compare(answer[2]) { // it says nothing about the widgets that are cached
		if !strings.HasPrefix(answer[2], answer[0]) { // the first version is the store's name
			s.confirmed.Store(never)
		}
		s.heard.Store(int64(sent)) // after that, see remembered
		return nil
	}
	s.dialects.count(answer[3:], sent)
	// Without a version, it could be a store that was emptied and filled again since.
	if answer[0] == "" || answer[0] != s.seen.Load().version {
		s.seen.Store(&seen{answer[0], s.clock()})
		s.epoch.Add(1)
	}
	s.confirmed.Store(int64(sent)) // after the epoch, see current
	s.heard.Store(int64(sent))
	return nil
}

// warnEviction logs that Redis evicts widgets, once per policy. It needs a Redis user that
// may run INFO, as the ledger does anyway. Only check calls it.
func (s *Store) warnEviction(ctx context.Context, client rueidis.Client) {
	if s.beats++; s.beats%policyEvery != 1 {
		return
	}
	text, err := client.Do(ctx, client.B().Info().Section("memory").Build()).ToString()
	if err != nil {
		return // the next heartbeat notices what matters
	}
	policy := redislink.Info(text)["maxmemory_policy"]
	if strings.HasPrefix(policy, "allkeys-") && policy != s.policy { // others evict what expires, which widgets do not
		s.log.Error("Redis evicts widgets without a trace when its memory is full: set its maxmemory-policy to noeviction, or use a server of its own",
			zap.String("maxmemory_policy", policy))
	}
	s.policy = policy
}

// dialects are the widgets' own dialects.
type dialects struct {
	counted atomic.Bool // while that is not so, any dialect may be spoken

	mu   sync.Mutex
	seen atomic.Pointer[map[string]time.Duration] // when there last was a widget with the dialect
}

func (d *dialects) speaks(dialect string) bool {
	if dialect == "" || !d.counted.Load() {
		return dialect != ""
	}
	_, spoken := (*d.seen.Load())[dialect]
	return spoken
}

// note notes that there is a record with that dialect, before the counts in Redis are read
// again.
func (d *dialects) note(dialect string, now time.Duration) {
	if dialect != "" {
		d.change(func(seen map[string]time.Duration) { seen[dialect] = now })
	}
}

// count takes the counts of Redis, which were requested at that time, each after its dialect.
// Dialects noted later stay, since the counts may not include them.
func (d *dialects) count(counts []string, asked time.Duration) {
	d.change(func(seen map[string]time.Duration) {
		for i := 0; i < len(counts); i += 2 {
			seen[counts[i]] = asked // a count that falls to zero is removed
		}
		maps.DeleteFunc(seen, func(_ string, at time.Duration) bool { return at < asked })
	})
	d.counted.Store(true)
}

func (d *dialects) change(change func(seen map[string]time.Duration)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := make(map[string]time.Duration)
	if seen := d.seen.Load(); seen != nil {
		maps.Copy(next, *seen)
	}
	change(next)
	d.seen.Store(&next)
}
