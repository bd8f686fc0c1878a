package redisstore

import (
	"context"
	"errors"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// page is how many records are read at once.
const page = 256

// List implements [widgets.Store]. It uses an index of the ids, so that a page costs the same
// for any number of widgets. Concurrent changes may or may not be included.
func (s *Store) List(ctx context.Context, after string, limit int) ([]*widgets.Record, error) {
	if s.alive.Err() != nil {
		return nil, errClosed
	}
	if err := s.away.Load(); err != nil {
		return nil, *err
	}
	var records []*widgets.Record
	for len(records) < limit {
		first, n := "-", min(limit-len(records), page)
		if after != "" {
			first = "(" + after
		}
		answer, err := s.ask(ctx, func(b rueidis.Builder) rueidis.Completed {
			return b.Zrangebylex().Key(s.keys.ids).Min(first).Max("+").Limit(0, int64(n)).Build()
		})
		if err != nil {
			return nil, unreadable(err)
		}
		ids, err := answer.AsStrSlice()
		if err != nil {
			return nil, unreadable(err)
		}
		found, _, err := s.read(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, after = range ids {
			if record := found[after].record; record != nil { // otherwise it was deleted
				records = append(records, record)
			}
		}
		if len(ids) < n {
			break
		}
	}
	return records, nil
}

// stored is what Redis has of an id.
type stored struct {
	value  string // empty for nothing
	record *widgets.Record
}

// read reads what there is of the ids, and the version, all at one moment.
func (s *Store) read(ctx context.Context, ids []string) (found map[string]stored, version string, err error) {
	if len(ids) == 0 {
		return nil, "", nil
	}
	names := make([]string, 0, len(ids)+1)
	for _, id := range ids {
		names = append(names, s.keys.record(id))
	}
	names = append(names, s.keys.version)
	answer, err := s.ask(ctx, func(b rueidis.Builder) rueidis.Completed { return b.Mget().Key(names...).Build() })
	var values []rueidis.RedisMessage
	if err == nil {
		values, err = answer.ToArray()
	}
	if err == nil && len(values) != len(names) {
		err = errors.New("the answer has a wrong number of values")
	}
	if err != nil {
		return nil, "", unreadable(err)
	}
	found = make(map[string]stored, len(ids))
	for i, id := range ids {
		var of stored
		if of.value, err = values[i].ToString(); err == nil {
			of.record, err = decode(id, of.value)
		}
		if err != nil && !rueidis.IsRedisNil(err) {
			return nil, "", &badRecord{names[i], id, err}
		}
		found[id] = of
	}
	version, _ = values[len(ids)].ToString() // there may be none
	return found, version, nil
}
