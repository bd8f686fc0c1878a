package verifier

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

func TestNewSecret(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", ErrSecretEmpty},
		{"blanks", strings.Repeat(" \t\r\n", 8), ErrSecretEmpty},
		// HMAC pads its key with NULs: of these, the key is the empty one.
		{"NULs", strings.Repeat("\x00", 32), ErrSecretEmpty},
		{"15 bytes", strings.Repeat("x", 15), ErrSecretShort},
		{"16 bytes", strings.Repeat("x", 16), nil},
		{"16 bytes of 8 characters", strings.Repeat("é", 8), nil},
		{"blanks around", "  0123456789abcd", nil},
	} {
		s, err := NewSecret(test.text)
		if !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: got %v", test.name, err)
		}
		if err == nil && s.Reveal() != test.text {
			t.Errorf("%s: reveals %q", test.name, s.Reveal())
		}
		if weak := WeakSecret(test.text); weak.Reveal() != test.text {
			t.Errorf("%s: as it is, %q", test.name, weak.Reveal())
		}
	}
	var zero Secret
	if zero.Reveal() != "" {
		t.Error("the zero secret is not empty")
	}
}

func TestSecretNeverPrints(t *testing.T) {
	const text = "plainly-visible-0123456789"
	secret, err := NewSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	type exported struct {
		Secret  Secret
		Pointer *Secret
		List    []Secret
	}
	type unexported struct {
		secret  Secret
		pointer *Secret
		list    []Secret
		byName  map[string]Secret
	}
	values := map[string]any{
		"value":      secret,
		"pointer":    &secret,
		"list":       []Secret{secret},
		"array":      [1]Secret{secret},
		"map":        map[string]Secret{"k": secret},
		"map key":    map[Secret]int{secret: 1},
		"exported":   exported{secret, &secret, []Secret{secret}},
		"unexported": unexported{secret, &secret, []Secret{secret}, map[string]Secret{"k": secret}},
		"inside":     &unexported{secret: secret},
		"key":        NewKey(secret),
	}
	check := func(t *testing.T, how, got string) {
		t.Helper()
		for _, shown := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), fmt.Sprintf("% x", text), fmt.Sprintf("%v", []byte(text))} {
			if strings.Contains(got, shown) {
				t.Errorf("%s prints the secret: %s", how, got)
			}
		}
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			for verb := 'A'; verb <= 'z'; verb++ {
				for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "# ", "200", ".200"} {
					format := "%" + flags + string(verb)
					check(t, format, fmt.Sprintf(format, value))
				}
			}
			check(t, "Print", fmt.Sprint(value))
			check(t, "an error", fmt.Errorf("bad: %v, %w", value, errors.ErrUnsupported).Error())
			var logged strings.Builder
			slog.New(slog.NewTextHandler(&logged, nil)).Info("message", "value", value)
			slog.New(slog.NewJSONHandler(&logged, nil)).Info("message", "value", value)
			check(t, "slog", logged.String())
			if encoded, err := json.Marshal(value); err == nil {
				check(t, "JSON", string(encoded))
			}
			encoder := zapcore.NewJSONEncoder(zapcore.EncoderConfig{})
			_ = encoder.AddReflected("value", value)
			if line, err := encoder.EncodeEntry(zapcore.Entry{}, nil); err == nil {
				check(t, "zap", line.String())
			}
		})
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(format, secret); got != "[redacted]" {
			t.Errorf("%s prints %s", format, got)
		}
	}
	if secret.String() != "[redacted]" || secret.GoString() != "[redacted]" {
		t.Error("String or GoString")
	}
	if got, err := json.Marshal(exported{Secret: secret}); err != nil || !strings.Contains(string(got), `"Secret":"[redacted]"`) {
		t.Errorf("JSON: %s, %v", got, err)
	}
}

func TestDecoded(t *testing.T) {
	const plain = "0123456789abcdef0123456789ab"
	for _, test := range []struct{ encoding, text, want string }{
		{"text", plain, plain},
		{"hex", hex.EncodeToString([]byte(plain)), plain},
		{"hex", strings.ToUpper(hex.EncodeToString([]byte(plain))), plain},
		{"base64", base64.StdEncoding.EncodeToString([]byte(plain)), plain},
		{"base64", base64.RawStdEncoding.EncodeToString([]byte(plain)), plain},
		{"base64url", base64.URLEncoding.EncodeToString([]byte(plain)), plain},
		{"hex", plain + "g", ""},
		{"hex", "00112233445566778899aabbccddee", ""}, // 15 bytes
		{"base64", "MDEyMzQ1Njc4OWFiY2RlZjAx\nMjM0NTY3ODlhYg==", ""},
		{"base64", "____________________________", ""},
		{"base32", plain, ""},
	} {
		secret, err := NewSecret(test.text)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := secret.Decoded(test.encoding)
		if decoded.Reveal() != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s of %q: %q (%v), want %q", test.encoding, test.text, decoded.Reveal(), err, test.want)
		}
	}
}
