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
