package verifier

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestEncodingNames(t *testing.T) {
	for _, e := range []encoding{inHex, inBase64, inBase64URL} {
		if got, err := parseEncoding(e.String()); err != nil || got != e {
			t.Errorf("%s: %v, %v", e, got, err)
		}
	}
	for _, name := range []string{"HEX", "base32", "base64 "} {
		if _, err := parseEncoding(name); err == nil || !strings.Contains(err.Error(), "one of hex, base64, base64url") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestEncodingStrict: a digest has one spelling, but for the case of its hex
// digits and the padding of base64url.
func TestEncodingStrict(t *testing.T) {
	// Of 0xfb bytes every character is one in which the two alphabets differ,
	// or next to one.
	sum := bytes.Repeat([]byte{0xfb}, sha256.Size)
	hexText := hex.EncodeToString(sum)
	std := base64.StdEncoding.EncodeToString(sum)
	url := base64.RawURLEncoding.EncodeToString(sum)
	replace := func(s string, i int, c string) string { return s[:i] + c + s[i+1:] }
	for _, test := range []struct {
		name     string
		encoding encoding
		text     string
		good     bool
	}{
		{"as it is", inHex, hexText, true},
		{"upper case", inHex, strings.ToUpper(hexText), true},
		{"mixed case", inHex, strings.ToUpper(hexText[:1]) + hexText[1:], true},
		{"empty", inHex, "", false},
		{"63 digits", inHex, hexText[1:], false},
		{"65 digits", inHex, hexText + "0", false},
		{"128 digits", inHex, hexText + hexText, false},
		{"no digit", inHex, replace(hexText, 5, "g"), false},
		{"no digit at the end", inHex, replace(hexText, 63, "\n"), false},
		{"a blank before", inHex, " " + hexText[:63], false},
		{"a line end after", inHex, hexText + "\n", false},
		{"dashes", inHex, "fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb", false},
		{"0x", inHex, "0x" + hexText[2:], false},
		{"base64", inHex, std, false},
		{"64 bytes of other script", inHex, strings.Repeat("é", 32), false},

		{"as it is", inBase64, std, true},
		{"empty", inBase64, "", false},
		{"no padding", inBase64, std[:43], false},
		{"more padding", inBase64, std + "=", false},
		{"padding for a character", inBase64, std[:42] + "==", false},
		{"other alphabet", inBase64, url + "=", false},
		{"unused bits", inBase64, replace(std, 42, "t"), false},
		{"a line end after", inBase64, std + "\n", false},
		{"a line end for the padding", inBase64, std[:43] + "\n", false},
		{"a line end within, of the same length", inBase64, std[:20] + "\n" + std[20:43], false},
		{"CR LF within", inBase64, std[:20] + "\r\n" + std[20:42], false},
		{"a blank within", inBase64, replace(std, 20, " "), false},
		{"hex", inBase64, hexText, false},

		{"as it is", inBase64URL, url, true},
		{"padded", inBase64URL, url + "=", true},
		{"empty", inBase64URL, "", false},
		{"42 characters", inBase64URL, url[:42], false},
		{"more padding", inBase64URL, url + "==", false},
		{"other alphabet", inBase64URL, std, false},
		{"other alphabet, no padding", inBase64URL, std[:43], false},
		{"unused bits", inBase64URL, replace(url, 42, "t"), false},
		{"unused bits, padded", inBase64URL, replace(url, 42, "t") + "=", false},
		{"44 characters without padding", inBase64URL, url + "A", false},
		{"a line end for the padding", inBase64URL, url + "\n", false},
		{"a line end within", inBase64URL, url[:20] + "\n" + url[20:], false},
		{"a line end within, of the same length", inBase64URL, url[:20] + "\n" + url[20:42], false},
		{"CR LF within, padded", inBase64URL, url[:20] + "\r" + url[20:42] + "=", false},
	} {
		var got [sha256.Size]byte
		ok := test.encoding.decode(&got, []byte(test.text)) == 1
		if ok != test.good {
			t.Errorf("%s, %s: accepted is %v", test.encoding, test.name, ok)
		}
		if ok && !bytes.Equal(got[:], sum) {
			t.Errorf("%s, %s: decoded %x", test.encoding, test.name, got)
		}
	}
	for _, e := range []encoding{inHex, inBase64, inBase64URL} {
		var got [sha256.Size]byte
		if e.decode(&got, []byte(e.encode(sum))) != 1 || !bytes.Equal(got[:], sum) {
			t.Errorf("%s does not read what it writes", e)
		}
	}
}

// TestStaleDigest: a computation's memory is used again, and must not let the
// signature of the request before stand in for one that cannot be decoded.
func TestStaleDigest(t *testing.T) {
	m := only(t)
	k := newKey([]byte("0123456789abcdef"))
	good := hexMAC(t, k, "user-1")
	for _, bad := range []string{"", "x", good[:63], strings.Repeat("z", 64), good[:62] + "zz", good + "\n"} {
		if !k.match(&m, claimOf("user-1"), inHex, []byte(good)) {
			t.Fatal("the good signature does not match")
		}
		if k.match(&m, claimOf("user-1"), inHex, []byte(bad)) {
			t.Errorf("%q matches", bad)
		}
	}
}
