// Command go signs a user id for a chat widget.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"
)

func sign(id, message string) ([]byte, error) {
	secret := os.Getenv("CHAT_IDENTITY_SECRET")
	if secret == "" {
		return nil, errors.New("CHAT_IDENTITY_SECRET is not set")
	}
	if id == "" {
		return nil, errors.New("the user id is empty")
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(message))
	return mac.Sum(nil), nil
}

func userHash[ID string | int | int64](id ID) (string, error) {
	sum, err := sign(fmt.Sprint(id), fmt.Sprint(id))
	return hex.EncodeToString(sum), err
}

func userToken[ID string | int | int64](id ID, claims map[string]any) (string, error) {
	payload := map[string]any{}
	maps.Copy(payload, claims)
	payload["sub"], payload["iat"], payload["exp"] = fmt.Sprint(id), time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	text, err := json.Marshal(payload)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	message := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(text)
	sum, err := sign(fmt.Sprint(id), message)
	return message + "." + encode(sum), err
}

func main() {
	args, make := os.Args[1:], userHash[string]
	if len(args) > 0 && args[0] == "--token" {
		args = args[1:]
		make = func(id string) (string, error) { return userToken(id, nil) }
	}
	proof, err := make(append(args, "")[0])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
	fmt.Println(proof)
}
