package verifier_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// refusals are the only reasons for which a token may be refused that other libraries
// accept: what they tolerate and some parser behind them reads in another way.
var refusals = []string{
	"is longer than 8192 bytes",
	"not base64url without padding", // newlines, unused bits
	"in which a name appears more than once",
	"with half a surrogate pair",
	"that is not a JSON object", // UTF-8, depth
	"in its header, which is not supported",
	"a kid in its header that is not a string",
	"has no alg in its header", // in another letter case
	"that is not a number of seconds within ±2^53",
	"has no exp",
	"has no user id at /sub",
	"has a user id that is longer", "has a user id that holds a control character", "that is neither a string nor an integer from -(2^53-1) to 2^53-1",
}

// FuzzToken holds tokens that are signed rightly against two other libraries: what is
// verified here, both verify with the same claims, and what both verify is refused here
// for one of a closed list of reasons alone.
func FuzzToken(f *testing.F) {
	for _, payload := range []string{
		`{"sub":"ada","exp":4102444800}`, `{"sub":"ada","exp":4102444800,"sub":"eve"}`, `{"sub":42,"exp":4102444800.5}`,
		`{"sub":"\ud800","exp":4102444800}`, `{"SUB":"ada","exp":4102444800}`, `{"sub":"ada","exp":1e10,"nbf":0,"iat":-1}`,
		`{"sub":"ada","exp":"4102444800"}`, `{"sub":"ada","exp":null}`, ` { "sub" : "a\u0064a", "exp" : 4102444800 } `, `{"sub":"ada","exp":4102444800}{}`,
	} {
		f.Add(plainHeader, payload, uint16(0), byte(0))
	}
	for _, header := range []string{`{"alg":"HS256","kid":"a"}`, `{"alg":"none"}`, `{"alg":"HS256","crit":["exp"]}`, `{"alg":"HS256","alg":"none"}`, `{"ALG":"HS256"}`, `{"alg":"HS256","b64":false}`} {
		f.Add(header, `{"sub":"ada","exp":4102444800}`, uint16(0), byte(0))
	}
	f.Add(plainHeader, `{"sub":"ada","exp":4102444800}`, uint16(60), byte('\n'))
	d := tokenDialect(verifier.Token{MaxLifetime: 1_000_000 * time.Hour})
	now := time.Unix(1_800_000_000, 0)
	d.Time = func() time.Time { return now }
	v, err := d.Verifier()
	if err != nil {
		f.Fatal(err)
	}
	key := secretKey(f, tokenSecret)
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithJSONNumber(), jwt.WithTimeFunc(d.Time), jwt.WithLeeway(30*time.Second))
	f.Fuzz(func(t *testing.T, header, payload string, at uint16, insert byte) {
		text := mint(header, payload, tokenSecret)
		if insert != 0 {
			i := int(at) % (len(text) + 1)
			text = text[:i] + string([]byte{insert}) + text[i:]
		}
		var r verifier.Reading
		r.Text(verifier.Place{Field: verifier.TokenField}, []byte(text))
		identity, err := v.Verify(&r, key)

		claims := jwt.MapClaims{}
		token, errJWT := parser.ParseWithClaims(text, claims, func(*jwt.Token) (any, error) { return []byte(tokenSecret), nil })
		valid := errJWT == nil && token.Valid
		var content []byte
		signed, errJOSE := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.HS256})
		if errJOSE == nil {
			content, errJOSE = signed.Verify([]byte(tokenSecret))
		}
		if err == nil {
			if !valid || errJOSE != nil {
				t.Fatalf("%q is verified here, and elsewhere: %v, %v", text, errJWT, errJOSE)
			}
			if got := fmt.Sprint(claims["sub"]); got != identity.User() {
				t.Fatalf("%q is %q here and %q elsewhere", text, identity.User(), got)
			}
			var other struct{ Sub any }
			decoder := json.NewDecoder(strings.NewReader(string(content)))
			decoder.UseNumber()
			if err := decoder.Decode(&other); err != nil || fmt.Sprint(other.Sub) != identity.User() {
				t.Fatalf("%q is %q here and %v elsewhere: %v", text, identity.User(), other.Sub, err)
			}
			return
		}
		if !valid || errJOSE != nil || errors.Is(err, verifier.ErrExpired) {
			return
		}
		for _, reason := range refusals {
			if strings.Contains(err.Error(), reason) {
				return
			}
		}
		t.Fatalf("%q is verified elsewhere, and here: %v", text, err)
	})
}
