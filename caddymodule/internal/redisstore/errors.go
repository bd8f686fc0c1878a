package redisstore

import (
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

var (
	errClosed     = fmt.Errorf("%w: it is closed", widgets.ErrUnavailable)
	errConnecting = fmt.Errorf("%w: Redis was not reached yet", widgets.ErrUnavailable)
)

// unreadable says what to do when Redis does not answer.
func unreadable(err error) error {
	return fmt.Errorf("%w: %w: %s", widgets.ErrUnavailable, err, redislink.Explain(err).Advice)
}

// unwritten says what to do when Redis refuses a change.
func unwritten(err error) error {
	return fmt.Errorf("%w: nothing was changed: %w: %s", widgets.ErrUnavailable, err, redislink.Explain(err).Advice)
}

// unsure says that a change was sent, and its outcome is not known.
func unsure(err error) error {
	return fmt.Errorf("%w: it is not known whether all, some or nothing was changed, look before you try again: %w: %s",
		widgets.ErrUnavailable, err, redislink.Explain(err).Advice)
}
