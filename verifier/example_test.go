package verifier_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// A server knows its secret from its environment.
func exampleKey(text string) *verifier.Key {
	secret, err := verifier.NewSecret(text)
	if err != nil {
		log.Fatal(err)
	}
	return verifier.NewKey(secret)
}

func mustVerifier(name string) *verifier.Verifier {
	dialect, err := verifier.LookupDialect(name)
	if err != nil {
		log.Fatal(err)
	}
	v, err := dialect.Verifier()
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// Verify the claim in a JSON body.
func ExampleVerifier_Verify() {
	v, key := mustVerifier("bookbag"), exampleKey("an-example-secret-do-not-use")
	const hash = "9347386ef3c65a9b2612085c978055070d79e0a9632c63fff0f8dfde44cafdc7"
	for _, body := range []string{
		`{"user_id":"user-123","user_hash":"` + hash + `","message":"hi"}`,
		`{"user_id":"user-124","user_hash":"` + hash + `","message":"hi"}`,
		`{"user_id":"user-124","user_id":"user-123","user_hash":"` + hash + `"}`,
		`{"message":"hi"}`,
	} {
		var reading verifier.Reading
		v.JSON([]byte(body), &reading)
		identity, err := v.Verify(&reading, key)
		switch {
		case errors.Is(err, verifier.ErrMissing):
			fmt.Println("an anonymous visitor")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(identity.User())
		}
	}
	// Output:
	// user-123
	// verifier: the signature does not match
	// verifier: user_id appears more than once, in two spellings or with two values
	// an anonymous visitor
}

// Verify a claim in a URL-encoded form and in a query. What the two say must agree.
func ExampleVerifier_Form() {
	v, key := mustVerifier("bookbag"), exampleKey("an-example-secret-do-not-use")
	const claim = "user_id=user-123&user_hash=9347386ef3c65a9b2612085c978055070d79e0a9632c63fff0f8dfde44cafdc7"
	for _, request := range []struct{ query, form string }{
		{"", claim + "&message=hi"},
		{claim, "message=hi"},
		{"user_id=admin", claim},
	} {
		var reading verifier.Reading
		v.Query([]byte(request.query), &reading)
		v.Form([]byte(request.form), &reading)
		identity, err := v.Verify(&reading, key)
		fmt.Printf("%q %v\n", identity.User(), err)
	}
	// Output:
	// "user-123" <nil>
	// "user-123" <nil>
	// "" verifier: user_id appears more than once, in two spellings or with two values
}

// Sign a user id on the customer's server, for the page that it serves.
func ExampleVerifier_Sign() {
	v, key := mustVerifier("nextcap"), exampleKey("an-example-secret-do-not-use")
	hash, err := v.Sign(key, map[verifier.Field]string{verifier.UserID: "user-123"})
	if err != nil {
		log.Fatal(err)
	}
	claim, err := json.Marshal(map[string]string{"userId": "user-123", "userHash": hash})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(claim))
	// Output:
	// {"userHash":"9347386ef3c65a9b2612085c978055070d79e0a9632c63fff0f8dfde44cafdc7","userId":"user-123"}
}

// A dialect of one's own: a timestamp is signed, and the signature travels in a
// header.
func ExampleDialect() {
	v, err := verifier.Dialect{
		Places: []verifier.Place{
			{Field: verifier.UserID, Name: "/visitor/id"},
			{Field: verifier.Timestamp, Name: "/visitor/signed_at"},
			{Field: verifier.Signature, Location: "header", Name: "X-Visitor-Signature"},
		},
		Message:  "{timestamp}.{user_id}",
		Encoding: "base64",
		MaxAge:   5 * time.Minute,
		Skew:     30 * time.Second,
		Unit:     time.Second,
		Time:     func() time.Time { return time.Unix(1_800_000_060, 0) }, // for this example
	}.Verifier()
	if err != nil {
		log.Fatal(err)
	}
	key := exampleKey("an-example-secret-do-not-use")
	signature, err := v.Sign(key, map[verifier.Field]string{verifier.UserID: "user-123", verifier.Timestamp: "1800000000"})
	if err != nil {
		log.Fatal(err)
	}

	var reading verifier.Reading
	v.JSON([]byte(`{"visitor":{"id":"user-123","signed_at":1800000000}}`), &reading)
	reading.Text(verifier.Place{Field: verifier.Signature}, []byte(signature)) // r.Header.Get("X-Visitor-Signature")
	identity, err := v.Verify(&reading, key)
	fmt.Println(identity.User(), identity.SignedAt().Unix(), err)
	// Output:
	// user-123 1800000000 <nil>
}

// Each tenant has a secret, which is looked up only for a whole claim.
func ExampleVerifier_VerifyFunc() {
	v := mustVerifier("inviaro")
	tenants := map[string]*verifier.Key{"shop": exampleKey("the-secret-of-the-shop"), "bank": exampleKey("the-secret-of-the-bank")}
	hash, err := v.Sign(tenants["shop"], map[verifier.Field]string{verifier.UserID: "user-123"})
	if err != nil {
		log.Fatal(err)
	}
	for _, tenant := range []string{"shop", "bank", "pub"} {
		var reading verifier.Reading
		v.JSON([]byte(`{"key":"`+tenant+`","user_id":"user-123","user_hash":"`+hash+`"}`), &reading)
		identity, err := v.VerifyFunc(&reading, func() []*verifier.Key {
			if key := tenants[string(reading.Unverified(verifier.Widget))]; key != nil {
				return []*verifier.Key{key}
			}
			return nil
		})
		fmt.Printf("%s: %q %v\n", tenant, identity.User(), err)
	}
	// Output:
	// shop: "user-123" <nil>
	// bank: "" verifier: the signature does not match
	// pub: "" verifier: the signature does not match
}
