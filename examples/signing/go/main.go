package main

import (
	"cmp"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"time"
)

// Dialect is one of dialects.json: templates of what is signed and of what the page sends.
type Dialect struct {
	Message     string         `json:"message"`
	Encoding    string         `json:"encoding"`
	KeyEncoding string         `json:"key_encoding"`
	NonceLength int            `json:"nonce_length"`
	Algorithm   string         `json:"algorithm"`
	Payload     map[string]any `json:"payload"`
	Claim       map[string]any `json:"claim"`
}

// keyOf returns the bytes of the secret's key.
func keyOf(dialect *Dialect) ([]byte, error) {
	secret := os.Getenv("CHAT_IDENTITY_SECRET")
	if secret == "" {
		return nil, errors.New("CHAT_IDENTITY_SECRET is not set")
	}
	switch dialect.KeyEncoding {
	case "hex":
		return hex.DecodeString(secret)
	case "base64":
		return base64.StdEncoding.DecodeString(secret)
	case "base64url":
		return base64.RawURLEncoding.DecodeString(secret)
	}
	return []byte(secret), nil
}

func encode(data []byte, encoding string) string {
	switch encoding {
	case "hex":
		return hex.EncodeToString(data)
	case "base64":
		return base64.StdEncoding.EncodeToString(data)
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

var field = regexp.MustCompile(`\{\w+\}`)

// fill fills in the {fields} of a template's texts. A text that the user lacks a field
// for is left out.
func fill(template any, fields map[string]any) any {
	switch template := template.(type) {
	case map[string]any:
		filled := make(map[string]any)
		for name, part := range template {
			if part = fill(part, fields); part != nil {
				filled[name] = part
			}
		}
		return filled
	case string:
		lacks := false
		text := field.ReplaceAllStringFunc(template, func(name string) string {
			value := fields[name[1:len(name)-1]]
			lacks = lacks || value == nil || value == ""
			return fmt.Sprint(value)
		})
		if lacks {
			return nil
		}
		return text
	}
	return template
}

// --- signature

// hashClaim returns what your page sends for a user of your own session:
// hashClaim(&dialect, map[string]any{"user_id": user.ID}).
func hashClaim(dialect *Dialect, user map[string]any) (any, error) {
	length, now := cmp.Or(dialect.NonceLength, 32), time.Now()
	random := make([]byte, length)
	_, _ = rand.Read(random) // never fails
	fields := map[string]any{}
	maps.Copy(fields, user)
	fields["nonce"] = hex.EncodeToString(random)[:length]
	fields["timestamp"], fields["milliseconds"] = now.Unix(), now.UnixMilli()
	message, ok := fill(dialect.Message, fields).(string)
	if !ok {
		return nil, fmt.Errorf("nobody is signed in: the user lacks a field of %s", dialect.Message)
	}
	key, err := keyOf(dialect)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	fields["signature"] = encode(mac.Sum(nil), dialect.Encoding)
	return fill(dialect.Claim, fields), nil
}

// --- token

// tokenClaim returns what your page sends for a user of your own session:
// tokenClaim(&dialect, map[string]any{"user_id": user.ID}).
func tokenClaim(dialect *Dialect, user map[string]any) (any, error) {
	if fill("{user_id}", user) == nil {
		return nil, errors.New("nobody is signed in: the user lacks a user_id")
	}
	key, err := keyOf(dialect)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	payload := fill(dialect.Payload, user).(map[string]any)
	payload["iat"], payload["exp"] = now.Unix(), now.Add(time.Hour).Unix()
	text, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	message := encode([]byte(`{"alg":"`+dialect.Algorithm+`","typ":"JWT"}`), "base64url") + "." + encode(text, "base64url")
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[dialect.Algorithm[2:]]
	var signature []byte
	if strings.HasPrefix(dialect.Algorithm, "HS") {
		mac := hmac.New(hash.New, key)
		mac.Write([]byte(message))
		signature = mac.Sum(nil)
	} else if signature, err = signWithPrivateKey(key, hash, message); err != nil {
		return nil, err
	}
	return fill(dialect.Claim, map[string]any{"token": message + "." + encode(signature, "base64url")}), nil
}

// signWithPrivateKey signs with a key in PEM.
func signWithPrivateKey(text []byte, hash crypto.Hash, message string) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("CHAT_IDENTITY_SECRET is not a private key in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	digest := hash.New()
	digest.Write([]byte(message))
	return key.(crypto.Signer).Sign(rand.Reader, digest.Sum(nil), hash)
}

// --- command line: go run ./go <dialect> <field>=<value>...

func main() {
	claim, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(claim)
}

func run(args []string) (any, error) {
	text, err := os.ReadFile("dialects.json")
	if err != nil {
		return nil, fmt.Errorf("%w: run it in the folder that has the file", err)
	}
	var dialects map[string]Dialect
	if err := json.Unmarshal(text, &dialects); err != nil {
		return nil, err
	}
	dialect, known := dialects[append(args, "")[0]]
	if !known {
		return nil, errors.New("the first argument is not a dialect in dialects.json")
	}
	user := make(map[string]any)
	for _, arg := range args[1:] {
		name, value, found := strings.Cut(arg, "=")
		if !found {
			return nil, errors.New("write each field as <field>=<value>")
		}
		user[name] = value
	}
	if dialect.Payload != nil {
		return tokenClaim(&dialect, user)
	}
	return hashClaim(&dialect, user)
}
