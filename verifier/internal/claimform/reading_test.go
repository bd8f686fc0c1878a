package claimform_test

import (
	"encoding/base64"
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimform"
)

// compile compiles names of fields that are not nested.
func compile(names ...string) *claimform.Names {
	list := make([]claimform.Name, len(names))
	for i, name := range names {
		list[i].Path = []string{name}
	}
	return claimform.Compile(list)
}

// readMultipart reads a whole body, in a header of which names that are compared
// as nameStands does can stand.
func readMultipart(body []byte, boundary string, names *claimform.Names, matches *claimform.Matches) error {
	m := claimform.NewMultipart(boundary, names, nameStands, math.MaxInt64, matches)
	if _, err := m.Write(body); err != nil {
		return err
	}
	return m.Close()
}

var (
	encodedWord = regexp.MustCompile(`=\?[^?]*\?[bB]\?([A-Za-z0-9+/]*)`)
	escapedByte = regexp.MustCompile(`(?i)[%=][0-9a-f]{2}`)
	piece       = regexp.MustCompile(`(?i)name\*\d*\*?=`)
	noLetter    = regexp.MustCompile(`[^a-z0-9]+`)
)

// nameStands is as generous as tests need that look for names of letters, digits
// and underscores: it joins what is folded or in pieces, decodes what is encoded
// and compares letters and digits alone.
func nameStands(header []byte) (name string, stands bool) {
	text := encodedWord.ReplaceAllStringFunc(string(header), func(s string) string {
		decoded, _ := base64.RawStdEncoding.DecodeString(encodedWord.FindStringSubmatch(s)[1])
		return string(decoded)
	})
	text = escapedByte.ReplaceAllStringFunc(text, func(s string) string {
		decoded := []byte{0}
		for _, c := range strings.ToLower(s[1:]) {
			decoded[0] = decoded[0]<<4 | byte(strings.IndexRune("0123456789abcdef", c))
		}
		return string(decoded)
	})
	text = piece.ReplaceAllString(text, "")
	text = noLetter.ReplaceAllString(strings.ToLower(strings.ReplaceAll(text, "ſ", "s")), "")
	for _, name := range []string{"user_id", "user_hash", "sig"} {
		if strings.Contains(text, strings.ReplaceAll(name, "_", "")) {
			return name, true
		}
	}
	return "", false
}

// checkFault checks what is wrong with a reading: with the body, which leaves no
// matches, or with the first match that has an error, where field is its name.
func checkFault(t *testing.T, err error, matches *claimform.Matches, want error, field int) {
	t.Helper()
	if err != nil && len(matches.List) > 0 {
		t.Error("matches beside an error")
	}
	got := -1
	if i := slices.IndexFunc(matches.List, func(match claimform.Match) bool { return match.Err != nil }); i >= 0 {
		got, err = matches.List[i].Name, matches.List[i].Err
	}
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("got %v, want %v", err, want)
	} else if err != nil && got != field {
		t.Errorf("%v is about field %d, want %d", err, got, field)
	}
}
