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
// not plain text: a quote, a backslash, a control character, or one beyond
// ASCII; marks above the first may be false (borrows run upwards). A quote with
// bit 1 flipped is 0x20 and the space 0x22, so one comparison with 0x21 finds
// quotes and controls together.
func special(x uint64) uint64 {
	return (((x ^ 0x02*ones) - 0x21*ones) | ((x ^ '\\'*ones) - ones) | x) & highs
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// endString returns the index after the closing quote of the string whose
// inside goes on at i, or -1.
//
// Plain text is passed 32 bytes at a time. What is not is read by the machine,
// 16 bytes where it stands alone and rows of 32 where more follows: in long texts
// each time that something else begins costs a mispredicted branch, which is
// several times what the machine takes.
func endString(b []byte, i int) int {
	for len(b)-i >= 32 {
		if plain(b[i : i+32]) {
			i += 32
			continue
		}
		if i += firstSpecial(b[i : i+32]); b[i] == '"' {
			return i + 1
		}
		if len(b)-i < 16 {
			break
		}
		state := step8(b[i+8:i+16], step8(b[i:i+8], inText))
		if state == ended {
			break
		}
		i += 16
		for len(b)-i >= 32 && (state != inText || !plain(b[i:i+32])) {
			next := state
			for k := i; k < i+32; k += 8 {
				next = step8(b[k:k+8], next)
			}
			if next == ended {
				return endText(b, i, state)
			}
			i += 32
			state = next
		}
		if state != inText {
			return endText(b, i, state)
		}
	}
	for len(b)-i >= 8 {
		if m := special(word(b[i : i+8])); m != 0 {
			if i += bits.TrailingZeros64(m) >> 3; b[i] == '"' {
				return i + 1
			}
			break
		}
		i += 8
	}
	return endText(b, i, inText)
}

// plain reports whether 32 bytes are plain text.
func plain(b []byte) bool {
	_ = b[31]
	return special(word(b))|special(word(b[8:]))|(special(word(b[16:]))|special(word(b[24:]))) == 0
}

// firstSpecial returns the index of the first of 32 bytes that is not plain text,
// of which there is one. It is written so that it compiles without branches.
func firstSpecial(b []byte) int {
	_ = b[31]
	m, at := special(word(b[24:])), 24
	if x := special(word(b[16:])); x != 0 {
		m, at = x, 16
	}
	if x := special(word(b[8:])); x != 0 {
		m, at = x, 8
	}
	if x := special(word(b)); x != 0 {
		m, at = x, 0
	}
	return at + bits.TrailingZeros64(m)>>3
}
