package verifier

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestErrors(t *testing.T) {
	sentinels := []error{ErrTooLarge, ErrMalformed, ErrAmbiguous, ErrMissing, ErrPartial, ErrInvalid, ErrExpired}
	for i := range sentinels {
		if !strings.HasPrefix(sentinels[i].Error(), "verifier: ") {
			t.Errorf("%v does not say where it is from", sentinels[i])
		}
		for k := range sentinels {
			if errors.Is(sentinels[i], sentinels[k]) != (i == k) {
				t.Errorf("%v and %v", sentinels[i], sentinels[k])
			}
		}
	}
	for text, err := range map[string]*Error{
		"verifier: email is odd":                       {Err: ErrMalformed, Field: Email, Detail: "is odd"},
		"verifier: the body is odd":                    {Err: ErrMalformed, Part: "body", Detail: "is odd"},
		"verifier: the query names user_id and is odd": {Err: ErrMalformed, Part: "query", Name: "user_id", Detail: "is odd"},
	} {
		if err.Error() != text || !errors.Is(fmt.Errorf("outer: %w", err), ErrMalformed) {
			t.Errorf("%v, want %s", err, text)
		}
	}
}
