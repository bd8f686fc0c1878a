package redisstore

import (
	"context"
	"os"

	"github.com/redis/rueidis"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
)

// Note implements [widgets.Store]. A machine is identified by its host name.
func (s *Store) Note(ctx context.Context, name string) (text string, err error) {
	err = s.noted(ctx, name, func(ctx context.Context, client rueidis.Client, key string) (err error) {
		text, err = client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
		return err
	})
	return text, err
}

// SetNote implements [widgets.Store].
func (s *Store) SetNote(ctx context.Context, name, text string) error {
	return s.noted(ctx, name, func(ctx context.Context, client rueidis.Client, key string) error {
		return client.Do(ctx, client.B().Set().Key(key).Value(text).Build()).Error()
	})
}

// noted reads or writes a note.
func (s *Store) noted(ctx context.Context, name string, do func(context.Context, rueidis.Client, string) error) error {
	host, err := os.Hostname()
	if err != nil {
		return unreadable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, redislink.Timeout)
	defer cancel()
	client, err := s.link.Client(ctx)
	if err != nil {
		return unreadable(err)
	}
	if err := do(ctx, client, s.keys.notes+host+":"+name); err != nil && !rueidis.IsRedisNil(err) {
		return unreadable(err)
	}
	return nil
}
