package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// loss says what happened and what to do.
const (
	loss    = lossWhy + "known widgets are served for stale_if_error, but not after one was changed or deleted, and all others are unavailable: " + lossWay
	lossWhy = "Redis has lost the widgets that this gateway knew, since it was emptied, restarted without its data or replaced: "
	lossWay = "restore its data, import a backup ('caddy chat-identity import'), or go on without them ('caddy chat-identity store accept-loss')"
)

var (
	errLost  = fmt.Errorf("%w: %s", widgets.ErrUnavailable, loss)
	errEnded = fmt.Errorf("%w: %sthis one is not stored, and no gateway serves it, or another lost one, from memory any more: %s. "+
		"If that brings it back, repeat this change", widgets.ErrUnavailable, lossWhy, lossWay)
)

// compare determines whether Redis still has the store that this gateway knows, by the name
// that was written with the first widget. Behind it are the names of lost stores that it
// replaces, so that a loss is accepted for all gateways at once. An empty Redis has no name.
// Only check calls it.
func (s *Store) compare(text string) (lost bool) {
	names := strings.Fields(text)
	if s.known != "" && !slices.Contains(names, s.known) {
		known := s.known
		s.lost.Store(&known)
		s.dialects.counted.Store(false)
		s.lossAlarm.Raise("", nil)
		return true
	}
	if s.lost.Load() != nil {
		s.epoch.Add(1) // the version may be that of before, but what was read meanwhile is not
		s.lost.Store(nil)
	}
	s.lossAlarm.Clear()
	if len(names) == 0 {
		return false
	}
	s.known = names[0]
	s.note.Set(s.known, s.log)
	return false
}

// endRemembered follows a change of a widget that is not stored. If the widgets are lost, that
// one may be served from memory all the same: it ends that in the fleet, by another version.
func (s *Store) endRemembered() error {
	for read := int64(s.clock()); s.heard.Load() < read; { // the loss may be younger
		if err := s.check(); err != nil {
			return err
		}
	}
	if s.lost.Load() == nil {
		return nil
	}
	s.confirmed.Store(never)
	if _, err := s.ask(context.Background(), func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key(s.keys.version).Value(rand.Text()).Build()
	}); err != nil {
		return unsure(err)
	}
	time.Sleep(writerWait)
	return errEnded
}

// accept adds the name of a lost store to the store's.
const accept = `
local names = redis.call('GET', KEYS[1]) or ARGV[1]
if not string.find(names, ARGV[2], 1, true) then redis.call('SET', KEYS[1], names .. ' ' .. ARGV[2]) end
return 1`

// Loss implements [widgets.Store].
func (s *Store) Loss() string {
	if s.lost.Load() == nil {
		return ""
	}
	return loss + ". " + s.served()
}

// AcceptLoss implements [widgets.Store], for all gateways that knew the same store.
func (s *Store) AcceptLoss(ctx context.Context) (bool, error) {
	if err := s.check(); err != nil { // it is not known whether they are lost
		return false, err
	}
	lost := s.lost.Load()
	if lost == nil {
		return false, nil
	}
	if _, err := s.ask(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Eval().Script(accept).Numkeys(1).Key(s.keys.store).Arg(rand.Text(), *lost).Build()
	}); err != nil {
		return false, unwritten(err)
	}
	return true, s.check()
}
