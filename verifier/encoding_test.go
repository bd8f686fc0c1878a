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
	for _, e := range []Encoding{Hex, Base64, Base64URL} {
		if got, err := ParseEncoding(e.String()); err != nil || got != e {
			t.Errorf("%s: %v, %v", e, got, err)
		}
	}
	for _, name := range []string{"", "HEX", "base32", "base64 "} {
		if _, err := ParseEncoding(name); err == nil || !strings.Contains(err.Error(), "one of hex, base64, base64url") {
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
		encoding Encoding
		text     string
		good     bool
	}{
		{"as it is", Hex, hexText, true},
		{"upper case", Hex, strings.ToUpper(hexText), true},
		{"mixed case", Hex, strings.ToUpper(hexText[:1]) + hexText[1:], true},
		{"empty", Hex, "", false},
		{"63 digits", Hex, hexText[1:], false},
		{"65 digits", Hex, hexText + "0", false},
		{"128 digits", Hex, hexText + hexText, false},
		{"no digit", Hex, replace(hexText, 5, "g"), false},
		{"no digit at the end", Hex, replace(hexText, 63, "\n"), false},
		{"a blank before", Hex, " " + hexText[:63], false},
		{"a line end after", Hex, hexText + "\n", false},
		{"dashes", Hex, "fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb-fb", false},
		{"0x", Hex, "0x" + hexText[2:], false},
		{"base64", Hex, std, false},
		{"64 bytes of other script", Hex, strings.Repeat("é", 32), false},

		{"as it is", Base64, std, true},
		{"empty", Base64, "", false},
		{"no padding", Base64, std[:43], false},
		{"more padding", Base64, std + "=", false},
		{"padding for a character", Base64, std[:42] + "==", false},
		{"other alphabet", Base64, url + "=", false},
		{"unused bits", Base64, replace(std, 42, "t"), false},
		{"a line end after", Base64, std + "\n", false},
		{"a line end for the padding", Base64, std[:43] + "\n", false},
		{"a line end within, of the same length", Base64, std[:20] + "\n" + std[20:43], false},
		{"CR LF within", Base64, std[:20] + "\r\n" + std[20:42], false},
		{"a blank within", Base64, replace(std, 20, " "), false},
		{"hex", Base64, hexText, false},

		{"as it is", Base64URL, url, true},
		{"padded", Base64URL, url + "=", true},
		{"empty", Base64URL, "", false},
		{"42 characters", Base64URL, url[:42], false},
		{"more padding", Base64URL, url + "==", false},
		{"other alphabet", Base64URL, std, false},
		{"other alphabet, no padding", Base64URL, std[:43], false},
		{"unused bits", Base64URL, replace(url, 42, "t"), false},
		{"unused bits, padded", Base64URL, replace(url, 42, "t") + "=", false},
		{"44 characters without padding", Base64URL, url + "A", false},
		{"a line end for the padding", Base64URL, url + "\n", false},
		{"a line end within", Base64URL, url[:20] + "\n" + url[20:], false},
		{"a line end within, of the same length", Base64URL, url[:20] + "\n" + url[20:42], false},
		{"CR LF within, padded", Base64URL, url[:20] + "\r" + url[20:42] + "=", false},
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
	for _, e := range []Encoding{Hex, Base64, Base64URL} {
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
		if !k.match(&m, claimOf("user-1"), Hex, []byte(good)) {
			t.Fatal("the good signature does not match")
		}
		if k.match(&m, claimOf("user-1"), Hex, []byte(bad)) {
			t.Errorf("%q matches", bad)
		}
	}
}
