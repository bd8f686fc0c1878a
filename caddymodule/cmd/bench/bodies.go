package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
)

// secret signs; the gateway has it from its environment.
const secret = "the-secret-of-the-benchmark"

// user is who is verified.
const user = "user-123"

// body is what clients send, with and without a right signature.
type body struct {
	name             string
	signed, unsigned string
}

func bodies() []body {
	var objects strings.Builder
	for objects.Len() < 1<<20-200 {
		fmt.Fprintf(&objects, `{"id":%d,"kind":"event","at":"2026-01-02T03:04:05Z","ok":true},`, objects.Len())
	}
	array := `"events":[` + strings.TrimSuffix(objects.String(), ",") + `]`
	return []body{
		newBody("300 B", 300, ""), newBody("4 KB", 4<<10, ""), newBody("64 KB", 64<<10, ""),
		newBody("1 MB, one long string", 1<<20, ""), newBody("1 MB, small objects", 0, array),
	}
}

// newBody makes a message of that size, or with that member. The claim stands
// in front, as widgets send it.
func newBody(name string, size int, member string) body {
	make := func(hash string) string {
		head := fmt.Sprintf(`{"user_id":"%s","user_hash":"%s",`, user, hash)
		if member != "" {
			return head + member + "}"
		}
		const text = "Where is my order? I have been waiting for it since last week. "
		room := size - len(head) - len(`"text":""}`)
		return head + `"text":"` + strings.Repeat(text, room/len(text)+1)[:room] + `"}`
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(user))
	return body{name, make(fmt.Sprintf("%x", mac.Sum(nil))), make(strings.Repeat("0", 64))}
}
