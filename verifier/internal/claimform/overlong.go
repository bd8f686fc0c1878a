package claimform

import (
	"bytes"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// Overlong reports whether a byte of an overlong encoding of an ASCII character
// (RFC 3629 section 10) stands escaped in a query: readers that do not check
// UTF-8 take it for that character, and no honest client sends one.
func Overlong(raw []byte) bool {
	for {
		_, after, found := bytes.Cut(raw, []byte("%"))
		if !found {
			return false
		}
		if len(after) >= 2 {
			switch lead := names.HexDigits[after[0]]<<4 | names.HexDigits[after[1]]; lead {
			case 0xc0, 0xc1:
				return true
			case 0xe0, 0xf0:
				if next := after[2:]; len(next) >= 3 && next[0] == '%' {
					limit := int32(0xa0)
					if lead == 0xf0 {
						limit = 0x90
					}
					if second := names.HexDigits[next[1]]<<4 | names.HexDigits[next[2]]; second >= 0x80 && second < limit {
						return true
					}
				}
			}
		}
		raw = after
	}
}
