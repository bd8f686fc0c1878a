package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// How long things are kept in the ledger, and how many.
const (
	// provisional is how long an entry is kept that no answer of the upstream has
	// confirmed yet.
	provisional = 2 * time.Minute
	// defaultKeep is how long a conversation is kept since its last use, and the
	// merging of a visitor since it was confirmed.
	defaultKeep = 90 * 24 * time.Hour
	// leastKeep keeps provisional entries apart from confirmed ones.
	leastKeep = time.Hour
	// defaultLimit is how many conversations one user of a widget holds, and how
	// many visitors he is merged with.
	defaultLimit = 1000
)

// Conversation says where a request names its conversation, and how long that is its user's.
type Conversation struct {
	Naming

	// How long a conversation is kept since its last use. Default: 90d.
	Keep caddy.Duration `json:"keep,omitempty"`

	// How many conversations one user of a widget may hold. Default: 1000.
	Limit int `json:"limit,omitempty"`
}

// naming returns where a request names its conversation, nil for nowhere.
func (c *Conversation) naming() *Naming {
	if c == nil {
		return nil
	}
	return &c.Naming
}

func (c *Conversation) provision() error {
	if c.Keep == 0 {
		c.Keep = caddy.Duration(defaultKeep)
	}
	if c.Limit == 0 {
		c.Limit = defaultLimit
	}
	switch {
	case time.Duration(c.Keep) < leastKeep:
		return fmt.Errorf("conversation: keep is at least %v", leastKeep)
	case c.Limit < 0 || c.Limit > maxLimit:
		return fmt.Errorf("conversation: limit is from 1 to %d", maxLimit)
	}
	return nil
}

// maxLimit bounds how many conversations a user may be allowed.
const maxLimit = 1_000_000

// converse settles whether the request may take part in the conversation that
// it names. The first verified user to name it has it; provisionally, until the
// upstream has answered him.
func (x *exchange) converse(cause error) error {
	if len(x.reading.Unverified(verifier.Conversation)) == 0 {
		return nil
	}
	if errors.Is(cause, judgment.ErrUnavailable) {
		x.closed = true // it could be its user's own
		return nil
	}
	if x.widget == nil {
		// It may be a conversation of any widget.
		return judgment.ErrClaimed
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), ledgerPatience)
	defer cancel()
	key := ledger.Key(ledgerDigest(kindConversation, x.widget.id, x.reading.AppendID(nil, verifier.Conversation)))
	if cause != nil {
		entry, err := x.h.ledger.Held(ctx, key)
		return x.conversed(entry.Holder == ledger.Holder{}, err)
	}
	user := []byte(x.identity.User())
	hold := &holding{
		key: key, holder: ledgerDigest(kindUser, x.widget.id, user), keep: time.Duration(x.h.Conversation.Keep),
		share: ledger.Share{Owner: ledgerDigest(kindConversations, x.widget.id, user), Limit: x.h.Conversation.Limit},
	}
	now := time.Now()
	entry, err := x.h.ledger.Reserve(ctx, hold.key, hold.holder, now.Add(provisional), hold.share)
	if errors.Is(err, ledger.ErrShare) {
		x.widgetErr = err
		return judgment.ErrClaimed
	}
	if err := x.conversed(entry.Holder == hold.holder, err); err != nil {
		return err
	}
	// The use is written down once a day.
	if hold.until = entry.Until; entry.Until.Before(now.Add(hold.keep - min(24*time.Hour, hold.keep/2))) {
		x.s.pending.conversation = hold
	}
	return nil
}

// conversed turns the ledger's answer into the request's.
func (x *exchange) conversed(own bool, err error) error {
	switch {
	case err != nil:
		x.widgetErr, x.closed = err, true
		return judgment.ErrUnavailable
	case !own:
		return judgment.ErrClaimed
	}
	return nil
}
