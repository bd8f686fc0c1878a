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
		if p.Location == "query" && strings.ContainsAny(p.Name[:min(1, len(p.Name))], "/?&") {
			return nil, fmt.Errorf("'%s' is not the name of a parameter, which begins with no slash: write 'claim %s query %s'", p.Name, f, strings.Trim(p.Name, "/?&"))
		}
		if p.Name == "base64" && len(rest) > 0 && rest[0] != "else" || len(rest) > 0 && strings.HasPrefix(strings.ToLower(rest[0]), "base64") {
			return nil, fmt.Errorf("base64 belongs between the name and the pointer, in lower case, whichever alphabet is sent: write 'claim %s query user_data base64 /email'", f)
		}
		if err := p.Check(); err != nil {
			return nil, err
		}
		if len(rest) > 0 && rest[0] != "else" && f == TokenField && p.Location == "header" {
			return nil, fmt.Errorf("unexpected '%s': the scheme before a token, such as Bearer, is the dialect's: leave it out", rest[0])
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
