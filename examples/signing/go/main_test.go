package main

import "testing"

func TestIntegerSignsAsItsDigits(t *testing.T) {
	t.Setenv("CHAT_IDENTITY_SECRET", "a secret of at least sixteen bytes")
	text, err := userHash("42")
	if err != nil {
		t.Fatal(err)
	}
	number, err := userHash(42)
	if err != nil {
		t.Fatal(err)
	}
	if text != number {
		t.Errorf("userHash(42) = %s, userHash(%q) = %s", number, "42", text)
	}
}
