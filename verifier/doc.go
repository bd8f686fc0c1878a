// Package verifier verifies the identity claims of chat widgets.
//
// A chat widget runs in the visitor's browser, so the user id that it sends can be
// typed by anyone. Chat products therefore have the customer's server sign the id:
// it computes an HMAC-SHA256 of the user id with a secret that it shares with the
// product, writes it into the page, and the widget sends both.
//
//	{"user_id": "user-42", "user_hash": "9f86d081…", "message": "Where is my order?"}
//
// The user id, the signature and whatever else is signed with them, such as a
// timestamp, are a claim. This package finds the claim in a request and checks it.
// It knows neither HTTP nor storage: bytes, keys and a clock go in, and an
// [Identity] or an error comes out.
//
// # Verifying
//
// A [Dialect] says where the fields of a claim travel and what is signed. Take one
// of [Dialects] or write your own, compile it once, and give the [Verifier] what
// the client sent. This is a complete program:
//
//	package main
//
//	import (
//		"encoding/json"
//		"errors"
//		"io"
//		"log"
//		"net/http"
//		"os"
//
//		"github.com/chatidentity/caddy-chat-identity/verifier"
//	)
//
//	func main() {
//		dialect, err := verifier.LookupDialect("bookbag")
//		if err != nil {
//			log.Fatal(err)
//		}
//		v, err := dialect.Verifier()
//		if err != nil {
//			log.Fatal(err)
//		}
//		secret, err := verifier.NewSecret(os.Getenv("CHAT_IDENTITY_SECRET"))
//		if err != nil {
//			log.Fatal(err)
//		}
//		key := verifier.NewKey(secret)
//
//		http.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
//			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
//			if err != nil {
//				http.Error(w, "cannot read the body", http.StatusBadRequest)
//				return
//			}
//			var reading verifier.Reading
//			v.JSON(body, &reading)
//			identity, err := v.Verify(&reading, key)
//			if err != nil && !errors.Is(err, verifier.ErrMissing) {
//				http.Error(w, err.Error(), http.StatusForbidden)
//				return
//			}
//			var chat struct{ Message string }
//			if err := json.Unmarshal(body, &chat); err != nil {
//				http.Error(w, "not JSON", http.StatusBadRequest)
//				return
//			}
//			log.Printf("%q says %q", identity.User(), chat.Message) // "" is an anonymous visitor
//		})
//		log.Fatal(http.ListenAndServe("localhost:8080", nil))
//	}
//
// There is no other way to get an [Identity], and nothing to call first: Verify
// checks the claim's shape, signature and age. During a rotation pass several
// keys; where each tenant has a key, see [Verifier.VerifyFunc].
//
// Read the request as your own handler does. If it decodes a JSON body, call
// [Verifier.JSON]; if it also looks at the query, call [Verifier.Query] with the
// same [Reading], and what the two say must agree. For forms call [Verifier.Form], or
// [Verifier.JSONOrForm] where the body begins with "{", or [Verifier.Multipart], and
// close that. Forms and queries have the last token of a pointer as the name: bookbag's
// e-mail address is the form field email there. A field in a header or a cookie is
// passed to [Reading.Text].
//
// # What is refused
//
// The errors are reasons, and [errors.Is] tells them apart. They are judged in this
// order. The numbers are the HTTP statuses that the gateway answers with:
//
//	ErrTooLarge   413  a multipart form's fields exceed the limit that you gave
//	ErrMalformed  400  the body does not parse in one way and names a field of a
//	                   claim, or is a multipart form that was cut short; or a field
//	                   is of the wrong type, too long or holds a control character;
//	                   or a nonce or a timestamp is of the wrong length
//	ErrAmbiguous  400  a field appears more than once, in two spellings or with two
//	                   values
//	ErrMissing    401  there is no claim: an anonymous visitor, if you serve those
//	ErrPartial    401  there is a user id without a signature, or the reverse, or one
//	                   of them is there only in another spelling or inside an array
//	ErrInvalid    403  no key gives this signature
//	ErrExpired    401  the signature is right, but older than MaxAge or ahead by more
//	                   than Skew
//
// Any other error is a mistake of your program: 500.
//
// Malformed and ambiguous are the reasons for which this package exists. A body such
// as
//
//	{"user_id": "victim", "user_id": "user-42", "user_hash": "…"}
//
// has two user ids. Go takes the last, other parsers the first, and some join the
// two; encoding/json takes "USER_ID" for user_id as well. Whoever verifies one
// reading while another program acts on the other has verified nothing. So names
// are compared after their escapes are decoded and without regard to case, in forms
// also as PHP, Rack and Spring write them, and a claim that has two readings is
// refused, whichever of them is signed. Where "USER_ID" is there and user_id is not, the
// claim lacks its user id: ErrPartial.
//
// Honest requests are odd in many ways, and none of them is refused for that: a body
// that does not parse is no claim as long as none of the dialect's field names can be
// found in it, and the reason is ErrMissing. Fields that prove nothing refuse nothing
// either: a display name that is too long is left out of the reading, and
// [Reading.LeftOut] says so.
//
// An [Error] says which field is at fault and why, in words that are safe to send to
// the client: they never hold a value, a secret or a digest. To tell an integrator
// what he did wrong with a signature, see the package diagnose.
//
// # What is proved, and what is not
//
// An Identity proves that someone with the secret signed this user id. It holds the
// user id, and the e-mail address and the time of signing where they are signed.
//
//   - The e-mail address, name and attributes beside a signed user id are the
//     browser's word. [Reading.Unverified] returns them; its name is the warning.
//   - A signature without a timestamp is valid until its secret is rotated, for
//     whoever has copied it. It is as good as a password in the page.
//   - A signature with a timestamp can be sent again while it is fresh. To accept
//     it once, remember [Identity.Digest] until MaxAge and Skew have passed. Store
//     it after Verify has returned, and only if it was not there: an attacker must
//     not be able to use up a signature that he cannot make.
//   - A user id is the customer's. Two customers may both have a user 42: store the
//     pair of customer and id.
//   - Limit the body's size before you read it, and undo its Content-Encoding. A text
//     is UTF-8; if your server decodes other charsets, refuse them.
//   - Whoever reads the same body after you, and finds a user id in it, must not
//     believe it unless you have verified it. A proxy cuts it out: see
//     [Reading.WithoutBody].
//   - Signatures are HMAC-SHA256 with the secret's text as the key, of at least
//     [MinSecret] bytes.
//
// # Why not ten lines
//
// This verifies a claim, too:
//
//	var c struct {
//		UserID   string `json:"user_id"`
//		UserHash string `json:"user_hash"`
//	}
//	if err := json.Unmarshal(body, &c); err != nil {
//		return "", err
//	}
//	mac := hmac.New(sha256.New, []byte(os.Getenv("CHAT_IDENTITY_SECRET")))
//	mac.Write([]byte(c.UserID))
//	if !hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(c.UserHash)) {
//		return "", errors.New("invalid signature")
//	}
//	return c.UserID, nil
//
// With an empty environment variable it accepts what anyone can compute. Of the JSON
// bodies in testdata/vectors/bookbag.json it accepts 8 that this package refuses:
// user ids that appear twice, in upper case or with a long s, which other parsers
// give to someone else or to nobody, one that is too long and one nested a thousand
// deep. It refuses 7 that honest pages send: integers as user ids, a digest in upper
// case, the former secret during a rotation. It reads no forms and no queries, and
// where a timestamp is signed it still needs a clock, a message that splits in one
// way only and a memory. (A test in this package does the counting.)
//
// # Performance
//
// A Verifier and a [Key] are safe for concurrent use; a Reading belongs to one
// request and can be used again after Reset. One Verifier fills and verifies it:
// another one could mean another user by it, and returns an error. Reading a JSON body
// of 300 bytes and checking its claim takes about a microsecond and allocates only the
// user id.
//
// # For proxies
//
// The methods that take and return single fields, and those that mark, search and
// cut, and [Dialect.Reader], are for programs that forward a request whose claim they have judged, as the
// package caddymodule of this module does. A server that only wants to know who is
// there needs none of them.
package verifier
