package diagnose

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"math/big"
	"net/url"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const (
	diagnosedSecret  = "5d41402abc4b2a76b9719d911017c592a3f1c2d4e5b6978812345678deadbeef"
	diagnosedEarlier = "an earlier secret of the widget, retired"
)

func hmacOf(h func() hash.Hash, key, message string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(message))
	return m.Sum(nil)
}

func hmacHex(key, message string) string { return hex.EncodeToString(hmacOf(sha256.New, key, message)) }

func plainHex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// newVerifier returns what checks claims of that message.
func newVerifier(t testing.TB, template, encoding string) *verifier.Verifier {
	t.Helper()
	d, err := verifier.LookupDialect("snapengage")
	if err != nil {
		t.Fatal(err)
	}
	d.Message, d.Encoding = template, encoding
	v, err := d.Reader()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sign returns the right signature of a claim.
func sign(t testing.TB, p *format, secret verifier.Secret, c *claim) []byte {
	t.Helper()
	fields := map[verifier.Field]string{}
	for f, value := range c {
		fields[verifier.Field(f)] = string(value)
	}
	text, err := newVerifier(t, p.template, p.encoding).Sign(verifier.NewKey(secret), fields)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

// userWithPlus is a user id whose digest differs between base64 and base64url.
var userWithPlus = func() string {
	for i := 0; ; i++ {
		user := fmt.Sprint("user-", i)
		if strings.Contains(base64Of(hmacOf(sha256.New, diagnosedSecret, user)), "+") {
			return user
		}
	}
}()

// mistaken is a mistake as someone makes it. The zero values of user, secret
// and template stand for the usual ones.
type mistaken struct {
	name, id                         string
	user, secret, template, document string

	encoding string
	sign     func(secret, user string) string
}

const (
	usualEmail  = "Ada@Example.org"
	usualName   = "Ada Lovelace"
	usualTime   = "1767225600"
	usualWidget = "shop-1"
	usualNonce  = "0123456789abcdefghijABCDEFGHIJ_-"
)

func signs(message string) func(string, string) string {
	return func(secret, _ string) string { return hmacHex(secret, message) }
}

func keyed(key func(string) string) func(string, string) string {
	return func(secret, user string) string { return hmacHex(key(secret), user) }
}

// surrounded sends the right digest in the place of each %.
func surrounded(pattern string) func(string, string) string {
	return func(secret, user string) string { return strings.ReplaceAll(pattern, "%", hmacHex(secret, user)) }
}

func rewritten(message func(string) string) func(string, string) string {
	return func(secret, user string) string { return hmacHex(secret, message(user)) }
}

func hexDecoded(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// userWithZero is a user id whose digest begins with a zero.
var userWithZero = func() string {
	for i := 0; ; i++ {
		if user := fmt.Sprint("user-", i); hmacHex(diagnosedSecret, user)[:2] == "00" {
			return user
		}
	}
}()

func clean(_, user string) string { return hmacHex(diagnosedSecret, user) }

func sent(text string) func(string, string) string {
	return func(string, string) string { return text }
}

// negative prints a digest as Java prints a signed number.
func negative(secret, user string) string {
	sum := hmacOf(sha256.New, secret, user)
	n := new(big.Int).SetBytes(sum)
	if sum[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 256))
	}
	return n.Text(16)
}

// eachByte prints a digest byte by byte, as signed numbers of 32 bits or not.
func eachByte(format string, signed bool) func(string, string) string {
	return func(secret, user string) string {
		text := ""
		for _, b := range hmacOf(sha256.New, secret, user) {
			n := uint32(b)
			if signed {
				n = uint32(int8(b))
			}
			text += fmt.Sprintf(format, n)
		}
		return text
	}
}

// latin1 returns a text with a character for each byte.
func latin1(b []byte) string {
	var text []rune
	for _, one := range b {
		text = append(text, rune(one))
	}
	return string(text)
}

const three = "{user_id}{nonce}{timestamp}"

var mistakes = []mistaken{
	// What is signed, and with what.
	{name: "swapped", id: "key_and_message_swapped", sign: func(s, u string) string { return hmacHex(u, s) }},
	{name: "email", id: "email_signed", sign: signs(usualEmail)},
	{name: "email in lower case", id: "email_signed+id_lower_case", sign: signs(strings.ToLower(usualEmail))},
	{name: "name", id: "name_signed", sign: signs(usualName)},
	{name: "id and email", id: "id_and_email_signed", sign: rewritten(func(u string) string { return u + ":" + usualEmail })},
	{name: "document as received", id: "json_signed", document: "{ \"user_id\": \"user-42\" }\n", sign: signs("{ \"user_id\": \"user-42\" }\n")},
	{name: "document compact", id: "json_signed", document: `{ "user_id": "user-42", "x": [1, 2] }`, sign: signs(`{"user_id":"user-42","x":[1,2]}`)},
	{name: "document of Python", id: "json_signed", document: `{"user_id":"user-42","x":"\"é"}`, sign: signs(`{"user_id": "user-42", "x": "\"\u00e9"}`)},
	{name: "document sorted", id: "json_signed", document: `{"user_id":"user-42","a":1}`, sign: signs(`{"a":1,"user_id":"user-42"}`)},
	{name: "claim in a document", id: "json_signed", document: `{"chat":{"user_id":"user-42","x":1}}`, sign: signs(`{"user_id":"user-42","x":1}`)},
	{name: "claim without signature", id: "json_without_signature_signed", document: `{"a":1,"claim":{"user_id":"user-42","user_hash":"%SIG%","x":1},"b":[]}`, sign: signs(`{"user_id":"user-42","x":1}`)},
	{name: "document without signature", id: "json_without_signature_signed", document: `{"a":1,"claim":{"user_id":"user-42","user_hash":"%SIG%","x":1},"b":[]}`, sign: signs(`{"a":1,"claim":{"user_id":"user-42","x":1},"b":[]}`)},
	{name: "object of the id", id: "id_with_name_signed", document: `{"user_id":"user-42","user_hash":"%SIG%","x":1}`, sign: signs(`{"user_id":"user-42"}`)},
	{name: "name and id", id: "id_with_name_signed", document: `{"user_id":"user-42","user_hash":"%SIG%","x":1}`, sign: signs("user_id=user-42")},
	{name: "integer member", id: "json_signed", user: "42", document: `[{"user_id": 42}]`, sign: signs(`{"user_id":42}`)},

	// The user id.
	{name: "id newline", id: "id_newline", sign: rewritten(func(u string) string { return u + "\n" })},
	{name: "id CR LF", id: "id_newline", sign: rewritten(func(u string) string { return u + "\r\n" })},
	{name: "id blank before", id: "id_spaces", sign: rewritten(func(u string) string { return " " + u })},
	{name: "id blank after", id: "id_spaces", sign: rewritten(func(u string) string { return u + " " })},
	{name: "id trimmed", id: "id_trimmed", user: " user-42 ", sign: rewritten(strings.TrimSpace)},
	{name: "id upper case", id: "id_upper_case", sign: rewritten(strings.ToUpper)},
	{name: "id lower case", id: "id_lower_case", user: "User-42", sign: rewritten(strings.ToLower)},
	{name: "id quoted", id: "id_quoted", user: "42", sign: signs(`"42"`)},
	{name: "id fraction", id: "id_fraction", user: "42", sign: signs(`42.0`)},
	{name: "id escaped", id: "id_json_escaped", user: "zoë😀", sign: signs(`zo\u00eb\ud83d\ude00`)},
	{name: "id URL-encoded", id: "id_url_encoded", user: "ada@example.org", sign: rewritten(url.QueryEscape)},
	{name: "id path-encoded", id: "id_url_encoded", user: "a b/c", sign: rewritten(url.PathEscape)},
	{name: "id URL-decoded", id: "id_url_decoded", user: "ada%40example.org", sign: signs("ada@example.org")},
	{name: "id Latin-1", id: "id_charset", user: "zoë", sign: signs("zo\xeb")},
	{name: "id UTF-16", id: "id_charset", user: "ab", sign: signs("a\x00b\x00")},
	{name: "id UTF-16 big endian", id: "id_charset", user: "ab", sign: signs("\x00a\x00b")},
	{name: "id byte order mark", id: "id_charset", sign: rewritten(func(u string) string { return "\ufeff" + u })},
	{name: "id base64", id: "id_encoded", sign: rewritten(func(u string) string { return base64Of([]byte(u)) })},
	{name: "id NFD", id: "id_normalized", user: "zo\u00eb", sign: signs("zoe\u0308")},
	{name: "id NFC", id: "id_normalized", user: "zoe\u0308", sign: signs("zo\u00eb")},
	{name: "id empty", id: "id_missing", sign: signs("")},
	{name: "id undefined", id: "id_missing", sign: signs("undefined")},

	// The secret.
	{name: "secret newline", id: "secret_newline", sign: keyed(func(s string) string { return s + "\n" })},
	{name: "secret CR LF", id: "secret_newline", sign: keyed(func(s string) string { return s + "\r\n" })},
	{name: "secret blank", id: "secret_spaces", sign: keyed(func(s string) string { return " " + s })},
	{name: "secret trimmed", id: "gateway_secret_spaces", secret: diagnosedSecret + "\n", sign: keyed(strings.TrimSpace)},
	{name: "secret quoted", id: "secret_quoted", sign: keyed(func(s string) string { return `"` + s + `"` })},
	{name: "secret from hex", id: "secret_decoded_hex", sign: keyed(hexDecoded)},
	{name: "secret from base64", id: "secret_decoded_base64", secret: "c2VjcmV0IG9mIHRoZSB3aWRnZXQ/", sign: keyed(func(s string) string {
		b, _ := base64.StdEncoding.DecodeString(s)
		return string(b)
	})},
	{name: "secret from base64url", id: "secret_decoded_base64", secret: "_-7dzLuqmYh3ZlVEMyIRAA", sign: keyed(func(s string) string {
		b, _ := base64.RawURLEncoding.DecodeString(s)
		return string(b)
	})},
	{name: "secret to base64", id: "secret_encoded", sign: keyed(func(s string) string { return base64Of([]byte(s)) })},
	{name: "secret upper case", id: "secret_upper_case", sign: keyed(strings.ToUpper)},
	{name: "secret lower case", id: "secret_lower_case", secret: strings.ToUpper(diagnosedSecret), sign: keyed(strings.ToLower)},
	{name: "secret hashed", id: "secret_hashed", sign: keyed(plainHex)},
	{name: "secret missing", id: "secret_missing", sign: keyed(func(string) string { return "" })},
	{name: "secret undefined", id: "secret_placeholder", sign: keyed(func(string) string { return "undefined" })},
	{name: "previous secret", id: "previous_secret", sign: keyed(func(string) string { return diagnosedEarlier })},
	{name: "previous secret, newline", id: "previous_secret+secret_newline", sign: keyed(func(string) string { return diagnosedEarlier + "\n" })},

	// The digest.
	{name: "SHA-1", id: "sha1", sign: func(s, u string) string { return hex.EncodeToString(hmacOf(sha1.New, s, u)) }},
	{name: "SHA-512", id: "sha512", sign: func(s, u string) string { return hex.EncodeToString(hmacOf(sha512.New, s, u)) }},
	{name: "SHA-384", id: "sha384", sign: func(s, u string) string { return hex.EncodeToString(hmacOf(sha512.New384, s, u)) }},
	{name: "SHA-224", id: "sha224", sign: func(s, u string) string { return hex.EncodeToString(hmacOf(sha256.New224, s, u)) }},
	{name: "MD5", id: "md5", sign: func(s, u string) string { return hex.EncodeToString(hmacOf(md5.New, s, u)) }},
	{name: "plain hash", id: "plain_hash", sign: func(_, u string) string { return plainHex(u) }},
	{name: "plain MD5", id: "plain_hash+md5", sign: func(_, u string) string { sum := md5.Sum([]byte(u)); return hex.EncodeToString(sum[:]) }},
	{name: "hash of secret and id", id: "plain_hash_with_secret", sign: func(s, u string) string { return plainHex(s + u) }},
	{name: "hash of id and secret", id: "plain_hash_with_secret", sign: func(s, u string) string { return plainHex(u + s) }},
	{name: "hash of secret:id", id: "plain_hash_with_secret", sign: func(s, u string) string { return plainHex(s + ":" + u) }},
	{name: "hash of id.secret", id: "plain_hash_with_secret", sign: func(s, u string) string { return plainHex(u + "." + s) }},
	{name: "id hashed first", id: "message_hashed", sign: func(s, u string) string { return hmacHex(s, plainHex(u)) }},
	{name: "digest hashed", id: "hashed_twice", sign: func(s, u string) string { return plainHex(hmacHex(s, u)) }},
	{name: "HMAC of the digest", id: "hashed_twice", sign: func(s, u string) string { return hmacHex(s, hmacHex(s, u)) }},
	{name: "cut to 32 digits", id: "digest_cut", sign: func(s, u string) string { return hmacHex(s, u)[:32] }},
	{name: "one digit lost", id: "digest_cut", sign: func(s, u string) string { return hmacHex(s, u)[:63] }},
	{name: "cut base64", id: "digest_cut", encoding: inBase64, sign: func(s, u string) string { return base64Of(hmacOf(sha256.New, s, u))[:20] }},

	// The writing of the digest.
	{name: "base64 for hex", id: "encoding_base64", sign: func(s, u string) string { return base64Of(hmacOf(sha256.New, s, u)) }},
	{name: "base64url for hex", id: "encoding_base64url", sign: func(s, u string) string {
		return base64.RawURLEncoding.EncodeToString(hmacOf(sha256.New, s, u))
	}},
	{name: "hex for base64", id: "encoding_hex", encoding: inBase64, sign: hmacHex},
	{name: "hex for base64url", id: "encoding_hex", encoding: inBase64URL, sign: hmacHex},
	{name: "base64url for base64", id: "encoding_base64url", encoding: inBase64, user: userWithPlus, sign: func(s, u string) string {
		return base64.URLEncoding.EncodeToString(hmacOf(sha256.New, s, u))
	}},
	{name: "base64 for base64url", id: "encoding_base64", encoding: inBase64URL, user: userWithPlus, sign: func(s, u string) string {
		return base64Of(hmacOf(sha256.New, s, u))
	}},
	{name: "padding", id: "signature_padding", encoding: inBase64, sign: func(s, u string) string {
		return strings.TrimRight(base64Of(hmacOf(sha256.New, s, u)), "=")
	}},
	{name: "plus lost", id: "signature_plus_lost", encoding: inBase64, user: userWithPlus, sign: func(s, u string) string {
		return strings.ReplaceAll(base64Of(hmacOf(sha256.New, s, u)), "+", " ")
	}},
	{name: "hex in base64", id: "signature_encoded_twice", sign: func(s, u string) string { return base64Of([]byte(hmacHex(s, u))) }},
	{name: "prefix", id: "signature_prefixed", sign: func(s, u string) string { return "sha256=" + hmacHex(s, u) }},
	{name: "blanks", id: "signature_spaces", sign: func(s, u string) string { return " " + hmacHex(s, u) + "\n" }},
	{name: "quotes", id: "signature_quoted", sign: func(s, u string) string { return `"` + hmacHex(s, u) + `"` }},
	{name: "dashes", id: "signature_separated", sign: func(s, u string) string {
		return strings.ReplaceAll(fmt.Sprintf("% X", hmacOf(sha256.New, s, u)), " ", "-")
	}},
	{name: "percent", id: "signature_url_encoded", encoding: inBase64, sign: func(s, u string) string {
		return url.QueryEscape(base64Of(hmacOf(sha256.New, s, u)))
	}},
	{name: "wrapped", id: "sha512+signature_wrapped", sign: func(s, u string) string {
		text := hex.EncodeToString(hmacOf(sha512.New, s, u))
		return text[:64] + "\n" + text[64:]
	}},
	{name: "the secret", id: "secret_sent", sign: func(s, _ string) string { return s }},
	{name: "the id", id: "user_id_sent", sign: func(_, u string) string { return u }},
	{name: "a token", id: "token_sent", sign: func(_, _ string) string { return "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl" }},
	{name: "a promise", id: "signature_placeholder", sign: func(_, _ string) string { return "[object Promise]" }},

	{name: "leading zero", id: "digest_leading_zeros", user: userWithZero, sign: func(s, u string) string {
		return new(big.Int).SetBytes(hmacOf(sha256.New, s, u)).Text(16)
	}},
	{name: "negative number", id: "digest_negative", user: "usr_1", sign: negative},
	{name: "bytes unpadded", id: "digest_zeros", user: "user-1", sign: eachByte("%x", false)},
	{name: "bytes extended", id: "digest_sign_extended", sign: eachByte("%x", true)},
	{name: "bytes extended, padded", id: "digest_sign_extended", sign: eachByte("%02x", true)},
	{name: "digest of Python", id: "signature_bytes_printed", sign: func(s, u string) string { return "b'" + hmacHex(s, u) + "'" }},
	{name: "digest of Python in base64", id: "signature_bytes_printed+encoding_base64", sign: func(s, u string) string { return "b'" + base64Of(hmacOf(sha256.New, s, u)) + "'" }},
	{name: "raw digest of Python", id: "signature_bytes_printed", sign: func(s, u string) string {
		return `b'` + strings.ReplaceAll(fmt.Sprintf(" % x", hmacOf(sha256.New, s, u)), " ", `\x`) + `'`
	}},
	{name: "bytes of Go", id: "signature_bytes_printed", sign: func(s, u string) string { return fmt.Sprint(hmacOf(sha256.New, s, u)) }},
	{name: "bytes of Java", id: "signature_bytes_printed", sign: func(s, u string) string {
		var numbers []string
		for _, b := range hmacOf(sha256.New, s, u) {
			numbers = append(numbers, fmt.Sprint(int8(b)))
		}
		return "[" + strings.Join(numbers, ", ") + "]"
	}},
	{name: "bytes of JavaScript", id: "signature_bytes_printed", sign: func(s, u string) string {
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(hmacOf(sha256.New, s, u)), " ", ","), "[]")
	}},
	{name: "raw bytes", id: "signature_bytes_printed", sign: func(s, u string) string { return latin1(hmacOf(sha256.New, s, u)) }},
	{name: "colons in the digest", id: "signature_separated", sign: func(s, u string) string {
		return strings.ReplaceAll(fmt.Sprintf("% x", hmacOf(sha256.New, s, u)), " ", ":")
	}},
	{name: "0x", id: "signature_0x", sign: func(s, u string) string { return "0x" + hmacHex(s, u) }},
	{name: "hex in hex", id: "signature_encoded_twice", sign: func(s, u string) string { return hex.EncodeToString([]byte(hmacHex(s, u))) }},
	{name: "base64 in base64", id: "signature_encoded_twice+encoding_base64", sign: func(s, u string) string {
		return base64Of([]byte(base64Of(hmacOf(sha256.New, s, u))))
	}},
	{name: "an object", id: "signature_placeholder", sign: sent("[object Object]")},
	{name: "YOUR_HASH", id: "signature_placeholder", sign: sent("YOUR_HASH")},
	{name: "a template", id: "signature_placeholder", sign: sent("{{ user.hash }}")},
	{name: "a variable of PHP", id: "signature_placeholder", sign: sent("$user_hash")},
	{name: "in angle brackets", id: "signature_placeholder", sign: sent("<user_hash>")},
	{name: "words for it", id: "signature_placeholder", sign: sent("hash goes here")},
	{name: "bcrypt", id: "password_hash_sent", sign: sent("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW")},
	{name: "argon2", id: "password_hash_sent", sign: sent("$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")},

	// What is printed instead of the id.
	{name: "id as Python prints bytes", id: "id_bytes_printed", sign: rewritten(func(u string) string { return "b'" + u + "'" })},
	{name: "an object signed", id: "id_missing", sign: signs("[object Object]")},
	{name: "a variable signed", id: "id_placeholder", sign: signs("#{user.id}")},
	{name: "UUID without dashes", id: "id_uuid", user: "9b6c8d0e-5a37-4c1f-8a52-0d1f2b7f3c11", sign: signs("9b6c8d0e5a374c1f8a520d1f2b7f3c11")},
	{name: "UUID with dashes", id: "id_uuid", user: "9b6c8d0e5a374c1f8a520d1f2b7f3c11", sign: signs("9b6c8d0e-5a37-4c1f-8a52-0d1f2b7f3c11")},
	{name: "id encoded by JavaScript", id: "id_url_encoded", user: "ada b(c)", sign: signs("ada%20b(c)")},
	{name: "id encoded by .NET", id: "id_url_encoded", user: "ada@example.org", sign: signs("ada%40example.org")},
	{name: "id encoded in lower case", id: "id_url_encoded", user: "zoë", sign: signs("zo%c3%ab")},

	// Other values of the request.
	{name: "widget as key", id: "widget_id_as_key", sign: keyed(func(string) string { return usualWidget })},
	{name: "key of the page", id: "other_value_as_key", document: `{"user_id":"user-42","user_hash":"%SIG%","app":"pk_1234567890"}`, sign: keyed(func(string) string { return "pk_1234567890" })},
	{name: "widget and id", id: "id_and_widget_signed", sign: rewritten(func(u string) string { return usualWidget + ":" + u })},
	{name: "another user", id: "other_value_signed", document: `{"user_id":"user-42","user_hash":"%SIG%","agent":{"id":"user-7"}}`, sign: signs("user-7")},
	{name: "another user, in a form", id: "other_value_signed", document: `user_id=user-42&user_hash=%SIG%&agent=user%2d7`, sign: signs("user-7")},
	{name: "id and time", id: "id_and_time_signed", document: `{"user_id":"user-42","user_hash":"%SIG%","ts":1767225600}`, sign: signs("user-42.1767225600")},
	{name: "time and id", id: "id_and_time_signed", document: `{"user_id":"user-42","user_hash":"%SIG%","ts":"1767225600000"}`, sign: signs("1767225600000user-42")},
	{name: "id and plan", id: "id_and_other_value_signed", document: `{"user_id":"user-42","user_hash":"%SIG%","plan":"gold"}`, sign: signs("user-42:gold")},

	// More of the secret.
	{name: "secret cut to 32", id: "secret_cut", sign: keyed(func(s string) string { return s[:32] })},
	{name: "secret cut to 16", id: "secret_cut", sign: keyed(func(s string) string { return s[:16] })},
	{name: "secret without its end", id: "secret_cut", sign: keyed(func(s string) string { return s[:len(s)-1] })},
	{name: "secret cut at a comment", id: "secret_cut", secret: "a secret#of 20 bytes", sign: keyed(func(s string) string { return "a secret" })},
	{name: "secret as Python prints bytes", id: "secret_bytes_printed", sign: keyed(func(s string) string { return "b'" + s + "'" })},
	{name: "secret with a mark", id: "secret_mark", sign: keyed(func(s string) string { return "\ufeff" + s })},
	{name: "secret two newlines", id: "secret_spaces", sign: keyed(func(s string) string { return s + "\n\n" })},
	{name: "secret's variable", id: "secret_placeholder", sign: keyed(func(string) string { return "${CHAT_IDENTITY_SECRET}" })},

	// The gateway's own secret.
	{name: "gateway quotes", id: "gateway_secret_quoted", secret: `"` + diagnosedSecret + `"`, sign: clean},
	{name: "gateway single quotes", id: "gateway_secret_quoted", secret: "'" + diagnosedSecret + "'", sign: clean},
	{name: "gateway bytes of Python", id: "gateway_secret_bytes", secret: "b'" + diagnosedSecret + "'", sign: clean},
	{name: "gateway mark", id: "gateway_secret_mark", secret: "\ufeff" + diagnosedSecret, sign: clean},
	{name: "gateway spaces", id: "gateway_secret_spaces", secret: "  " + diagnosedSecret + "\r\n", sign: clean},
	{name: "gateway line", id: "gateway_secret_line", secret: "export SECRET=" + diagnosedSecret, sign: clean},
	{name: "gateway mark and newline", id: "gateway_secret_wrapped", secret: "\ufeff" + diagnosedSecret + "\n", sign: clean},
	{name: "gateway quotes and newline", id: "gateway_secret_wrapped", secret: `"` + diagnosedSecret + `"` + "\n", sign: clean},
	{name: "gateway quotes, e-mail", id: "email_signed+gateway_secret_quoted", secret: `"` + diagnosedSecret + `"`, sign: func(_, _ string) string { return hmacHex(diagnosedSecret, usualEmail) }},
	{name: "gateway semicolon", id: "gateway_secret_end", secret: diagnosedSecret + ";", sign: clean},
	{name: "gateway comma", id: "gateway_secret_end", secret: diagnosedSecret + ",", sign: clean},
	{name: "gateway comment", id: "gateway_secret_comment", secret: diagnosedSecret + " # shop", sign: clean},
	{name: "gateway escape", id: "gateway_secret_escape", secret: diagnosedSecret + `\n`, sign: clean},
	{name: "gateway invisible", id: "gateway_secret_invisible", secret: diagnosedSecret + "\u200b", sign: clean},
	{name: "gateway new and old", id: "gateway_secret_two", secret: diagnosedEarlier[:30] + "-new " + diagnosedSecret, sign: clean},
	{name: "gateway twice", id: "gateway_secret_twice", secret: diagnosedSecret + diagnosedSecret, sign: clean},
	{name: "gateway line with quotes and a comment", id: "gateway_secret_wrapped", secret: `SECRET="` + diagnosedSecret + `"; # shop`, sign: clean},

	// What stands around the right digest.
	{name: "as openssl prints it", id: "signature_prefixed", sign: surrounded("SHA2-256(stdin)= %")},
	{name: "of an HMAC", id: "signature_prefixed", sign: surrounded("HMAC-SHA2-256(stdin)= %")},
	{name: "as sha256sum prints it", id: "signature_surrounded", sign: surrounded("%  -")},
	{name: "as openssl -r prints it", id: "signature_surrounded", sign: surrounded("% *stdin")},
	{name: "bearer", id: "signature_surrounded", sign: surrounded("Bearer %")},
	{name: "as PostgreSQL prints bytes", id: "signature_0x", sign: surrounded(`\x%`)},
	{name: "as MySQL writes bytes", id: "signature_0x", sign: surrounded("x'%'")},
	{name: "field of a form", id: "signature_named", sign: surrounded("user_hash=%")},
	{name: "field of an object", id: "signature_named", sign: surrounded(`{"hash":"%"}`)},
	{name: "semicolon", id: "signature_surrounded", sign: surrounded("%;")},
	{name: "mark", id: "signature_spaces", sign: surrounded("\ufeff%")},
	{name: "invisible", id: "signature_spaces", sign: surrounded("%\u200b")},
	{name: "twice", id: "signature_twice", sign: surrounded("%%")},
	{name: "twice with a comma", id: "signature_twice", sign: surrounded("%,%")},
	{name: "angle brackets", id: "signature_bracketed", sign: surrounded("<%>")},
	{name: "braces", id: "signature_bracketed", sign: surrounded("{%}")},
	{name: "in base64 with a name", id: "signature_named+encoding_base64", sign: func(s, u string) string { return "user_hash=" + base64Of(hmacOf(sha256.New, s, u)) }},
	{name: "e-mail, with a name", id: "email_signed+signature_named", sign: func(s, _ string) string { return "user_hash=" + hmacHex(s, usualEmail) }},
	{name: "as Stripe signs", id: "id_and_time_signed+signature_surrounded", sign: func(s, u string) string { return "t=1767225600,v1=" + hmacHex(s, "1767225600."+u) }},
	{name: "lower-case base64", id: "digest_lower_case", encoding: inBase64, sign: func(s, u string) string { return strings.ToLower(base64Of(hmacOf(sha256.New, s, u))) }},
	{name: "base64 of hex in base64", id: "signature_encoded_twice", encoding: inBase64, sign: func(s, u string) string { return base64Of([]byte(hmacHex(s, u))) }},
	{name: "a template in braces", id: "signature_placeholder", sign: sent("{{hash}}")},
	{name: "an object of Java", id: "signature_object", sign: sent("[B@1b6d3586")},
	{name: "an object of .NET", id: "signature_object", sign: sent("System.Byte[]")},
	{name: "an object of Python", id: "signature_object", sign: sent("<hmac.HMAC object at 0x7f01>")},
	{name: "an object of Ruby", id: "signature_object", sign: sent("#<OpenSSL::HMAC:0x00007f>")},

	// Custom messages.
	{name: "id alone", id: "value_alone_signed", template: "v1:{user_id}", sign: rewritten(func(u string) string { return u })},
	{name: "id alone in base64", id: "value_alone_signed", template: "v1:{user_id}", encoding: inBase64, sign: func(s, u string) string { return base64Of(hmacOf(sha256.New, s, u)) }},
	{name: "CR LF", id: "message_crlf", template: "{user_id}\n{email}", sign: rewritten(func(u string) string { return u + "\r\n" + usualEmail })},

	// More of the user id, and of other values.
	{name: "two newlines", id: "id_spaces", sign: rewritten(func(u string) string { return u + "\n\n" })},
	{name: "newline in letters", id: "id_escape", sign: rewritten(func(u string) string { return u + `\n` })},
	{name: "leading zeros", id: "id_leading_zeros", user: "007", sign: signs("7")},
	{name: "double", id: "id_rounded", user: "12345678901234567890", sign: signs("12345678901234567000")},
	{name: "double of JavaScript", id: "id_rounded", user: "9007199254740993", sign: signs("9007199254740992")},
	{name: "HTML", id: "id_html_escaped", user: "o'b&c", sign: signs("o&#039;b&amp;c")},
	{name: "line as the secret", id: "secret_line", sign: keyed(func(s string) string { return "CHAT_IDENTITY_SECRET=" + s })},
	{name: "example as the secret", id: "secret_placeholder", sign: keyed(func(string) string { return "an-example-secret-do-not-use" })},

	// Two at once.
	// Two at once.
	{name: "email in base64", id: "email_signed+encoding_base64", sign: func(s, _ string) string { return base64Of(hmacOf(sha256.New, s, usualEmail)) }},
	{name: "email with a newline", id: "email_signed+id_newline", sign: signs(usualEmail + "\n")},
	{name: "email and hex secret", id: "email_signed+secret_decoded_hex", sign: func(s, _ string) string { return hmacHex(hexDecoded(s), usualEmail) }},
	{name: "newlines everywhere", id: "id_newline+secret_newline", sign: func(s, u string) string { return hmacHex(s+"\n", u+"\n") }},
	{name: "swapped email", id: "email_signed+key_and_message_swapped", sign: func(s, _ string) string { return hmacHex(usualEmail, s) }},
	{name: "swapped SHA-1", id: "key_and_message_swapped+sha1", sign: func(s, u string) string { return hex.EncodeToString(hmacOf(sha1.New, u, s)) }},
	{name: "swapped hex secret", id: "secret_decoded_hex+key_and_message_swapped", sign: func(s, u string) string { return hmacHex(u, hexDecoded(s)) }},

	// Messages of several parts.
	{name: "order", id: "parts_order", template: three, sign: rewritten(func(u string) string { return u + usualTime + usualNonce })},
	{name: "reverse order", id: "parts_order", template: three, sign: rewritten(func(u string) string { return usualTime + usualNonce + u })},
	{name: "colons", id: "parts_separated", template: three, sign: rewritten(func(u string) string { return u + ":" + usualNonce + ":" + usualTime })},
	{name: "order and pipes", id: "parts_order+parts_separated", template: three, sign: rewritten(func(u string) string { return usualTime + "|" + u + "|" + usualNonce })},
	{name: "id alone", id: "parts_left_out", template: three, sign: rewritten(func(u string) string { return u })},
	{name: "without nonce", id: "parts_left_out", template: three, sign: rewritten(func(u string) string { return u + usualTime })},
	{name: "milliseconds", id: "timestamp_unit", template: three, sign: rewritten(func(u string) string { return u + usualNonce + usualTime + "000" })},
	{name: "order and milliseconds", id: "timestamp_unit+parts_order", template: three, sign: rewritten(func(u string) string { return u + usualTime + "000" + usualNonce })},
	{name: "ISO 8601", id: "timestamp_notation", template: three, sign: rewritten(func(u string) string { return u + usualNonce + "2026-01-01T00:00:00Z" })},
	{name: "email for id", id: "email_signed", template: three, sign: signs(usualEmail + usualNonce + usualTime)},
	{name: "email for id, order", id: "email_signed+parts_order", template: three, sign: signs(usualEmail + usualTime + usualNonce)},
	{name: "email alone", id: "email_signed+parts_left_out", template: three, sign: signs(usualEmail)},
	{name: "newline at the end", id: "message_newline", template: three, sign: rewritten(func(u string) string { return u + usualNonce + usualTime + "\n" })},
	{name: "id in upper case", id: "id_upper_case", template: three, sign: rewritten(func(u string) string { return strings.ToUpper(u) + usualNonce + usualTime })},
	{name: "order in base64", id: "parts_order+encoding_base64", template: three, sign: func(s, u string) string {
		return base64Of(hmacOf(sha256.New, s, usualNonce+u+usualTime))
	}},
	{name: "order and hex secret", id: "parts_order+secret_decoded_hex", template: three, sign: func(s, u string) string {
		return hmacHex(hexDecoded(s), usualNonce+u+usualTime)
	}},
	{name: "separators left out", id: "parts_joined", template: "{user_id}\n{email}", sign: rewritten(func(u string) string { return u + usualEmail })},
}

func (m *mistaken) prepare(t testing.TB) (p *format, c *claim, document []byte, secret verifier.Secret) {
	if m.encoding == "" {
		m.encoding = inHex
	}
	if m.template == "" {
		m.template = "{user_id}"
	}
	if m.user == "" {
		m.user = "user-42"
	}
	if m.secret == "" {
		m.secret = diagnosedSecret
	}
	p = newFormat(m.template, m.encoding)
	signature := m.sign(m.secret, m.user)
	c = &claim{
		verifier.UserID: []byte(m.user), verifier.Signature: []byte(signature), verifier.Email: []byte(usualEmail), verifier.Name: []byte(usualName),
		verifier.Timestamp: []byte(usualTime), verifier.Nonce: []byte(usualNonce),
	}
	return p, c, []byte(strings.ReplaceAll(m.document, "%SIG%", signature)), verifier.WeakSecret(m.secret)
}

func TestDiagnose(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			p, c, document, secret := m.prepare(t)
			newVerifier(t, m.template, m.encoding)
			found, ok := p.find(c, Evidence{Document: document, Widget: usualWidget, Secrets: []verifier.Secret{secret}, Previous: []verifier.Secret{verifier.WeakSecret(diagnosedEarlier)}})
			if !ok || found.ID != m.id {
				t.Fatalf("found %q, %v; want %q", found.ID, ok, m.id)
			}
			t.Log(found.Text)
			if !strings.HasSuffix(found.Text, ".") || strings.Count(found.Text, ": ") != 1 {
				t.Errorf("not one sentence: %s", found.Text)
			}
			silent(t, found.Text, m.secret, diagnosedEarlier, m.user, usualEmail, usualName, usualNonce, usualTime, string(c[verifier.Signature]))
		})
	}
}

// TestClaim finds a mistake in a claim as it was read.
func TestClaim(t *testing.T) {
	d, err := verifier.LookupDialect("bookbag")
	if err != nil {
		t.Fatal(err)
	}
	v, err := d.Reader()
	if err != nil {
		t.Fatal(err)
	}
	secret := verifier.WeakSecret(diagnosedSecret)
	for signed, want := range map[string]string{"user-42\n": "id_newline", usualEmail: "email_signed", `{"user_id":"user-42"}`: "id_with_name_signed", "user-42": ""} {
		body := []byte(`{"user_id":"user-42","user_hash":"` + hmacHex(diagnosedSecret, signed) + `","user_metadata":{"email":"` + usualEmail + `"}}`)
		var r verifier.Reading
		v.JSON(body, &r)
		if _, err := v.Verify(&r, verifier.NewKey(secret)); (err == nil) != (want == "") {
			t.Errorf("%q: %v", signed, err)
		}
		if found, ok := Claim(v, &r, Evidence{Document: body, Secrets: []verifier.Secret{secret}}); ok != (want != "") || found.ID != want {
			t.Errorf("%q: %+v", signed, found)
		}
	}
}

// silent fails where a text holds one of the words, short ones aside, which
// any sentence may hold.
func silent(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if len(w) > 4 && strings.Contains(text, w) {
			t.Errorf("the text holds what it must not: %q holds %q", text, w)
		}
	}
}

func TestDiagnoseSecondSecret(t *testing.T) {
	m := mistaken{sign: signs(usualEmail)}
	p, c, _, secret := m.prepare(t)
	found, ok := p.find(c, Evidence{Secrets: []verifier.Secret{verifier.WeakSecret("another current secret"), secret}})
	if !ok || found.ID != "email_signed" {
		t.Fatalf("found %q, %v", found.ID, ok)
	}
}

// A right signature is no mistake, whichever secret that is valid made it.
func TestDiagnoseRightSignature(t *testing.T) {
	for _, template := range []string{"{user_id}", three, "{user_id}\n{email}"} {
		for _, encoding := range []string{inHex, inBase64, inBase64URL} {
			for i, user := range []string{"user-42", " x ", "42", "zoë", "undefined", "0", usualEmail} {
				p := newFormat(template, encoding)
				c := &claim{
					verifier.UserID: []byte(user), verifier.Email: []byte(usualEmail), verifier.Timestamp: []byte(usualTime), verifier.Nonce: []byte(usualNonce),
				}
				secrets := []verifier.Secret{verifier.WeakSecret(diagnosedSecret), verifier.WeakSecret("the second secret of two")}
				c[verifier.Signature] = sign(t, p, secrets[i%2], c)
				if found, ok := p.find(c, Evidence{Secrets: secrets, Previous: []verifier.Secret{verifier.WeakSecret(diagnosedEarlier), secrets[1]}}); ok {
					t.Errorf("%s %s %q: %+v", template, encoding, user, found)
				}
				if encoding == inHex {
					c[verifier.Signature] = []byte(strings.ToUpper(string(c[verifier.Signature])))
					if found, ok := p.find(c, Evidence{Secrets: secrets}); ok {
						t.Errorf("%s %q in upper case: %+v", template, user, found)
					}
				}
			}
		}
	}
}

func TestDiagnoseFindsNothing(t *testing.T) {
	p := newFormat(three, inHex)
	secrets := []verifier.Secret{verifier.WeakSecret(diagnosedSecret), verifier.WeakSecret(""), {}}
	random := make([]byte, 64)
	for range 20 {
		_, _ = rand.Read(random)
		for _, signature := range []string{
			hex.EncodeToString(random), hex.EncodeToString(random[:32]), hex.EncodeToString(random[:20]), hex.EncodeToString(random[:8]),
			base64Of(random), base64Of(random[:32]), base64Of(random[:8]), string(random), "\x19${\xac",
			"", " ", "=", "====", "00", "%", "%25", "sha256=", "'", strings.Repeat("0", 64), strings.Repeat("a", 2000), "0-", "a:b",
		} {
			c := &claim{verifier.UserID: []byte("user-42"), verifier.Signature: []byte(signature), verifier.Timestamp: []byte(usualTime), verifier.Nonce: []byte(usualNonce)}
			if found, ok := p.find(c, Evidence{Document: []byte(`{"user_id":"user-42"}`), Secrets: secrets}); ok {
				t.Fatalf("%q: %+v", signature, found)
			}
		}
	}
	long := &claim{verifier.UserID: []byte(strings.Repeat("a", 3000))}
	long[verifier.Signature] = []byte(hmacHex(strings.Repeat("a", 3000), diagnosedSecret))
	if found, ok := p.find(long, Evidence{Secrets: secrets}); ok {
		t.Errorf("a user id over the bound was looked at: %+v", found)
	}
	if found, ok := p.find(&claim{}, Evidence{}); ok {
		t.Errorf("an empty claim: %+v", found)
	}
}

func TestDiagnoseCost(t *testing.T) {
	for _, x := range []struct {
		template  string
		secrets   int
		signature string
		most      int
	}{
		{"{user_id}", 1, strings.Repeat("0", 64), 1200},
		{three, 1, strings.Repeat("0", 64), 1750},
		{three, 9, strings.Repeat("0", 64), maxDigests},
		{"{user_id}\n{nonce}{email}\n{timestamp}", 9, strings.Repeat("0", 64), maxDigests},
		{three, 9, strings.Repeat("0", 32), maxDigests},
	} {
		p := newFormat(x.template, inHex)
		c := &claim{
			verifier.UserID: []byte("Zoë 42"), verifier.Signature: []byte(x.signature), verifier.Email: []byte(usualEmail), verifier.Name: []byte(usualName),
			verifier.Timestamp: []byte(usualTime), verifier.Nonce: []byte(usualNonce),
		}
		document := []byte(`{"user_id":"Zoë 42","user_hash":"` + x.signature + `","list":[1,2,3]}`)
		var secrets []verifier.Secret
		for i := range x.secrets {
			secrets = append(secrets, verifier.WeakSecret(fmt.Sprintf("%s%d", diagnosedSecret, i)))
		}
		d := new(digester)
		if deviations := p.diagnose(d, c, Evidence{Document: document, Widget: usualWidget, Secrets: secrets, Previous: secrets}); len(deviations) > 0 {
			t.Errorf("%s: %v", x.template, deviations)
		}
		t.Logf("%s with %d secrets: %d digests", x.template, x.secrets, d.count)
		if d.count > x.most || d.count < 500 {
			t.Errorf("%s with %d secrets: %d digests, want at most %d", x.template, x.secrets, d.count, x.most)
		}
	}
}

// TestDiagnoseCostAlike: a signature that is explained costs as many digests as one that is
// not, so that the time tells nobody that he has guessed the beginning of a secret.
func TestDiagnoseCostAlike(t *testing.T) {
	p := newFormat("{user_id}", inHex)
	count := func(key string) int {
		c := &claim{verifier.UserID: []byte("user-42"), verifier.Signature: []byte(hmacHex(key, "user-42"))}
		d := new(digester)
		found := p.diagnose(d, c, Evidence{Secrets: []verifier.Secret{verifier.WeakSecret("correct horse battery staple sunday")}})
		if (len(found) > 0) != strings.HasPrefix("correct horse battery staple sunday", key) {
			t.Errorf("signed with %q: %v", key, found)
		}
		return d.count
	}
	if right, wrong := count("correct horse ba"), count("current horse ba"); right != wrong {
		t.Errorf("%d digests for the beginning of a secret, and %d for another text", right, wrong)
	}
}

// A document of thousands of numbers is not read to its end.
func TestDiagnoseManyFields(t *testing.T) {
	document := []byte(`{"user_id":"user-42","list":[` + strings.Repeat(`{"n":1},`, 5000) + `{}]}`)
	if n := len(fieldsOf(document)); n != maxFields {
		t.Errorf("%d fields", n)
	}
}

// The whole of a large document is hashed a few times only.
func TestDiagnoseLargeDocument(t *testing.T) {
	m := mistaken{sign: signs(usualEmail)}
	p, c, _, secret := m.prepare(t)
	c[verifier.Signature] = []byte(strings.Repeat("0", 64))
	document := []byte(`{"user_id":"user-42","x":"` + strings.Repeat("é", maxDocument/2-100) + `"}`)
	large := 0
	for _, v := range p.messageVariants(c, &Evidence{Document: document, fields: fieldsOf(document)}) {
		if len(v.text) > maxRewritten {
			large++
		}
	}
	if large == 0 || large > 8 {
		t.Errorf("%d large texts", large)
	}
	if found, ok := p.find(c, Evidence{Document: append(document, document...), Secrets: []verifier.Secret{secret}}); ok {
		t.Errorf("found %+v", found)
	}
}

func BenchmarkDiagnose(b *testing.B) {
	p := newFormat(three, inHex)
	c := &claim{
		verifier.UserID: []byte("user-42"), verifier.Signature: []byte(strings.Repeat("0", 64)), verifier.Email: []byte(usualEmail), verifier.Name: []byte(usualName),
		verifier.Timestamp: []byte(usualTime), verifier.Nonce: []byte(usualNonce),
	}
	for b.Loop() {
		p.find(c, Evidence{Secrets: []verifier.Secret{verifier.WeakSecret(diagnosedSecret)}})
	}
}

// A user id with a newline is refused whatever its signature: signing it as it is sent
// would not help.
func TestSentWithSpaces(t *testing.T) {
	for _, user := range []string{"user-42\n", " user-42", "user-42\r\n"} {
		m := mistaken{user: user, sign: rewritten(strings.TrimSpace)}
		p, c, document, secret := m.prepare(t)
		got, _ := p.find(c, Evidence{Document: document, Secrets: []verifier.Secret{secret}})
		if want := "The user id was signed without the spaces or newlines around it: send it without them."; got.ID != "id_trimmed" || got.Text != want {
			t.Errorf("%q: %+v, want %s", user, got, want)
		}
	}
}
