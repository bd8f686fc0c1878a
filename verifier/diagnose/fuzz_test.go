package diagnose

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// FuzzDiagnose asserts that no claim makes a diagnosis fail or cost more than
// its bound, and that its words hold nothing of the claim or the secrets. What
// must not appear is marked by a character that no sentence holds.
func FuzzDiagnose(f *testing.F) {
	for i, m := range mistakes {
		f.Add(i, m.user, m.secret, m.document, m.sign(diagnosedSecret, "user-42"), usualEmail, usualTime, m.encoding == inBase64)
	}
	f.Add(0, "\xff\xfe", "\x00", `{"a":"\ud800"}`, "%zz", "", "99999999999999", true)
	f.Add(-1, "", "", `[[[{"a":{"b":"c"}}]]`, "-----", "a@b", "", false)
	f.Add(7, "{}", "{", `{"":""}`, "\x00", "\n", "9999999999999", true)
	const mark = "¤"
	f.Fuzz(func(t *testing.T, which int, user, secret, document, signature, email, time string, base64 bool) {
		encoding := inHex
		if base64 {
			encoding = inBase64
		}
		template := "{user_id}"
		if which%2 != 0 {
			template = three
		}
		p := newFormat(template, encoding)
		user, secret = mark+user, mark+secret
		if which >= 0 {
			if sign := mistakes[which%len(mistakes)].sign; !panics(func() { signature = sign(secret, user) }) {
				document = strings.ReplaceAll(document, "%SIG%", signature)
			}
		}
		c := &claim{
			verifier.UserID: []byte(user), verifier.Signature: []byte(signature), verifier.Email: []byte(mark + email), verifier.Name: []byte(mark + email),
			verifier.Timestamp: []byte(time), verifier.Nonce: []byte(usualNonce),
		}
		d := new(digester)
		secrets, previous := []verifier.Secret{verifier.WeakSecret(secret)}, []verifier.Secret{verifier.WeakSecret(diagnosedEarlier + mark)}
		e := Evidence{Document: []byte(document), Widget: mark + "widget", Secrets: secrets, Previous: previous}
		p.diagnose(d, c, e)
		if d.count > maxDigests {
			t.Errorf("%d digests", d.count)
		}
		found, ok := p.find(c, e)
		if ok != (found.ID != "" && found.Text != "") {
			t.Errorf("found %v: %+v", ok, found)
		}
		for _, text := range []string{found.ID, found.Text} {
			if strings.Contains(text, mark) || len(signature) > 20 && strings.Contains(text, signature) {
				t.Errorf("the diagnosis holds what it must not: %q", text)
			}
		}
		if sum := hmacOf(sha256.New, secret, string(p.message(c))); ok && (strings.EqualFold(signature, hex.EncodeToString(sum)) && !base64 || signature == base64Of(sum) && base64) {
			t.Errorf("a right signature was found wrong: %+v", found)
		}
	})
}

// panics reports whether a mistake cannot be made with these texts.
func panics(f func()) (it bool) {
	defer func() { it = recover() != nil }()
	f()
	return false
}
