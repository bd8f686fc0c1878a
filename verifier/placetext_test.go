package verifier

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseClaim(t *testing.T) {
	for line, want := range map[string][]Place{
		"user_id body /identifier":   {{Field: UserID, Location: "body", Name: "/identifier"}},
		"widget query website_token": {{Field: Widget, Location: "query", Name: "website_token"}},
		"user_id body /user_data /user_id else body /user_data /email": {
			{Field: UserID, Location: "body", Name: "/user_data", Within: "/user_id"},
			{Field: UserID, Location: "body", Name: "/user_data", Within: "/email", Rank: 1},
		},
		"user_id header User-Data /email else query user_data base64 /email else cookie u": {
			{Field: UserID, Location: "header", Name: "User-Data", Within: "/email"},
			{Field: UserID, Location: "query", Name: "user_data", Within: "/email", Base64: true, Rank: 1},
			{Field: UserID, Location: "cookie", Name: "u", Rank: 2},
		},
		"attributes query user_data base64": {{Field: Attributes, Location: "query", Name: "user_data", Base64: true}},
	} {
		if got, err := ParseClaim(strings.Fields(line)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
	for line, want := range map[string]string{
		"user_id body":                           "claim needs a field, a location and a name, as in 'claim user_id header X-User-Id'",
		"conversation body /c":                   "claim: unknown field 'conversation': one of user_id, signature, timestamp, nonce, token, session, email, name, phone, company, attributes",
		"user_id jsn /a":                         "claim user_id: unknown location 'jsn': one of body, query, header, cookie",
		"user_id body a":                         "claim user_id: 'a' is no JSON pointer: it begins with a slash, as in '/a'",
		"user_id body /a or body /b":             "claim user_id: unexpected 'or': after the name there may be one JSON pointer, with base64 before it, and then else and a further place, as in 'claim user_id body /user_data /user_id else body /email'",
		"user_id body /a /b /c":                  "claim user_id: unexpected '/c': after the name there may be one JSON pointer, with base64 before it, and then else and a further place, as in 'claim user_id body /user_data /user_id else body /email'",
		"user_id body /a else":                   "claim user_id: else needs a location and a name, as in 'claim user_id body /id else body /email'",
		"user_id body /a else else body /b":      "claim user_id: else needs a location and a name, as in 'claim user_id body /id else body /email'",
		"user_id query /user_id":                 "claim user_id: '/user_id' is not the name of a parameter, which begins with no slash: write 'claim user_id query user_id'",
		"user_id query ?user_id":                 "claim user_id: '?user_id' is not the name of a parameter, which begins with no slash: write 'claim user_id query user_id'",
		"user_id query a Base64 /b":              "claim user_id: base64 belongs between the name and the pointer, in lower case, whichever alphabet is sent: write 'claim user_id query user_data base64 /email'",
		"user_id query a /b base64url":           "claim user_id: base64 belongs between the name and the pointer, in lower case, whichever alphabet is sent: write 'claim user_id query user_data base64 /email'",
		"user_id query base64 a /b":              "claim user_id: base64 belongs between the name and the pointer, in lower case, whichever alphabet is sent: write 'claim user_id query user_data base64 /email'",
		"token header Authorization Bearer":      "claim token: unexpected 'Bearer': the scheme before a token, such as Bearer, is the dialect's: leave it out",
		"user_id query a base64":                 "claim user_id: base64 needs a JSON pointer to the field in the JSON text, as in 'base64 /user_id'",
		"user_id query a /b~c":                   "claim user_id: '/b~c' has a bare ~: write ~0 for ~ and ~1 for / (RFC 6901)",
		"user_id query a /b else query a /b":     "claim user_id: query a /b is repeated",
		"user_id query a /b else query a base64": "claim user_id: base64 needs a JSON pointer to the field in the JSON text, as in 'base64 /user_id'",
	} {
		if _, err := ParseClaim(strings.Fields(line)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}
