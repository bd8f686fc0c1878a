package claimjson

// The machine reads what stands between a string's quotes: UTF-8 without control
// characters, and the escapes of RFC 8259, section 7.
//
// A state is a number of bits. The table's entry for the next byte, shifted right
// by that number, has the next state in its lowest six bits. So a step is a load
// and a shift, whatever the text is, without a branch to mispredict: other
// scripts and texts full of escapes cost the same.
//
// Fourteen states of six bits do not fit into an entry side by side. The numbers
// were found by a search: where two states share bits, these are zero, which is
// "ended", in every entry that both need.
const (
	ended   = 0  // by the closing quote, or by what must not stand there
	inText  = 16 // between characters
	escaped = 39 // behind a backslash
	hex4    = 24 // that many hexadecimal digits must follow
	hex3    = 22
	hex2    = 26
	hex1    = 5
	more3   = 44 // that many continuation bytes must follow
	more2   = 10
	more1   = 48
	afterE0 = 29 // a first byte that not every continuation byte may follow
	afterED = 54
	afterF0 = 60
	afterF4 = 35
)

var machine = func() (entries [256]uint64) {
	step := func(state uint, first, last byte, next uint64) {
		for c := int(first); c <= int(last); c++ {
			entries[c] |= next << state
		}
	}
	step(inText, ' ', '!', inText)
	step(inText, '#', '[', inText)
	step(inText, ']', 0x7f, inText)
	step(inText, '\\', '\\', escaped)
	for _, c := range []byte(`"\/bfnrt`) {
		step(escaped, c, c, inText)
	}
	step(escaped, 'u', 'u', hex4)
	for state, next := range map[uint]uint64{hex4: hex3, hex3: hex2, hex2: hex1, hex1: inText} {
		step(state, '0', '9', next)
		step(state, 'A', 'F', next)
		step(state, 'a', 'f', next)
	}
	// Unicode, table 3-7: well-formed UTF-8.
	step(inText, 0xc2, 0xdf, more1)
	step(inText, 0xe0, 0xe0, afterE0)
	step(inText, 0xe1, 0xec, more2)
	step(inText, 0xed, 0xed, afterED)
	step(inText, 0xee, 0xef, more2)
	step(inText, 0xf0, 0xf0, afterF0)
	step(inText, 0xf1, 0xf3, more3)
	step(inText, 0xf4, 0xf4, afterF4)
	step(afterE0, 0xa0, 0xbf, more1)
	step(afterED, 0x80, 0x9f, more1)
	step(afterF0, 0x90, 0xbf, more2)
	step(afterF4, 0x80, 0x8f, more2)
	step(more3, 0x80, 0xbf, more2)
	step(more2, 0x80, 0xbf, more1)
	step(more1, 0x80, 0xbf, inText)
	return entries
}()

// step8 returns the state after eight bytes.
func step8(b []byte, state uint64) uint64 {
	_ = b[7]
	state = machine[b[0]] >> (state & 63)
	state = machine[b[1]] >> (state & 63)
	state = machine[b[2]] >> (state & 63)
	state = machine[b[3]] >> (state & 63)
	state = machine[b[4]] >> (state & 63)
	state = machine[b[5]] >> (state & 63)
	state = machine[b[6]] >> (state & 63)
	state = machine[b[7]] >> (state & 63)
	return state & 63
}

func step16(b []byte, state uint64) uint64 {
	_ = b[15]
	return step8(b[8:16], step8(b[:8], state))
}

// readSome reads eight bytes from i on, and then to the end of a character or
// escape. If the string ends before, end is set and i is the index after its
// closing quote, or -1.
func readSome(b []byte, i int) (_ int, end bool) {
	state := uint64(inText)
	for k := i + 8; i < len(b) && (i < k || state != inText); i++ {
		next := machine[b[i]] >> (state & 63) & 63
		if next == ended {
			return endText(b, i, state), true
		}
		state = next
	}
	return i, false
}

// endText returns the index after the closing quote of the string whose inside
// goes on at i in that state, or -1.
func endText(b []byte, i int, state uint64) int {
	for ; i < len(b); i++ {
		next := machine[b[i]] >> (state & 63) & 63
		if next == ended {
			if state == inText && b[i] == '"' {
				return i + 1
			}
			return -1
		}
		state = next
	}
	return -1
}
