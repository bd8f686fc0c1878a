package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/intake"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/naming"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
	"github.com/chatidentity/caddy-chat-identity/internal/period"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// How long things are kept in the ledger, and how many.
const (
	// provisional is how long an entry is kept until the upstream's answer confirms it.
	provisional = 2 * time.Minute
	// defaultKeep is how long a conversation is kept after its last use, and the merge
	// of a visitor after it was confirmed.
	defaultKeep = 90 * 24 * time.Hour
	// minKeep distinguishes confirmed entries from provisional ones.
	minKeep = time.Hour
	// defaultLimit is how many conversations one user of a widget may hold, and how many
	// visitors may be merged into that user.
	defaultLimit = 1000
	// maxLimit bounds how many conversations a user may be allowed.
	maxLimit = 1_000_000
)

// Conversation says where a request names its conversation, and how long that belongs to its user.
type Conversation struct {
	Naming

	// How long a conversation is kept after its last use. Default: 90d.
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
	c.Keep, c.Limit = cmp.Or(c.Keep, caddy.Duration(defaultKeep)), cmp.Or(c.Limit, defaultLimit)
	switch {
	case time.Duration(c.Keep) < minKeep:
		return errors.New("conversation: keep is at least " + period.Text(minKeep))
	case c.Limit < 0 || c.Limit > maxLimit:
		return fmt.Errorf("conversation: limit is from 1 to %d", maxLimit)
	}
	return nil
}

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
		return nil // newPlan reads the place
	case !strings.Contains(n.Text, "{"):
		return fmt.Errorf("%s: '%s' is the same for every request: write a text with placeholders, or a location and a name", field, n.Text)
	}
	text, err := h.newText(field, n.Text)
	if err == nil && text.Whole.Location == intake.AtQuery {
		// A plain place: its twin in the body is watched.
		*n = Naming{Location: intake.AtQuery, Name: text.Whole.Name}
		return nil
	}
	h.texts = append(h.texts, text)
	return ofOption(field.String(), err)
}

// allTexts returns the handler's texts with placeholders, that which names the widget included.
func (h *Handler) allTexts() []*naming.Text {
	if h.named == nil {
		return h.texts
	}
	return slices.Concat(h.texts, []*naming.Text{h.named})
}

// newText parses a text with placeholders by which requests name something.
func (h *Handler) newText(field verifier.Field, text string) (*naming.Text, error) {
	return naming.New(field, text, h.removes)
}

// claimConversation claims the conversation that a request names: the first verified
// user to name it holds it, provisionally until the upstream has answered. The error is
// why the request may not take part in it; the holding is nil if there is nothing to
// confirm.
func (h *Handler) claimConversation(ctx context.Context, w *widget, read *verifier.Reading, r *ruling) (*holding, error) {
	switch {
	case len(read.Unverified(verifier.Conversation)) == 0:
		return nil, nil
	case judgment.ReasonOf(r.claim) == judgment.Unavailable:
		return nil, r.claim // it may belong to this user
	case w == nil:
		return nil, judgment.ErrWidgetUnknown // a user of any widget may hold it
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
		return nil, nil // its use is recorded at most once a day
	}
	hold.until = entry.Until
	return hold, nil
}

// errVisitorTaken says that the visitor was merged into another user.
var errVisitorTaken = errors.New("the visitor is another user's")

// claimVisitor claims the anonymous visitor that the verified user was before. A visitor
// is merged into one user, the first to name it, unless the upstream refuses that. The
// holding is nil if the upstream need not be told: it has confirmed the merge before.
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
	case err != nil: // a later request delivers it
		return nil, err
	case entry.Holder != hold.holder:
		return nil, errVisitorTaken
	case entry.Until.After(now.Add(provisional + time.Minute)):
		return nil, nil // confirmed before
	}
	hold.until = entry.Until
	return hold, nil
}
