package diagnose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

const padBytes = "print each byte as two hex digits"

// lossyHex are ways to print bytes in hex that lose digits, or add some.
var lossyHex = []struct {
	deviation
	print func(sum []byte) string
}{
	{deviation{"digest_leading_zeros", "the digest was printed as one big number, which loses its leading zeros", padBytes}, func(sum []byte) string {
		return new(big.Int).SetBytes(sum).Text(16)
	}},
	{deviation{"digest_negative", "the digest was printed as one big number with a sign", padBytes}, func(sum []byte) string {
		n := new(big.Int).SetBytes(sum)
		return n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(sum)))).Text(16)
	}},
	{deviation{"digest_zeros", "the bytes of the digest were printed without their leading zeros", padBytes}, printed("%x", func(b byte) uint32 { return uint32(b) })},
	{signExtended, printed("%x", func(b byte) uint32 { return uint32(int8(b)) })},
	{signExtended, printed("%02x", func(b byte) uint32 { return uint32(int8(b)) })},
}

var signExtended = deviation{"digest_sign_extended", "the bytes of the digest were extended to eight hex digits where they are negative numbers", padBytes + ", of (b & 0xff)"}

// printed prints each byte as a number.
func printed(format string, number func(b byte) uint32) func(sum []byte) string {
	return func(sum []byte) string {
		var text strings.Builder
		for _, b := range sum {
			fmt.Fprintf(&text, format, number(b))
		}
		return text.String()
	}
}

// joinBytes joins bytes that are written one by one, as 0a-1b, 0A:1B or 0a 1b.
func joinBytes(text string) string {
	return bytesOf(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("-: ", r) }), 16)
}

// unprintBytes reads bytes as Python prints them, b'…', and lists of numbers as Java, Go
// and JavaScript print them, in which a byte may be negative.
func unprintBytes(text string) string {
	if inner := unwrap(text); inner != text && text[0] == 'b' {
		if raw, err := strconv.Unquote(`"` + strings.NewReplacer(`"`, `\"`, `\'`, "'").Replace(inner) + `"`); err == nil && raw != inner {
			return hex.EncodeToString([]byte(raw))
		}
		return inner
	}
	list := strings.Trim(text, "[]{}() ")
	if list == text && !strings.Contains(text, ",") {
		if raw, ok := asBytes(text); ok && len(raw) == sha256.Size && len(text) > len(raw) {
			return hex.EncodeToString(raw)
		}
		return ""
	}
	return bytesOf(strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }), 10)
}

// bytesOf returns the hex digits of numbers, "" if they are no bytes.
func bytesOf(numbers []string, base int) string {
	var sum []byte
	for _, text := range numbers {
		n, err := strconv.ParseInt(text, base, 16)
		if err != nil || n < -128 || n > 255 {
			return ""
		}
		sum = append(sum, byte(n))
	}
	if len(sum) < minDigest {
		return ""
	}
	return hex.EncodeToString(sum)
}
