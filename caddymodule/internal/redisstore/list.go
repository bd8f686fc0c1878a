package redisstore

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// page is how many records are read at once.
const page = 256

// List implements [widgets.Store]. It goes by an index of the ids, so that a page
// costs the same however many widgets there are. What is changed meanwhile is in
// it or is not.
func (s *Store) List(ctx context.Context, after string, limit int) ([]*widgets.Record, error) {
	if s.ended.Load() {
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
		if len(ids) > 0 {
			after = ids[len(ids)-1]
			if records, err = s.append(ctx, client, records, ids); err != nil {
				return nil, err
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

// append reads the records of ids, and leaves out those that are gone.
func (s *Store) append(ctx context.Context, client rueidis.Client, records []*widgets.Record, ids []string) ([]*widgets.Record, error) {
	ctx, cancel := limited(ctx)
	defer cancel()
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = s.keys.record(id)
	}
	values, err := client.Do(ctx, client.B().Mget().Key(names...).Build()).ToArray()
	if err != nil {
		return nil, unreadable(err)
	}
	for i := range values {
		text, err := values[i].ToString()
		if rueidis.IsRedisNil(err) {
			continue
		}
		if err != nil {
			return nil, unreadable(err)
		}
		record, err := decode(ids[i], text)
		if err != nil {
			return nil, &badRecord{s.keys.record(ids[i]), ids[i], err}
		}
		records = append(records, record)
	}
	return records, nil
}
