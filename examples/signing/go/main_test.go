package main

import (
	"reflect"
	"testing"
)

func TestIntegerSignsAsItsDigits(t *testing.T) {
	t.Setenv("CHAT_IDENTITY_SECRET", "a secret of at least sixteen bytes")
	dialect := Dialect{Message: "{user_id}", Claim: map[string]any{"id": "{user_id}", "hash": "{signature}"}}
	text, err := hashClaim(&dialect, map[string]any{"user_id": "42"})
	if err != nil {
		t.Fatal(err)
	}
	number, err := hashClaim(&dialect, map[string]any{"user_id": 42})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(text, number) {
		t.Errorf("of 42: %v, of \"42\": %v", number, text)
	}
}
