package widgets

import (
	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// Mode says what happens to a request that is not verified. A greater mode is stricter.
type Mode uint8

// The modes.
const (
	ModeUnset    Mode = iota // the handler's applies
	ModeOff                  // nothing is verified
	ModeOptional             // it is forwarded without its claim
	ModeRequired             // it is refused
)

// NumModes is the number of modes, which are the numbers below it.
const NumModes = len(modeNames)

var modeNames = [...]string{"", "off", "optional", "required"}

// ParseMode returns the mode of that name, [ModeUnset] for "".
func ParseMode(name string) (Mode, error) {
	for i, known := range modeNames {
		if name == known {
			return Mode(i), nil
		}
	}
	return ModeUnset, choice.Unknown("mode", name, modeNames[ModeOff:])
}

// String returns the mode's name, "" for [ModeUnset].
func (m Mode) String() string { return modeNames[m] }

// MarshalText implements [encoding.TextMarshaler].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}
