package claimjson

import (
	"testing"
	"unicode/utf8"
)

// TestMachine compares each step with what the state stands for.
func TestMachine(t *testing.T) {
	within := func(c, first, last byte) bool { return first <= c && c <= last }
	isHex := func(c byte) bool { return within(c, '0', '9') || within(c, 'a', 'f') || within(c, 'A', 'F') }
	goOn := func(ok bool, next uint64) uint64 {
		if ok {
			return next
		}
		return ended
	}
	for c := range 256 {
		c := byte(c)
		for state, want := range map[uint64]uint64{
			ended:   ended,
			hex4:    goOn(isHex(c), hex3),
			hex3:    goOn(isHex(c), hex2),
			hex2:    goOn(isHex(c), hex1),
			hex1:    goOn(isHex(c), inText),
			more3:   goOn(within(c, 0x80, 0xbf), more2),
			more2:   goOn(within(c, 0x80, 0xbf), more1),
			more1:   goOn(within(c, 0x80, 0xbf), inText),
			afterE0: goOn(within(c, 0xa0, 0xbf), more1),
			afterED: goOn(within(c, 0x80, 0x9f), more1),
			afterF0: goOn(within(c, 0x90, 0xbf), more2),
			afterF4: goOn(within(c, 0x80, 0x8f), more2),
			escaped: map[byte]uint64{'"': inText, '\\': inText, '/': inText, 'b': inText, 'f': inText, 'n': inText, 'r': inText, 't': inText, 'u': hex4}[c],
			inText: map[bool]uint64{
				c >= ' ' && c < 0x80 && c != '"' && c != '\\': inText,
				c == '\\':                          escaped,
				within(c, 0xc2, 0xdf):              more1,
				within(c, 0xe1, 0xef) && c != 0xed: more2,
				within(c, 0xf1, 0xf3):              more3,
				c == 0xe0:                          afterE0,
				c == 0xed:                          afterED,
				c == 0xf0:                          afterF0,
				c == 0xf4:                          afterF4,
			}[true],
		} {
			if got := machine[c] >> state & 63; got != want {
				t.Errorf("from state %d by %#x to %d, want %d", state, c, got, want)
			}
		}
	}
}

// TestUTF8 tries every sequence of two bytes, and longer ones with the last bytes
// at their bounds, at both ends of a row of text.
func TestUTF8(t *testing.T) {
	bounds := []byte{0x20, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xff}
	text := make([]byte, 0, 80)
	try := func(sequence ...byte) {
		for _, c := range sequence {
			if c < ' ' || c == '"' || c == '\\' {
				return // what these do is tried elsewhere
			}
		}
		for _, before := range []int{0, 30} {
			text = append(text[:0], "                                "[:before]...)
			text = append(append(text, sequence...), `                                "`...)
			want := -1
			if utf8.Valid(sequence) {
				want = len(text)
			}
			if got := endString(text, 0); got != want {
				t.Fatalf("% x: ends at %d, want %d", sequence, got, want)
			}
		}
	}
	for a := 0x80; a < 256; a++ {
		try(byte(a))
		for b := range 256 {
			try(byte(a), byte(b))
			for _, c := range bounds {
				if a < 0xe0 {
					break
				}
				try(byte(a), byte(b), c)
				for _, d := range bounds {
					if a < 0xf0 {
						break
					}
					try(byte(a), byte(b), c, d)
				}
			}
		}
	}
}
