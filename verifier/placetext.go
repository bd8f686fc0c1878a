package verifier

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// ParseClaim reads where a field travels from the words of a Caddyfile's claim line: the
// field, a location and a name, and for what is within a JSON text its pointer there,
// with base64 before it if the text is written so. Behind each else there is a further
// place, of the next rank:
//
//	user_id body /user_data /user_id else body /user_data /email
//	user_id query user_data base64 /email
func ParseClaim(words []string) ([]Place, error) {
	if len(words) < 3 {
		return nil, errors.New("claim needs a field, a location and a name, as in 'claim user_id header X-User-Id'")
	}
	f := slices.Index(fieldNames[:Conversation], words[0])
	if f < 0 {
		return nil, fmt.Errorf("claim: %w", choice.Unknown("field", words[0], fieldNames[:Widget]))
	}
	places, err := parsePlaces(Field(f), words[1:])
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", Field(f), err)
	}
	return places, nil
}

func parsePlaces(f Field, words []string) (inOrder []Place, err error) {
	for {
		if len(words) < 2 || words[0] == "else" {
			return nil, fmt.Errorf("else needs a location and a name, as in 'claim %s body /id else body /email'", f)
		}
		p := Place{Field: f, Location: words[0], Name: words[1]}
		rest := words[2:]
		if len(rest) > 0 && rest[0] == "base64" {
			p.Base64, rest = true, rest[1:]
		}
		if len(rest) > 0 && strings.HasPrefix(rest[0], "/") {
			p.Within, rest = rest[0], rest[1:]
		}
		if err := p.Check(); err != nil {
			return nil, err
		}
		if len(rest) > 0 && rest[0] != "else" {
			return nil, fmt.Errorf("unexpected '%s': after the name there may be one JSON pointer, with base64 before it, and then else and a further place, as in 'claim %s body /user_data /user_id else body /email'", rest[0], f)
		}
		if slices.Contains(inOrder, p) {
			return nil, fmt.Errorf("%s is repeated", strings.Join(words[:len(words)-len(rest)], " "))
		}
		inOrder = append(inOrder, p)
		if words = rest; len(words) == 0 {
			break
		}
		words = words[1:]
	}
	for i := range inOrder {
		inOrder[i].Rank = i
	}
	return inOrder, nil
}
