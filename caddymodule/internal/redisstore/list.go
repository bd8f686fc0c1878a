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
	client, err := s.link.Client(ctx)
	if err != nil {
		return nil, unreadable(err)
	}
	var records []*widgets.Record
	for len(records) < limit {
		n := min(limit-len(records), page)
		ids, err := s.idsAfter(ctx, client, after, n)
		if err != nil {
			return nil, err
		}
		_, found, _, err := s.read(ctx, client, ids)
		if err != nil {
			return nil, err
		}
		for i, record := range found {
			if after = ids[i]; record != nil { // otherwise it was deleted
				records = append(records, record)
			}
		}
		if len(ids) < n {
			break
		}
	}
	return records, nil
}

func (s *Store) idsAfter(ctx context.Context, client rueidis.Client, after string, n int) ([]string, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	first := "-"
	if after != "" {
		first = "(" + after
	}
	ids, err := client.Do(ctx, client.B().Zrangebylex().Key(s.keys.ids).Min(first).Max("+").Limit(0, int64(n)).Build()).AsStrSlice()
	if err != nil {
		return nil, unreadable(err)
	}
	return ids, nil
}

// read reads the values of ids, empty for none, their records, and the version, all at one
// moment.
func (s *Store) read(ctx context.Context, client rueidis.Client, ids []string) (values []string, records []*widgets.Record, version string, err error) {
	values, records = make([]string, len(ids)), make([]*widgets.Record, len(ids))
	if len(ids) == 0 {
		return values, records, "", nil
	}
	ctx, cancel := limited(ctx)
	defer cancel()
	names := make([]string, 0, len(ids)+1)
	for _, id := range ids {
		names = append(names, s.keys.record(id))
	}
	names = append(names, s.keys.version)
	answers, err := client.Do(ctx, client.B().Mget().Key(names...).Build()).ToArray()
	if err == nil && len(answers) != len(names) {
		err = errors.New("the answer has a wrong number of values")
	}
	if err != nil {
		return nil, nil, "", unreadable(err)
	}
	for i, id := range ids {
		if values[i], err = answers[i].ToString(); rueidis.IsRedisNil(err) {
			continue
		}
		if err == nil {
			records[i], err = decode(id, values[i])
		}
		if err != nil {
			return nil, nil, "", &badRecord{names[i], id, err}
		}
	}
	version, _ = answers[len(ids)].ToString() // there may be none
	return values, records, version, nil
}
