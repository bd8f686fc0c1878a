package diagnose

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestRows: mistakes that are made with the products whose claim is within a JSON text, is an
// e-mail address, or has another encoding.
func TestRows(t *testing.T) {
	const email, other = "Ada@example.com", "u-42"
	secret := verifier.WeakSecret(diagnosedSecret)
	// Of a header the document has the value.
	inHeaders := func(members map[string]string) string { text, _ := json.Marshal(members); return string(text) }
	userData := func(signature string) string {
		return `{"email":"` + email + `","identifier_key":"` + signature + `","properties":{"id":"` + other + `"}}`
	}
	form := func(signature string) string {
		return "app_id=a1b2&user_data=" + url.QueryEscape(`{"user_id":"u-42","user_hash":"`+signature+`","email":"`+email+`"}`)
	}
	novu := func(signature string) string {
		return `{"applicationIdentifier":"a1b2","subscriberId":"u-42","subscriberHash":"` + signature + `","context":{"tenant":"b","a":1}}`
	}
	for _, x := range []struct{ dialect, signature, id, says string }{
		{"chaskiq", hmacHex(diagnosedSecret, other), "other_value_signed", "the field id and not of the e-mail address: sign the e-mail address alone"},
		{"chaskiq", hmacHex(diagnosedSecret, strings.ToLower(email)), "id_lower_case", "The e-mail address was signed in lower case"},
		{"chaskiq", hmacHex(diagnosedSecret, `{"email":"`+email+`","properties":{"id":"`+other+`"}}`), "json_without_signature_signed", "before the signature was added"},
		{"chaskiq", hmacHex(diagnosedSecret, `{"id":"`+other+`"}`), "object_signed", "An object of the request"},
		{"intercom", hmacHex(diagnosedSecret, email), "email_signed", "instead of the user id"},
		{"intercom", hmacHex(diagnosedSecret, `{"user_id":"u-42","email":"`+email+`"}`), "json_without_signature_signed", "before the signature was added"},
		{"intercom", base64Of(hmacOf(sha256.New, diagnosedSecret, other)), "encoding_base64", "write the digest as 64 hex digits"},
		{"magicbell", hmacHex(diagnosedSecret, other), "encoding_hex", "write the digest in base64, padding included"},
		{"magicbell", base64Of(hmacOf(sha256.New, diagnosedSecret, email)), "other_value_signed", "the field X-MagicBell-User-Email and not of the user id"},
		{"magicbell", base64Of(hmacOf(sha256.New, "a1b2", other)), "widget_id_as_key", "widget's id was used as the secret"},
		{"novu", hmacHex(diagnosedSecret, `{"a":1,"tenant":"b"}`), "object_signed", "such as a context"},
		{"novu", hmacHex("a1b2", other), "widget_id_as_key", "set the secret"},
	} {
		d, err := verifier.LookupDialect(x.dialect)
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.Reader()
		if err != nil {
			t.Fatal(err)
		}
		var r verifier.Reading
		r.Text(verifier.Place{Field: verifier.Signature}, []byte(x.signature))
		r.Text(verifier.Place{Field: verifier.Widget}, []byte("a1b2"))
		user, document := other, ""
		switch x.dialect {
		case "chaskiq":
			user, document = email, inHeaders(map[string]string{"User-Data": userData(x.signature)})
			if x.id == "id_lower_case" {
				document = "app=a1b2&user_data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(userData(x.signature))))
			}
		case "intercom":
			document = form(x.signature)
			r.Text(verifier.Place{Field: verifier.Email}, []byte(email))
		case "magicbell":
			document = inHeaders(map[string]string{"X-MagicBell-User-External-ID": other, "X-MagicBell-User-Email": email, "X-MagicBell-User-HMAC": x.signature})
		case "novu":
			document = novu(x.signature)
		}
		r.Text(verifier.Place{Field: verifier.UserID}, []byte(user))
		if _, err := v.Verify(&r, verifier.NewKey(secret)); err == nil {
			t.Errorf("%s, %s: it verifies", x.dialect, x.id)
		}
		found, _ := Claim(v, &r, Evidence{Document: []byte(document), Secrets: []verifier.Secret{secret}})
		if found.ID != x.id || !strings.Contains(found.Text, x.says) {
			t.Errorf("%s: %+v, want %s: %s", x.dialect, found, x.id, x.says)
		}
		silent(t, found.Text, diagnosedSecret, email, other, x.signature)
	}
}
