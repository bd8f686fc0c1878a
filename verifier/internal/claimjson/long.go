package claimjson

import "math/bits"

// A stretch of a long text is read at once: 64 pieces, with a bit for each.
const (
	piece   = 16
	stretch = 64 * piece
)

// endLong is endString for a text that is long already. Of each stretch it first
// finds out, without a branch, which pieces are not plain text, and then has the
// machine read these: where they are makes no difference.
func endLong(b []byte, i int) int {
	state := uint64(inText)
	for ; len(b)-i >= stretch; i += stretch {
		s := b[i : i+stretch]
		odd := oddPieces(s)
		if bits.OnesCount64(odd) > 40 { // reading all of them is quicker
			for k := 0; k < stretch; k += piece {
				next := step16(s[k:k+piece], state)
				if next == ended {
					return endText(b, i+k, state)
				}
				state = next
			}
			continue
		}
		if state != inText {
			odd |= 1
		}
		for ; odd != 0; odd &= odd - 1 {
			k := bits.TrailingZeros64(odd)
			next := step16(s[piece*k:piece*k+piece], state)
			if next == ended {
				return endText(b, i+piece*k, state)
			}
			if state = next; state != inText {
				odd |= 2 << k
			}
		}
	}
	if state != inText {
		return endText(b, i, state)
	}
	return endString(b, i)
}

// oddPieces sets the bits of the pieces that are not plain text.
func oddPieces(s []byte) (odd uint64) {
	s = s[:stretch]
	for k := range 64 {
		at := s[piece*k : piece*k+piece]
		var bit uint64
		if (special(word(at))|special(word(at[8:])))&highs != 0 {
			bit = 1
		}
		odd |= bit << k
	}
	return odd
}
