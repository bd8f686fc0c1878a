package verifier_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/keyset"
)

const tokenSecret = "0123456789abcdef0123456789abcdef"

// tokenDialect is bookbag with a place for a token.
func tokenDialect(rules verifier.Token) verifier.Dialect {
	d, err := verifier.LookupDialect("bookbag")
	if err != nil {
		panic(err)
	}
	d.Places = append(d.Places, verifier.Place{Field: verifier.TokenField, Name: "/user_token"})
	d.Token = rules
	return d
}

func tokenVerifier(t testing.TB, rules verifier.Token, change ...func(*verifier.Dialect)) *verifier.Verifier {
	t.Helper()
	d := tokenDialect(rules)
	for _, f := range change {
		f(&d)
	}
	v, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// mint returns an HS256 token of that header and payload.
func mint(header, payload, secret string) string {
	signed := segment(header) + "." + segment(payload)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

func minted(payload string) string { return mint(plainHeader, payload, tokenSecret) }

func secretKey(t testing.TB, text string) *verifier.Key {
	t.Helper()
	secret, err := verifier.NewSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return verifier.NewKey(secret)
}

// verifyJSON verifies a JSON body.
func verifyJSON(v *verifier.Verifier, body string, keys ...*verifier.Key) (verifier.Identity, error) {
	var r verifier.Reading
	v.JSON([]byte(body), &r)
	return v.Verify(&r, keys...)
}

func bodyOf(t testing.TB, token string) string {
	t.Helper()
	text, err := json.Marshal(map[string]string{"user_token": token})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// outcome is an error as the vectors have it.
func outcome(err error) string {
	for name, is := range map[string]error{
		"malformed": verifier.ErrMalformed, "invalid": verifier.ErrInvalid, "expired": verifier.ErrExpired,
		"ambiguous": verifier.ErrAmbiguous, "partial": verifier.ErrPartial, "missing": verifier.ErrMissing,
	} {
		if errors.Is(err, is) {
			return name
		}
	}
	if err == nil {
		return "verified"
	}
	return err.Error()
}

// vectorOutcomes is what the vectors' "expect" says in words, by their names.
var vectorOutcomes = map[string]struct {
	outcome, user string
	id            []string
	require       map[string][]string
}{
	"stream user token, no exp": {outcome: "verified", user: "tommaso", id: []string{"/user_id"}},
	"drift sample":              {outcome: "verified", user: "12345"},
	"centrifugo jwtExpired":     {outcome: "expired"},
	"centrifugo jwtArrayAud":    {outcome: "verified", user: "2694", require: map[string][]string{"/aud": {"nobody", "bar"}}},
	"centrifugo jwtRSAWithKID":  {outcome: "verified", user: "2694"},
	"RFC 7515 A.1 (CRLF and blanks inside header and payload)": {outcome: "expired", id: []string{"/iss"}},
	"RFC 7515 A.1 respelled: last character l":                 {outcome: "malformed"},
	"nov/json-jwt#129 ES256 (r,s)":                             {outcome: "verified", user: "John~~~~~~~~~~~~", id: []string{"/name"}},
	"nov/json-jwt#129 ES256 padded ==":                         {outcome: "malformed"},
	"valid":                                                    {outcome: "verified", user: "alice"},
	"signature respelled (trailing bits)":                      {outcome: "malformed"},
	"sub twice":                                                {outcome: "malformed"},
	"only SUB":                                                 {outcome: "malformed"},
	"sub integer 42":                                           {outcome: "verified", user: "42"},
	"sub 42.0":                                                 {outcome: "malformed"},
	"exp with fraction":                                        {outcome: "verified", user: "a"},
	"exp as string":                                            {outcome: "malformed"},
	"exp 0":                                                    {outcome: "expired"},
	"exp in milliseconds, past":                                {outcome: "expired"},
	"nbf 2100":                                                 {outcome: "expired"},
	"crit unknown":                                             {outcome: "malformed"},
	"alg none":                                                 {outcome: "invalid"},
	"alg hs256":                                                {outcome: "invalid"},
	"kid path":                                                 {outcome: "verified", user: "a"},
	"jku":                                                      {outcome: "malformed"},
	"data after the payload object":                            {outcome: "malformed"},
	"lone surrogate in sub":                                    {outcome: "malformed"},
}

// TestTokenVectors runs testdata/tokens.json: tokens that others have published, and ours.
func TestTokenVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Name, Token, Key, JWKS, Expect string
		KeyEncoding                    string `json:"key_encoding"`
		JWK                            json.RawMessage
	}
	var vectors struct {
		DerivedKey string          `json:"derived_jwt_key"`
		Set        json.RawMessage `json:"jwks_centrifugo"`
		Published  []entry         `json:"published_jwt"`
		Derived    []entry         `json:"derived_jwt"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	for i := range vectors.Derived {
		vectors.Derived[i].Key, vectors.Derived[i].KeyEncoding = vectors.DerivedKey, "text"
	}
	for _, e := range append(vectors.Published, vectors.Derived...) {
		t.Run(e.Name, func(t *testing.T) {
			rules := verifier.Token{NoExpiry: true, MaxLifetime: 1_000_000 * time.Hour}
			if strings.Contains(e.Expect, "max_lifetime") {
				rules.MaxLifetime = 0
			}
			var keys []*verifier.Key
			set := vectors.Set
			switch {
			case e.JWK != nil:
				set = json.RawMessage(`{"keys":[` + string(e.JWK) + `]}`)
				rules.Algorithms = []string{"ES256"}
			case e.JWKS != "":
				rules.Algorithms = []string{"RS256"}
			default:
				key := e.Key
				if e.KeyEncoding == "base64url" {
					decoded, err := base64.RawURLEncoding.DecodeString(key)
					if err != nil {
						t.Fatal(err)
					}
					key = string(decoded)
				}
				// Zeros behind a short key are the same key (RFC 2104).
				keys, set = append(keys, verifier.NewKey(verifier.WeakSecret(key))), nil
			}
			if set != nil {
				public, _, err := keyset.Parse(set)
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range public {
					key, err := verifier.NewPublicKey(k)
					if err != nil {
						t.Fatal(err)
					}
					keys = append(keys, key)
				}
			}
			want, ok := vectorOutcomes[e.Name]
			if !ok {
				t.Fatalf("no outcome is given for %q: %s", e.Name, e.Expect)
			}
			rules.UserID, rules.Require = want.id, want.require
			i, err := verifyJSON(tokenVerifier(t, rules), bodyOf(t, e.Token), keys...)
			if got := outcome(err); got != want.outcome || i.User() != want.user {
				t.Errorf("%s as %q (%v), want %s as %q: %s", got, i.User(), err, want.outcome, want.user, e.Expect)
			}
		})
	}
}

// TestTokenVerdicts is what is judged of a token beyond its form.
func TestTokenVerdicts(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	clock := func(d *verifier.Dialect) { d.Time = func() time.Time { return now } }
	const fresh = `"exp":1800000060`
	for _, test := range []struct {
		name, payload string
		rules         verifier.Token
		want, user    string
	}{
		{name: "good", payload: `{"sub":"ada",` + fresh + `}`, want: "verified", user: "ada"},
		{name: "expired now", payload: `{"sub":"ada","exp":1800000000}`, want: "expired"},
		{name: "expires in a fraction", payload: `{"sub":"ada","exp":1800000001.999}`, want: "verified", user: "ada"},
		{name: "the fraction is dropped", payload: `{"sub":"ada","exp":1800000000.999}`, want: "expired"},
		{name: "an exponent", payload: `{"sub":"ada","exp":1.80000006e9}`, want: "verified", user: "ada"},
		{name: "a day and the skew", payload: `{"sub":"ada","exp":1800086430}`, want: "verified", user: "ada"},
		{name: "beyond the lifetime", payload: `{"sub":"ada","exp":1800086431}`, want: "expired"},
		{name: "milliseconds", payload: `{"sub":"ada","exp":1800000060000}`, want: "expired"},
		{name: "beyond 2^53", payload: `{"sub":"ada","exp":9007199254740993}`, want: "malformed"},
		{name: "1e300", payload: `{"sub":"ada","exp":1e300}`, want: "malformed"},
		{name: "1e400", payload: `{"sub":"ada","exp":1e400}`, want: "malformed"},
		{name: "exp null", payload: `{"sub":"ada","exp":null}`, rules: verifier.Token{NoExpiry: true}, want: "malformed"},
		{name: "no exp", payload: `{"sub":"ada"}`, want: "malformed"},
		{name: "no exp, allowed", payload: `{"sub":"ada"}`, rules: verifier.Token{NoExpiry: true}, want: "verified", user: "ada"},
		{name: "nbf within the skew", payload: `{"sub":"ada","nbf":1800000030,` + fresh + `}`, want: "verified", user: "ada"},
		{name: "nbf beyond it", payload: `{"sub":"ada","nbf":1800000031,` + fresh + `}`, want: "expired"},
		{name: "nbf 2^63-1", payload: `{"sub":"ada","nbf":9223372036854775807,` + fresh + `}`, want: "malformed"},
		{name: "iat ahead", payload: `{"sub":"ada","iat":1800000031,` + fresh + `}`, want: "expired"},
		{name: "iat a text", payload: `{"sub":"ada","iat":"1",` + fresh + `}`, want: "malformed"},
		{name: "sub null", payload: `{"sub":null,` + fresh + `}`, want: "malformed"},
		{name: "sub empty", payload: `{"sub":"",` + fresh + `}`, want: "malformed"},
		{name: "sub escaped", payload: `{"sub":"\u0061da",` + fresh + `}`, want: "verified", user: "ada"},
		{name: "sub too long", payload: `{"sub":"` + strings.Repeat("a", 513) + `",` + fresh + `}`, want: "malformed"},
		{name: "sub with a control character", payload: `{"sub":"a\u0000",` + fresh + `}`, want: "malformed"},
		{name: "sub an integer", payload: `{"sub":42,` + fresh + `}`, want: "verified", user: "42"},
		{name: "sub must be a text", payload: `{"sub":42,` + fresh + `}`, rules: verifier.Token{TextUserID: true}, want: "malformed"},
		{name: "sub within a list", payload: `{"sub":["ada"],` + fresh + `}`, want: "malformed"},
		{name: "the second id", payload: `{"email":"a@b.example",` + fresh + `}`, rules: verifier.Token{UserID: []string{"/user_id", "/email"}}, want: "verified", user: "a@b.example"},
		{name: "the first id of two", payload: `{"email":"a@b.example","user_id":"7",` + fresh + `}`, rules: verifier.Token{UserID: []string{"/user_id", "/email"}}, want: "verified", user: "7"},
		{name: "required", payload: `{"sub":"ada","iss":"shop",` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/iss": {"other", "shop"}}}, want: "verified", user: "ada"},
		{name: "required in a list", payload: `{"sub":"ada","aud":["x","shop"],` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/aud": {"shop"}}}, want: "verified", user: "ada"},
		{name: "required, another", payload: `{"sub":"ada","iss":"shop2",` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/iss": {"shop"}}}, want: "invalid"},
		{name: "required, not split at spaces", payload: `{"sub":"ada","scope":"user admin",` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/scope": {"user"}}}, want: "invalid"},
		{name: "required, not there", payload: `{"sub":"ada",` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/iss": {"shop"}}}, want: "invalid"},
		{name: "required of an object's text", payload: `{"sub":"ada","iss":{},` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/iss": {""}}}, want: "invalid"},
		{name: "required boolean", payload: `{"sub":"ada","ok":true,` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/ok": {"true"}}}, want: "verified", user: "ada"},
		{name: "required integer", payload: `{"sub":"ada","v":2,` + fresh + `}`, rules: verifier.Token{Require: map[string][]string{"/v": {"2"}}}, want: "verified", user: "ada"},
		{name: "forbidden", payload: `{"sub":"ada","server":false,` + fresh + `}`, rules: verifier.Token{Forbid: []string{"/server"}}, want: "invalid"},
		{name: "forbidden in another case", payload: `{"sub":"ada","SERVER":true,` + fresh + `}`, rules: verifier.Token{Forbid: []string{"/server"}}, want: "invalid"},
		{name: "not forbidden", payload: `{"sub":"ada",` + fresh + `}`, rules: verifier.Token{Forbid: []string{"/server"}}, want: "verified", user: "ada"},
		{name: "jti", payload: `{"sub":"ada","jti":"1",` + fresh + `}`, rules: verifier.Token{ID: true}, want: "verified", user: "ada"},
		{name: "no jti", payload: `{"sub":"ada",` + fresh + `}`, rules: verifier.Token{ID: true}, want: "malformed"},
		{name: "jti too long", payload: `{"sub":"ada","jti":"` + strings.Repeat("é", 256) + `",` + fresh + `}`, rules: verifier.Token{ID: true}, want: "malformed"},
		{name: "a name twice below", payload: `{"sub":"ada","x":{"a":1,"A":2},` + fresh + `}`, want: "malformed"},
		{name: "one name in two objects", payload: `{"sub":"ada","x":{"a":1},"y":{"a":1},` + fresh + `}`, want: "verified", user: "ada"},
		{name: "a name that is escaped twice", payload: `{"sub":"ada","\u0073ub":"eve",` + fresh + `}`, want: "malformed"},
		{name: "a half surrogate anywhere", payload: `{"sub":"ada","x":["\ud800"],` + fresh + `}`, want: "malformed"},
		{name: "an array", payload: `[{"sub":"ada",` + fresh + `}]`, want: "malformed"},
		{name: "empty", payload: ``, want: "malformed"},
		{name: "expired and invalid", payload: `{"sub":"ada","exp":1,"server":1}`, rules: verifier.Token{Forbid: []string{"/server"}}, want: "invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			i, err := verifyJSON(tokenVerifier(t, test.rules, clock), bodyOf(t, minted(test.payload)), secretKey(t, tokenSecret))
			if got := outcome(err); got != test.want || i.User() != test.user {
				t.Errorf("%s as %q (%v), want %s as %q", got, i.User(), err, test.want, test.user)
			}
		})
	}
}

// TestTokenHeaders is what is judged of a header.
func TestTokenHeaders(t *testing.T) {
	v := tokenVerifier(t, verifier.Token{NoExpiry: true, Algorithms: []string{"HS256", "HS512"}})
	for header, want := range map[string]string{
		plainHeader:                              "verified",
		`{"alg":"HS256"}`:                        "verified",
		`{"alg":"\u0048S256"}`:                   "verified",
		`{"alg":"HS256","cty":1,"x":[{}]}`:       "verified",
		`{"alg":"HS256","kid":"whatever"}`:       "verified",
		`{"alg":"HS256","kid":7}`:                "malformed",
		`{"alg":"HS256","kid":null}`:             "malformed",
		`{"alg":"HS256","Kid":"a","kid":"a"}`:    "malformed",
		`{"alg":"HS256","alg":"HS256"}`:          "malformed",
		`{"alg":"HS256","ALG":"none"}`:           "malformed",
		`{"ALG":"HS256"}`:                        "malformed",
		`{"alg":null}`:                           "malformed",
		`{}`:                                     "malformed",
		`[]`:                                     "malformed",
		`null`:                                   "malformed",
		`"alg"`:                                  "malformed",
		``:                                       "malformed",
		`{"alg":"HS256"}{}`:                      "malformed",
		`{"alg":"HS512"}`:                        "invalid",
		`{"alg":"hs256"}`:                        "invalid",
		`{"alg":"none"}`:                         "invalid",
		`{"alg":""}`:                             "invalid",
		`{"alg":"RS256"}`:                        "invalid",
		`{"alg":"HS256","crit":null}`:            "malformed",
		`{"alg":"HS256","b64":true}`:             "malformed",
		`{"alg":"HS256","jwk":{}}`:               "malformed",
		`{"alg":"HS256","jku":"https://x.test"}`: "malformed",
		`{"alg":"HS256","x5u":""}`:               "malformed",
		`{"alg":"HS256","x5c":[]}`:               "malformed",
	} {
		_, err := verifyJSON(v, bodyOf(t, mint(header, `{"sub":"ada"}`, tokenSecret)), secretKey(t, tokenSecret))
		if got := outcome(err); got != want {
			t.Errorf("%s: %s (%v), want %s", header, got, err, want)
		}
	}
}

// TestTokenMutants: of all texts that differ from a token in one byte, or lack or have one
// more, none verifies.
func TestTokenMutants(t *testing.T) {
	v := tokenVerifier(t, verifier.Token{NoExpiry: true})
	token, key := minted(`{"sub":"ada"}`), secretKey(t, tokenSecret)
	var r verifier.Reading
	try := func(text string) {
		r.Reset()
		r.Text(verifier.Place{Field: verifier.TokenField}, []byte(text))
		if i, err := v.Verify(&r, key); err == nil {
			t.Errorf("%q verifies as %s", text, i.User())
		}
	}
	r.Text(verifier.Place{Field: verifier.TokenField}, []byte(token))
	if i, err := v.Verify(&r, key); err != nil || i.User() != "ada" {
		t.Fatal(i.User(), err)
	}
	for at := range token {
		try(token[:at] + token[at+1:])
		for c := range 256 {
			if byte(c) != token[at] {
				try(token[:at] + string([]byte{byte(c)}) + token[at+1:])
			}
			try(token[:at] + string([]byte{byte(c)}) + token[at:])
		}
	}
	for _, more := range []string{"=", "==", "\n", "\r\n", " ", ".", "A"} {
		try(token + more)
		try(more + token)
	}
}

// TestTokenBeside is a token with a user id, a signature or both beside it.
func TestTokenBeside(t *testing.T) {
	key := secretKey(t, tokenSecret)
	mac := hmac.New(sha256.New, []byte(tokenSecret))
	mac.Write([]byte("ada"))
	hash := hex.EncodeToString(mac.Sum(nil))
	token := minted(`{"sub":"ada"}`)
	for _, test := range []struct{ body, any, signature, token string }{
		{`{}`, "missing", "missing", "missing"},
		{`{"user_token":"` + token + `"}`, "verified", "partial", "verified"},
		{`{"user_id":"ada","user_hash":"` + hash + `"}`, "verified", "verified", "partial"},
		{`{"user_id":"ada","user_hash":"` + hash + `","user_token":"` + token + `"}`, "verified", "verified", "verified"},
		{`{"user_id":"ada","user_token":"` + token + `"}`, "verified", "partial", "verified"},
		{`{"user_id":"eve","user_token":"` + token + `"}`, "ambiguous", "partial", "ambiguous"},
		{`{"USER_ID":"ada","user_token":"` + token + `"}`, "ambiguous", "partial", "ambiguous"},
		{`{"user_id":["ada"],"user_token":"` + token + `"}`, "malformed", "malformed", "malformed"},
		{`{"user_hash":"nonsense","user_token":"` + token + `"}`, "verified", "partial", "verified"},
		{`{"user_token":"` + token + `","User_Token":"` + token + `"}`, "ambiguous", "ambiguous", "ambiguous"},
		{`{"USER_TOKEN":"` + token + `"}`, "partial", "partial", "partial"},
		{`{"user_token":7}`, "malformed", "malformed", "malformed"},
		{`{"user_token":""}`, "missing", "missing", "missing"},
		{`{"user_token":null,"user_id":"ada","user_hash":"` + hash + `"}`, "verified", "verified", "partial"},
		{`{"user_id":"ada"}`, "partial", "partial", "partial"},
	} {
		for proof, want := range map[string]string{"any": test.any, "signature": test.signature, "token": test.token} {
			v := tokenVerifier(t, verifier.Token{NoExpiry: true}, func(d *verifier.Dialect) { d.Proof = proof })
			i, err := verifyJSON(v, test.body, key)
			if got := outcome(err); got != want || (err == nil) != (i.User() == "ada") {
				t.Errorf("%s, %s: %s as %q (%v), want %s", test.body, proof, got, i.User(), err, want)
			}
		}
	}
}

// TestTokenBesideStandIn: an e-mail address that may stand in for an id is only that beside a
// token, whoever's it is.
func TestTokenBesideStandIn(t *testing.T) {
	v := tokenVerifier(t, verifier.Token{NoExpiry: true}, func(d *verifier.Dialect) {
		d.Places = append(d.Places, verifier.Place{Field: verifier.UserID, Name: "/email", Rank: 1}, verifier.Place{Field: verifier.Email, Name: "/email"})
	})
	token := minted(`{"sub":"ada"}`)
	for body, want := range map[string]string{
		`{"email":"zoe@example.com","user_token":"` + token + `"}`:                 "verified",
		`{"Email":"zoe@example.com","user_token":"` + token + `"}`:                 "verified",
		`{"user_id":"ada","email":"zoe@example.com","user_token":"` + token + `"}`: "verified",
		`{"user_id":"eve","email":"zoe@example.com","user_token":"` + token + `"}`: "ambiguous",
		`{"user_id":"","email":"zoe@example.com","user_token":"` + token + `"}`:    "verified",
		`{"email":"zoe@example.com"}`:                                              "partial",
	} {
		i, err := verifyJSON(v, body, secretKey(t, tokenSecret))
		if got := outcome(err); got != want || (err == nil) != (i.User() == "ada") {
			t.Errorf("%s: %s as %q (%v), want %s", body, got, i.User(), err, want)
		}
	}
}

// TestTokenFields is what a token signs beside the user, and what of it is left out and why.
func TestTokenFields(t *testing.T) {
	rest := tokenVerifier(t, verifier.Token{NoExpiry: true, Email: "/email", Name: "/name", Phone: "/phone", Attributes: "rest"})
	object := tokenVerifier(t, verifier.Token{NoExpiry: true, Email: "/custom/email", Company: "/company", Attributes: "/custom"})
	none := tokenVerifier(t, verifier.Token{NoExpiry: true})
	for _, test := range []struct {
		v                                         *verifier.Verifier
		payload, email, name, attributes, leftOut string
	}{
		{rest, `{"sub":"ada","iss":"x","email":"a@b.example","name":"Ada","phone":"+1","plan":"é","aud":["y"],"n":{"a": 1}}`, "a@b.example", "Ada", `{"phone":"+1","plan":"\u00e9","n":{"a":1}}`, ""},
		{rest, `{"sub":"ada","email":7,"name":["Ada"],"plan":1}`, "", "", `{"plan":1}`, "email in the token is not a string, name in the token is not a string"},
		{rest, `{"sub":"ada","email":"a\u0007@b.example","name":"` + strings.Repeat("n", 201) + `","phone":true}`, "", "", ``,
			"email in the token holds a control character, name in the token is longer than 200 characters, phone in the token is not a string"},
		{rest, `{"sub":"ada","email":null,"name":"","phone":null}`, "", "", ``, ""},
		{rest, `{"sub":"ada"}`, "", "", ``, ""},
		{object, `{"sub":"ada","custom":{"email":"a@b.example","plan":"pro"},"other":1}`, "a@b.example", "", `{"plan":"pro"}`, ""},
		{object, `{"sub":"ada","custom":[1],"company":{}}`, "", "", ``, "company in the token is not a string, attributes in the token is not an object"},
		{object, `{"sub":"ada","custom":[],"company":"ACME"}`, "", "", `{"company":"ACME"}`, ""},
		{object, `{"sub":"ada","custom":{` + strings.Join(manyMembers(65), ",") + `}}`, "", "", ``, "attributes in the token are more than 64"},
		{none, `{"sub":"ada","email":7,"custom":{}}`, "", "", ``, ""},
	} {
		var r verifier.Reading
		test.v.JSON([]byte(bodyOf(t, minted(test.payload))), &r)
		i, err := test.v.Verify(&r, secretKey(t, tokenSecret))
		if err != nil || i.User() != "ada" || i.Email() != test.email || i.Name() != test.name || i.Attributes() != test.attributes {
			t.Errorf("%s: %v, %q %q %s", test.payload, err, i.Email(), i.Name(), i.Attributes())
		}
		if got := leftOutOf(&r); got != test.leftOut {
			t.Errorf("%s: left out: %s\nwant %s", test.payload, got, test.leftOut)
		}
	}
}

// TestTokenLeftOut: a field that the browser sends beside a token is judged by itself, one
// reason is given for each, and none stays from a reading before.
func TestTokenLeftOut(t *testing.T) {
	v, key := tokenVerifier(t, verifier.Token{NoExpiry: true, Email: "/email"}), secretKey(t, tokenSecret)
	var r verifier.Reading
	for _, test := range []struct{ payload, metadata, leftOut string }{
		{`{"sub":"ada","email":7}`, `{"email":"a@b.example"}`, "email in the token is not a string"},
		{`{"sub":"ada","email":7}`, `{"email":8,"name":9}`, "email in the token is not a string, name is not a string"},
		{`{"sub":"ada","email":"a@b.example"}`, `{"email":8}`, "email is not a string"},
		{`{"sub":"ada","email":"a@b.example"}`, `{}`, ""},
	} {
		r.Reset()
		v.JSON([]byte(`{"user_token":"`+minted(test.payload)+`","user_metadata":`+test.metadata+`}`), &r)
		_, err := v.Verify(&r, key)
		if got := leftOutOf(&r); err != nil || got != test.leftOut {
			t.Errorf("%s beside %s: %v, left out: %s\nwant %s", test.metadata, test.payload, err, got, test.leftOut)
		}
	}
}

func manyMembers(n int) (members []string) {
	for i := range n {
		members = append(members, fmt.Sprintf(`"m%d":%d`, i, i))
	}
	return members
}

// leftOutOf lists the fields that do not count, and why.
func leftOutOf(r *verifier.Reading) string {
	var all []string
	for _, left := range r.LeftOut() {
		all = append(all, left.Field.String()+" "+left.Detail)
	}
	return strings.Join(all, ", ")
}

// TestTokenKeys is which keys a token is tried with.
func TestTokenKeys(t *testing.T) {
	v := tokenVerifier(t, verifier.Token{NoExpiry: true})
	named := func(id, text string) *verifier.Key {
		secret, err := verifier.NewSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		k := verifier.NewKey(secret)
		k.ID = id
		return k
	}
	other := strings.Repeat("x", 32)
	kid := func(id string) string { return mint(`{"alg":"HS256","kid":"`+id+`"}`, `{"sub":"ada"}`, tokenSecret) }
	for _, test := range []struct {
		name, token, want string
		keys              []*verifier.Key
	}{
		{"no key", minted(`{"sub":"ada"}`), "invalid", nil},
		{"a nil key", minted(`{"sub":"ada"}`), "invalid", []*verifier.Key{nil}},
		{"another key", minted(`{"sub":"ada"}`), "invalid", []*verifier.Key{secretKey(t, other)}},
		{"the second key", minted(`{"sub":"ada"}`), "verified", []*verifier.Key{secretKey(t, other), secretKey(t, tokenSecret)}},
		{"named", kid("v1"), "verified", []*verifier.Key{named("v2", other), named("v1", tokenSecret)}},
		{"another one named", kid("v2"), "invalid", []*verifier.Key{named("v2", other), named("v1", tokenSecret)}},
		{"an unknown one named", kid("v3"), "verified", []*verifier.Key{named("v2", other), named("v1", tokenSecret)}},
	} {
		_, err := verifyJSON(v, bodyOf(t, test.token), test.keys...)
		if got := outcome(err); got != test.want {
			t.Errorf("%s: %s (%v), want %s", test.name, got, err, test.want)
		}
	}
}

// A newline that the decoder skips is seen by the length of most segments, and not of one of
// 64 characters: a token has one spelling, whatever the length of its signature.
func TestNewlineInLongSignature(t *testing.T) {
	v := tokenVerifier(t, verifier.Token{Algorithms: []string{"HS384"}, NoExpiry: true})
	signed := segment(`{"alg":"HS384"}`) + "." + segment(`{"sub":"user-42"}`)
	mac := hmac.New(sha512.New384, []byte(tokenSecret))
	mac.Write([]byte(signed))
	signature := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	for text, want := range map[string]error{
		signature: nil, signature + "\n": verifier.ErrMalformed, "\r" + signature: verifier.ErrMalformed, signature[:9] + "\n" + signature[9:]: verifier.ErrMalformed,
	} {
		if _, err := verifyJSON(v, bodyOf(t, signed+"."+text), secretKey(t, tokenSecret)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}
