package diagnose_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/chatidentity/caddy-chat-identity/verifier"
	"github.com/chatidentity/caddy-chat-identity/verifier/diagnose"
)

// The page's server has signed the e-mail address.
func ExampleClaim() {
	dialect, err := verifier.LookupDialect("bookbag")
	if err != nil {
		log.Fatal(err)
	}
	v, err := dialect.Verifier()
	if err != nil {
		log.Fatal(err)
	}
	secret, err := verifier.NewSecret("an-example-secret-do-not-use")
	if err != nil {
		log.Fatal(err)
	}
	key := verifier.NewKey(secret)
	hash, err := v.Sign(key, map[verifier.Field]string{verifier.UserID: "zoe@example.com"})
	if err != nil {
		log.Fatal(err)
	}

	body := []byte(`{"user_id":"user-123","user_hash":"` + hash + `","user_metadata":{"email":"zoe@example.com"}}`)
	var reading verifier.Reading
	v.JSON(body, &reading)
	if _, err = v.Verify(&reading, key); errors.Is(err, verifier.ErrInvalid) {
		if mistake, ok := diagnose.Claim(v, &reading, diagnose.Evidence{Document: body, Secrets: []verifier.Secret{secret}}); ok {
			fmt.Println(mistake.ID)
			fmt.Println(mistake.Text)
		}
	}
	// Output:
	// email_signed
	// The e-mail address was signed instead of the user id: sign the user id alone, byte for byte as it is sent.
}
