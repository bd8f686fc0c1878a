package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
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
	// minKeep keeps provisional entries apart from confirmed ones.
	minKeep = time.Hour
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
	case time.Duration(c.Keep) < minKeep:
		return fmt.Errorf("conversation: keep is at least %v", minKeep)
	case c.Limit < 0 || c.Limit > maxLimit:
		return fmt.Errorf("conversation: limit is from 1 to %d", maxLimit)
	}
	return nil
}

// maxLimit bounds how many conversations a user may be allowed.
const maxLimit = 1_000_000

// provisionNames determines how a request names its conversation and its visitor.
func (h *Handler) provisionNames() error {
	h.texts = nil
	if h.Conversation != nil {
		if err := h.Conversation.provision(); err != nil {
			return err
		}
		if err := h.provisionNaming(verifier.Conversation, &h.Conversation.Naming); err != nil {
			return err
		}
	}
	if h.Visitor != nil {
		return h.provisionNaming(verifier.Visitor, h.Visitor)
	}
	return nil
}

func (h *Handler) provisionNaming(field verifier.Field, n *Naming) error {
	switch {
	case n.Text != "" && n.Location != "" || n.Text == "" && n.Location == "":
		return fmt.Errorf("%s is either a text with placeholders or a place", field)
	case n.Text == "":
		return nil // a place of each plan
	case !strings.Contains(n.Text, "{"):
		return fmt.Errorf("%s: '%s' is the same for every request: write a text with placeholders, or a location and a name", field, n.Text)
	}
	text, err := h.newText(field, n.Text)
	if err == nil && text.Query != "" {
		// A place like any other, which backends may find in the body, too.
		*n = Naming{Location: intake.AtQuery, Name: text.Query}
		return nil
	}
	h.texts = append(h.texts, text)
	return ofOption(field.String(), err)
}

// newText returns a text by which requests name something.
func (h *Handler) newText(field verifier.Field, text string) (*naming.Text, error) {
	return naming.New(field, text, h.ours)
}

// claimConversation returns why a request may not take part in the conversation that
// it names, if so. The first verified user to name it has it: provisionally, until the
// upstream has answered him.
func (h *Handler) claimConversation(ctx context.Context, w *widget, read *verifier.Reading, r *ruling) (*holding, error) {
	switch {
	case len(read.Unverified(verifier.Conversation)) == 0:
		return nil, nil
	case judgment.ReasonOf(r.claim) == judgment.Unavailable:
		return nil, r.claim // it could be its user's own
	case w == nil:
		return nil, judgment.ErrClaimed // it may be a conversation of any widget
	}
	hold := newHolding(kindConversation, w, read.AppendID(nil, verifier.Conversation), &r.identity, h.Conversation.Limit, time.Duration(h.Conversation.Keep))
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	if r.claim != nil {
		entry, err := h.ledger.Held(ctx, hold.key)
		if err == nil && entry.Holder != (ledger.Holder{}) {
			err = judgment.ErrClaimed
		}
		return nil, err
	}
	now := time.Now()
	entry, err := h.ledger.Reserve(ctx, hold.key, hold.holder, now.Add(provisional), hold.share)
	switch {
	case errors.Is(err, ledger.ErrShare):
		return nil, fmt.Errorf("%w: %w", judgment.ErrClaimed, err)
	case err != nil:
		return nil, err
	case entry.Holder != hold.holder:
		return nil, judgment.ErrClaimed
	case !entry.Until.Before(now.Add(hold.keep - min(24*time.Hour, hold.keep/2))):
		return nil, nil // the use is written down once a day
	}
	hold.until = entry.Until
	return hold, nil
}

// errVisitorTaken refuses a visitor whom another user has brought along.
var errVisitorTaken = errors.New("the visitor is another user's")

// claimVisitor returns the anonymous visitor whom the verified user was, where the
// upstream is to be told of him: until it has confirmed that. A visitor is merged into
// one user: the first to bring him along, unless the upstream refuses that.
func (h *Handler) claimVisitor(ctx context.Context, w *widget, read *verifier.Reading, r *ruling) (*holding, error) {
	if len(read.Unverified(verifier.Visitor)) == 0 {
		return nil, nil
	}
	hold := newHolding(kindVisitor, w, read.AppendID(nil, verifier.Visitor), &r.identity, defaultLimit, defaultKeep)
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	now := time.Now()
	entry, err := h.ledger.Reserve(ctx, hold.key, hold.holder, now.Add(provisional), hold.share)
	switch {
	case err != nil: // it is delivered at least once, and so with a later request
		return nil, err
	case entry.Holder != hold.holder:
		return nil, errVisitorTaken
	case entry.Until.After(now.Add(provisional + time.Minute)):
		return nil, nil // confirmed before
	}
	hold.until = entry.Until
	return hold, nil
}
