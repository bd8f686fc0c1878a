// Command go signs a user id for a chat widget.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
)

func userHash[ID string | int | int64](id ID) (string, error) {
	secret := os.Getenv("CHAT_IDENTITY_SECRET")
	if secret == "" {
		return "", errors.New("CHAT_IDENTITY_SECRET is not set")
	}
	text := fmt.Sprint(id)
	if text == "" {
		return "", errors.New("the user id is empty")
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

func main() {
	id := ""
	if len(os.Args) > 1 {
		id = os.Args[1]
	}
	digest, err := userHash(id)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
	fmt.Println(digest)
}
