package verifier

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tenLines is what a server writes that does not import this package.
func tenLines(secret string, body []byte) (string, error) {
	var c struct {
		UserID   string `json:"user_id"`
		UserHash string `json:"user_hash"`
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(c.UserID))
	if !hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(c.UserHash)) {
		return "", errors.New("invalid signature")
	}
	return c.UserID, nil
}

// TestTenLines counts what the ten lines of the package's documentation take for
// verified although there is no one claim, and what they refuse of honest pages.
func TestTenLines(t *testing.T) {
	var bad, good []string
	for _, v := range loadVectors(t, "bookbag") {
		if v.Body == nil || v.Query != nil || len(v.Secret) == 0 {
			continue
		}
		_, err := tenLines(v.Secret[0], []byte(*v.Body))
		switch {
		case err == nil && v.Outcome != "verified":
			bad = append(bad, v.Name)
		case err != nil && v.Outcome == "verified":
			good = append(good, v.Name)
		}
	}
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	prose := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "//", "")), " ")
	for _, claim := range []string{
		fmt.Sprintf("it accepts %d that this package refuses", len(bad)), fmt.Sprintf("It refuses %d that honest pages send", len(good)),
	} {
		if !strings.Contains(prose, claim) {
			t.Errorf("doc.go does not say %q\n%q\n%q", claim, bad, good)
		}
	}
	if user, err := tenLines("", []byte(`{"user_id":"victim","user_hash":"`+forgeable("victim")+`"}`)); user != "victim" {
		t.Errorf("without a secret: %q, %v", user, err)
	}
	if _, err := NewSecret(""); err == nil {
		t.Error("an empty secret is taken")
	}
}

// forgeable is a signature with the secret that was never set.
func forgeable(user string) string {
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte(user))
	return hex.EncodeToString(mac.Sum(nil))
}

// TestDefaultsAreTold: an integrator does not look for constants.
func TestDefaultsAreTold(t *testing.T) {
	text, err := os.ReadFile("dialect.go")
	if err != nil {
		t.Fatal(err)
	}
	prose := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "//", "")), " ")
	l := defaultLimits
	for _, told := range []string{
		fmt.Sprintf("%d characters for the user id, %d for the e-mail address, %d for name and company, %d for the phone number, and %d attributes in %d KiB",
			l.UserID, l.Email, l.Name, l.Phone, l.Attributes, l.AttributeBytes>>10),
		fmt.Sprintf("%.0f minutes and %.0f seconds", defaultMaxAge.Minutes(), defaultSkew.Seconds()),
		fmt.Sprintf("characters a signed nonce has, at least %d. Default: %d", minNonceLength, defaultNonceLength),
	} {
		if !strings.Contains(prose, told) {
			t.Errorf("dialect.go does not say %q", told)
		}
	}
	// What is told about two places of one field, and about forms.
	key := NewKey(WeakSecret(misuseSecret))
	inviaro, bookbag := compiled(t, lookedUp(t, "inviaro")), compiled(t, lookedUp(t, "bookbag"))
	hash := signedBy(t, inviaro, key, map[Field]string{UserID: "alice"})
	var r Reading
	inviaro.JSON([]byte(`{"user_id":"alice","userId":"alice","user_hash":"`+hash+`"}`), &r)
	if identity, err := inviaro.Verify(&r, key); identity.User() != "alice" {
		t.Errorf("both spellings: %v", err)
	}
	for form, want := range map[string]string{"email=a@example.com": "a@example.com", "user_metadata[email]=a@example.com": ""} {
		var r Reading
		bookbag.Form([]byte("user_id=alice&user_hash="+hash+"&"+form), &r)
		if identity, err := bookbag.Verify(&r, key); identity.User() != "alice" || string(r.Unverified(Email)) != want {
			t.Errorf("%s: %q %v", form, r.Unverified(Email), err)
		}
	}
	// And what belongs to JSONOrForm, not to Form.
	body := []byte(`{"user_id":"alice","user_hash":"` + hash + `"}`)
	for want, read := range map[error]func([]byte, *Reading){ErrMissing: bookbag.Form, nil: bookbag.JSONOrForm} {
		var r Reading
		read(body, &r)
		if _, err := bookbag.Verify(&r, key); !errors.Is(err, want) {
			t.Errorf("JSON as a form: %v, want %v", err, want)
		}
	}
}

// TestProgram compiles the program of the package's documentation.
func TestProgram(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(text), "//\tpackage main\n")
	program, _, found := strings.Cut(program, "\n// There is")
	if !found {
		t.Fatal("doc.go has no program")
	}
	main := filepath.Join(t.TempDir(), "main.go")
	program = "package main\n" + strings.ReplaceAll(strings.ReplaceAll(program, "//\t", ""), "\n//\n", "\n\n")
	if err := os.WriteFile(main, []byte(strings.TrimSuffix(program, "//")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", main).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
