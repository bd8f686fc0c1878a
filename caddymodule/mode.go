package caddymodule

import (
	"fmt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
)

// Mode says what happens to a request that is not verified. The order counts:
// a later mode is stricter.
type Mode uint8

const (
	modeUnset Mode = iota
	modeOff
	modeOptional
	modeRequired
)

var modeNames = [...]string{"", "off", "optional", "required"}

// String returns the mode's name, "" where none is set.
func (m Mode) String() string { return modeNames[m] }

// counted is the mode's place in [traffic.Modes]. Without one there is no request.
func (m Mode) counted() uint8 { return uint8(max(m, modeOff) - modeOff) }

// MarshalText implements [encoding.TextMarshaler].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mode) UnmarshalText(text []byte) error {
	for i, name := range modeNames {
		if name == string(text) {
			*m = Mode(i)
			return nil
		}
	}
	return fmt.Errorf("unknown mode '%s': one of off, optional, required", text)
}

// with returns the mode for a widget. The written mode is a floor: the client
// chooses the widget, and must not choose a laxer mode with it.
func (m Mode) with(w *widget) Mode {
	if w != nil && w.mode > m {
		return w.mode
	}
	if m == modeUnset {
		return modeOptional
	}
	return m
}

// answer is the status that a reason is refused with, and whether optional
// mode refuses it too.
type answer struct {
	status int
	always bool
}

// answers is the one table from reasons to statuses.
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

// unverified are the reasons that some products answer alike.
var unverified = []judgment.Reason{
	judgment.Missing, judgment.Partial, judgment.Invalid, judgment.Expired, judgment.Replayed,
}

// dialectStatus is the status with which a product answers everything in unverified.
var dialectStatus = map[string]int{
	"bookbag":     401, // documented as 401 identity_unverified
	"replybubble": 403, // documented as 403, signed wrongly or not at all
}

// answersFor returns the table for a dialect, the operator's overrides applied.
// An override holds in optional mode, too.
func answersFor(dialect string, reject map[string]int) (map[judgment.Reason]answer, error) {
	table := make(map[judgment.Reason]answer, len(answers))
	for reason, a := range answers {
		table[reason] = a
	}
	if status, ok := dialectStatus[dialect]; ok {
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
