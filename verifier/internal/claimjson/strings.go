package claimjson

import (
	"encoding/binary"
	"math/bits"
)

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// special marks, in the high bit of its byte, the first of eight bytes that is
// not plain text: a quote, a backslash, a control character, or what is beyond
// ASCII. Marks above the first may be false (borrows run upwards), and the other
// bits mean nothing: "& highs" leaves the marks. A quote with bit 1 flipped is 0x20 and the space 0x22, so
// one comparison with 0x21 finds quotes and controls together.
func special(x uint64) uint64 {
	return ((x ^ 0x02*ones) - 0x21*ones) | ((x ^ '\\'*ones) - ones) | x
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// first returns the index of the first byte that m marks.
func first(m uint64) int { return bits.TrailingZeros64(m&highs) >> 3 }

// endString returns the index after the closing quote of the string whose
// inside goes on at i, or -1.
//
// It skips plain text 32 bytes at a time, and leaves the rest to the machine
// until plain text resumes. Most of the cost is mispredicted branches, since
// nothing predicts where an escape or another script begins. So there are few
// branches here.
func endString(b []byte, i int) int {
	if len(b)-i >= 8 { // most are short
		if m := special(word(b[i:i+8])) & highs; m != 0 {
			if i += first(m); b[i] == '"' {
				return i + 1
			}
			var end bool
			if i, end = readSome(b, i); end {
				return i
			}
		}
	}
	for len(b)-i >= 32 {
		s := b[i : i+32]
		m0, m1, m2, m3 := special(word(s)), special(word(s[8:])), special(word(s[16:])), special(word(s[24:]))
		if (m0|m1|m2|m3)&highs == 0 {
			i += 32
			continue
		}
		// The first word that is not plain: these compile to conditional moves.
		m, at := m3, 24
		if m2&highs != 0 {
			m, at = m2, 16
		}
		if m1&highs != 0 {
			m, at = m1, 8
		}
		if m0&highs != 0 {
			m, at = m0, 0
		}
		if i += at + first(m); b[i] == '"' {
			return i + 1
		}
		if len(b)-i < 8 {
			break
		}
		state := step8(b[i:i+8], inText)
		if state == ended {
			break
		}
		i += 8
		for len(b)-i >= 16 && (special(word(b[i:i+8]))|special(word(b[i+8:i+16])))&highs|(state^inText) != 0 {
			next := step16(b[i:i+16], state)
			if next == ended {
				return endText(b, i, state)
			}
			i += 16
			state = next
		}
		if state != inText {
			return endText(b, i, state)
		}
	}
	return endText(b, i, inText)
}
