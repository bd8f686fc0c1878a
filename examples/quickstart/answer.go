package main

import (
	"fmt"
	"strings"
)

// answer is the demo's agent. What it may say depends on who the sender verifiably
// is.
func answer(id identity, c *contact, merged int) string {
	switch id.Outcome {
	case "verified":
		name := id.User
		if c.Name != "" {
			name, _, _ = strings.Cut(c.Name, " ")
		}
		text := fmt.Sprintf("Hello %s! Your website vouches for you, so we can talk about your account", name)
		if plan, ok := c.Attributes["plan"].(string); ok {
			text += fmt.Sprintf(": you are on the %s plan", plan)
		}
		if merged > 0 {
			text += ". And what you wrote before you signed in is now with your account"
		}
		return text + "."
	case "anonymous":
		if id.Reason == "partial" {
			return "Hello! You named a user without a signature. To me you are a visitor like any other."
		}
		return "Hello! I do not know who you are, so I can only answer general questions. Sign in and I can say more."
	case "invalid":
		return "Hello! Your claim did not verify, so I was not even told whom you claimed to be. You are a visitor to me."
	case "disabled":
		return "Hello! Identity verification is off. Whatever your message says about its sender, I do not believe it."
	default:
		return "Hello! Your claim was not accepted (" + id.Outcome + "), so you are a visitor to me."
	}
}
