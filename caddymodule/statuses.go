package caddymodule

import (
	"cmp"
	"fmt"
	"maps"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// modeFor returns the mode for a widget, nil for none. The handler's mode is a minimum: the
// client chooses the widget, and must not choose a laxer mode with it.
func (h *Handler) modeFor(w *widget) widgets.Mode {
	if w != nil && w.mode > h.Mode {
		return w.mode
	}
	return cmp.Or(h.Mode, widgets.ModeOptional)
}

// answer is how a reason is refused.
type answer struct {
	status int
	always bool // in optional mode, too
}

// answers are the defaults.
var answers = map[judgment.Reason]answer{
	judgment.TooLarge:            {413, true},
	judgment.Unsupported:         {415, true},
	judgment.Malformed:           {400, true},
	judgment.Ambiguous:           {400, true},
	judgment.Missing:             {401, false},
	judgment.Partial:             {401, false},
	judgment.WidgetUnknown:       {403, false},
	judgment.Unavailable:         {503, false},
	judgment.Invalid:             {403, false},
	judgment.Expired:             {401, false},
	judgment.Replayed:            {403, false},
	judgment.ConversationClaimed: {403, true},
}

// unverified are the reasons that some products answer with one status: see [verifier.Dialect.Answers].
var unverified = []judgment.Reason{
	judgment.Missing, judgment.Partial, judgment.Invalid, judgment.Expired, judgment.Replayed,
}

// answersFor returns the answers of a dialect, whose status for whoever is not verified is 0
// where it has none, with the operator's overrides, which hold in optional mode, too.
func answersFor(status int, reject map[string]int) (map[judgment.Reason]answer, error) {
	table := maps.Clone(answers)
	if status != 0 {
		for _, reason := range unverified {
			table[reason] = answer{status, false}
		}
	}
	for name, status := range reject {
		reason, err := judgment.ParseReason(name)
		if err != nil {
			return nil, fmt.Errorf("reject: %w", err)
		}
		if status < 400 || status > 599 {
			return nil, fmt.Errorf("reject %s: %d is not a status from 400 to 599", name, status)
		}
		table[reason] = answer{status, true}
	}
	return table, nil
}
