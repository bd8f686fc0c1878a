package diagnose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

var tokenNow = time.Unix(1767225600, 0)

type claims map[string]any

// claiming returns the usual claims, changed; nil removes one.
func claiming(changed claims) claims {
	all := claims{"sub": "user-42", "iat": tokenNow.Unix(), "exp": tokenNow.Unix() + 3600}
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// encoded writes a segment.
func encoded(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return unpadded.EncodeToString(text)
}

func parts(header, payload claims) string { return encoded(header) + "." + encoded(payload) }

// hs signs with a secret.
func hs(h func() hash.Hash, key, text string) string {
	return unpadded.EncodeToString(hmacOf(h, key, text))
}

// usual is a token of a secret with the usual header.
func usual(key string, payload claims) string {
	text := parts(claims{"alg": "HS256", "typ": "JWT"}, payload)
	return text + "." + hs(sha256.New, key, text)
}

// headed is a token with another header.
func headed(key string, header, payload claims) string {
	text := parts(header, payload)
	return text + "." + hs(sha256.New, key, text)
}

// signedAs signs another text than the one that is sent.
func signedAs(text func(signed string) string) func(string) string {
	return func(key string) string {
		signed := parts(claims{"alg": "HS256"}, claiming(claims{"name": "Ada"}))
		return signed + "." + hs(sha256.New, key, text(signed))
	}
}

func segment(signed string, i int) string {
	text, err := unpadded.DecodeString(strings.Split(signed, ".")[i])
	if err != nil {
		panic(err)
	}
	return string(text)
}

func of(payload claims) func(string) string {
	return func(key string) string { return usual(key, claiming(payload)) }
}

func sentAs(change func(token string) string) func(string) string {
	return func(key string) string { return change(usual(key, claiming(nil))) }
}

var tokenMistakes = []struct {
	name, id string
	token    func(key string) string
	change   func(*verifier.Dialect)
}{
	// How it is sent.
	{"newline", "token_spaces", sentAs(func(t string) string { return t + "\n" }), nil},
	{"quotes", "token_quoted", sentAs(func(t string) string { return `"` + t + `"` }), nil},
	{"quotes and newline", "token_spaces+token_quoted", sentAs(func(t string) string { return `"` + t + "\"\n" }), nil},
	{"bearer", "token_prefixed", sentAs(func(t string) string { return "Bearer " + t }), nil},
	{"header", "token_prefixed", sentAs(func(t string) string { return "Authorization: Bearer " + t }), nil},
	{"object", "token_in_json", sentAs(func(t string) string { return `{"token":"` + t + `"}` }), nil},
	{"URL-encoded", "token_url_encoded", sentAs(func(t string) string { return strings.ReplaceAll(t, ".", "%2E") }), nil},
	{"lines", "token_wrapped", sentAs(func(t string) string { return t[:50] + "\n" + t[50:] }), nil},
	{"base64 of it", "token_encoded_twice", sentAs(func(t string) string { return base64Of([]byte(t)) }), nil},
	{"semicolon", "token_quoted", sentAs(func(t string) string { return t + `";` }), nil},
	{"padded", "token_padded", padded(base64.URLEncoding), nil},
	{"padded and escaped", "token_url_encoded+token_padded", func(key string) string { return url.QueryEscape(padded(base64.URLEncoding)(key)) }, nil},
	{"standard base64", "token_padded+token_base64", padded(base64.StdEncoding), nil},
	{"padding added", "token_padded", sentAs(func(t string) string { return t + "=" }), nil},
	{"JWE", "token_encrypted", func(string) string { return encoded(claims{"alg": "dir", "enc": "A128GCM"}) + "..aaaa.bbbb.cccc" }, nil},
	{"JSON serialization", "token_json", func(string) string { return `{"payload":"e30","protected":"e30","signature":"aa"}` }, nil},
	{"claims", "token_payload_sent", func(string) string { return `{"sub":"user-42"}` }, nil},
	{"unsigned", "token_unsigned", sentAs(func(t string) string { return t[:strings.LastIndexByte(t, '.')] }), nil},
	{"cut", "token_cut", sentAs(func(t string) string { return t[:20] }), nil},
	{"digest", "signature_sent", func(key string) string { return hmacHex(key, "user-42") }, nil},
	{"opaque", "token_opaque", func(string) string { return "gho_16C7e42F292c6912E7710c838347Ae178B4a" }, nil},
	{"undefined", "token_placeholder", func(string) string { return "undefined" }, nil},
	{"placeholder", "token_placeholder", func(string) string { return "{{ user_token }}" }, nil},
	{"devtoken", "token_development", func(string) string { return "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoidSJ9.devtoken" }, nil},
	{"secret", "secret_sent", func(key string) string { return key }, nil},

	// The algorithm.
	{"none", "alg_none", func(string) string { return parts(claims{"alg": "none"}, claiming(nil)) + "." }, nil},
	{"NoNe with a MAC", "alg_none", func(key string) string { return headed(key, claims{"alg": "NoNe"}, claiming(nil)) }, nil},
	{"spelling", "alg_spelling", func(key string) string { return headed(key, claims{"alg": "hs256"}, claiming(nil)) }, nil},
	{"unknown", "alg_unknown", func(key string) string { return headed(key, claims{"alg": "HS1"}, claiming(nil)) }, nil},
	{"HS512", "alg_other", func(key string) string {
		text := parts(claims{"alg": "HS512"}, claiming(nil))
		return text + "." + hs(sha512.New, key, text)
	}, nil},
	{"HS512 in the signature alone", "signed_hs512", func(key string) string {
		text := parts(claims{"alg": "HS256"}, claiming(nil))
		return text + "." + hs(sha512.New, key, text)
	}, nil},
	{"private key", "alg_private", func(string) string { return rsaToken(claims{"alg": "RS256"}, claiming(nil)) }, nil},
	{"provider", "alg_provider", func(string) string {
		return rsaToken(claims{"alg": "RS256", "kid": "x"}, claiming(claims{"iss": "https://id.example.com", "nonce": "n", "aud": "app"}))
	}, nil},

	// The secret.
	{"secret hex-decoded", "secret_decoded_hex", func(key string) string { return usual(hexDecoded(key), claiming(nil)) }, nil},
	{"secret base64-decoded", "secret_decoded_base64", func(key string) string { return usual(fromBase64(key)[0], claiming(nil)) }, nil},
	{"secret with newline", "secret_newline", func(key string) string { return usual(key+"\n", claiming(nil)) }, nil},
	{"secret in quotes", "secret_quoted", func(key string) string { return usual(`"`+key+`"`, claiming(nil)) }, nil},
	{"secret with spaces", "secret_spaces", func(key string) string { return usual(" "+key, claiming(nil)) }, nil},
	{"no secret", "secret_missing", func(string) string { return usual("", claiming(nil)) }, nil},
	{"text for hex", "secret_not_decoded", func(key string) string { return usual(key, claiming(nil)) }, func(d *verifier.Dialect) { d.KeyEncoding = "hex" }},
	{"base64 for hex", "secret_decoded_base64", func(key string) string { return usual(fromBase64(key)[0], claiming(nil)) }, func(d *verifier.Dialect) { d.KeyEncoding = "hex" }},
	{"earlier secret", "previous_secret", func(string) string { return usual(diagnosedEarlier, claiming(nil)) }, nil},

	// What is signed.
	{"JSON", "token_json_signed", signedAs(func(s string) string { return segment(s, 0) + "." + segment(s, 1) }), nil},
	{"payload", "token_payload_signed", signedAs(func(s string) string { return strings.Split(s, ".")[1] }), nil},
	{"payload's JSON", "token_payload_signed", signedAs(func(s string) string { return segment(s, 1) }), nil},
	{"no dot", "token_dot", signedAs(func(s string) string { return strings.Replace(s, ".", "", 1) }), nil},
	{"newline signed", "token_newline_signed", signedAs(func(s string) string { return s + "\n" }), nil},
	{"other base64 signed", "token_base64_signed", signedAs(func(s string) string {
		return base64Of([]byte(segment(s, 0))) + "." + base64Of([]byte(segment(s, 1)))
	}), nil},
	{"written anew", "token_rewritten", func(key string) string {
		spaced := unpadded.EncodeToString([]byte(`{"alg": "HS256"}`)) + "." + unpadded.EncodeToString([]byte(`{"sub": "u", "exp": 1767229200}`))
		return parts(claims{"alg": "HS256"}, claims{})[:len(encoded(claims{"alg": "HS256"}))] + "." + unpadded.EncodeToString([]byte(`{"sub":"u","exp":1767229200}`)) + "." + hs(sha256.New, key, spaced)
	}, nil},
	{"hex", "encoding_hex", func(key string) string {
		text := parts(claims{"alg": "HS256"}, claiming(nil))
		return text + "." + hex.EncodeToString(hmacOf(sha256.New, key, text))
	}, nil},
	{"hex encoded", "signature_encoded_twice", func(key string) string {
		text := parts(claims{"alg": "HS256"}, claiming(nil))
		return text + "." + unpadded.EncodeToString([]byte(hmacHex(key, text)))
	}, nil},

	// What it says.
	{"no exp", "no_exp", of(claims{"exp": nil}), nil},
	{"exp as text", "exp_text", of(claims{"exp": "1767229200"}), nil},
	{"exp as date", "exp_text", of(claims{"exp": "2026-01-01T01:00:00Z"}), nil},
	{"exp true", "exp_type", of(claims{"exp": true}), nil},
	{"exp in milliseconds", "exp_milliseconds", of(claims{"exp": tokenNow.UnixMilli() + 3600000}), nil},
	{"exp in nanoseconds", "exp_milliseconds", of(claims{"exp": tokenNow.UnixNano()}), nil},
	{"all in milliseconds", "iat_milliseconds+exp_milliseconds", of(claims{"iat": tokenNow.UnixMilli(), "exp": tokenNow.UnixMilli() + 3600000}), nil},
	{"nbf in milliseconds", "nbf_milliseconds", of(claims{"nbf": tokenNow.UnixMilli()}), nil},
	{"exp a duration", "exp_duration", of(claims{"exp": 3600}), nil},
	{"exp too far", "exp_far", of(claims{"exp": tokenNow.Unix() + 7*86400}), nil},
	{"expired", "token_expired", of(claims{"exp": tokenNow.Unix() - 90}), nil},
	{"iat ahead", "iat_ahead", of(claims{"iat": tokenNow.Unix() + 100}), nil},
	{"nbf ahead", "nbf_ahead", of(claims{"nbf": tokenNow.Unix() + 100}), nil},
	{"local time", "iat_local", of(claims{"iat": tokenNow.Unix() + 7200 - 2}), nil},
	{"user id as a number", "user_id_number", of(claims{"sub": 42}), func(d *verifier.Dialect) { d.Token.TextUserID = true }},
	{"user id with a fraction", "user_id_number", of(claims{"sub": 4.2}), nil},
	{"user id beyond 2^53", "user_id_large", of(claims{"sub": int64(9007199254740993)}), nil},
	{"payload a text", "payload_encoded_twice", func(key string) string {
		text := encoded(claims{"alg": "HS256"}) + "." + encoded(`{"sub":"u"}`)
		return text + "." + hs(sha256.New, key, text)
	}, nil},
	{"payload a list", "payload_type", func(key string) string {
		text := encoded(claims{"alg": "HS256"}) + "." + encoded([]string{"u"})
		return text + "." + hs(sha256.New, key, text)
	}, nil},
	{"user id an object", "user_id_type", of(claims{"sub": claims{"id": 1}}), nil},
	{"user id elsewhere", "user_id_elsewhere", of(claims{"sub": nil, "customer_id": "user-42"}), nil},
	{"no user id", "no_user_id", of(claims{"sub": nil}), nil},
	{"empty user id", "no_user_id", of(claims{"sub": ""}), nil},
	{"token of another product", "other_dialect", func(key string) string { return usual(key, claims{"user_id": "user-42"}) }, nil},
	{"no exp and decoded", "no_exp+secret_decoded_hex", func(key string) string { return usual(hexDecoded(key), claiming(claims{"exp": nil})) }, nil},
	{"decoded and expired", "secret_decoded_hex+token_expired", func(key string) string { return usual(hexDecoded(key), claiming(claims{"exp": tokenNow.Unix() - 5})) }, nil},
	{"require missing", "require", of(nil), func(d *verifier.Dialect) { d.Token.Require = map[string][]string{"/scope": {"user"}} }},
	{"require another", "require", of(claims{"scope": "user admin"}), func(d *verifier.Dialect) { d.Token.Require = map[string][]string{"/scope": {"user"}} }},
	{"another issuer", "require_aud+require_iss", of(claims{"iss": "https://id.example.com", "aud": []string{"app"}}), func(d *verifier.Dialect) {
		d.Token.Require = map[string][]string{"/aud": {"chat"}, "/iss": {"https://id.example.org"}}
	}},
	{"forbidden", "forbid", of(claims{"server": true}), func(d *verifier.Dialect) { d.Token.Forbid = []string{"/server"} }},
}

// padded is a token in which each part is written and signed in another base64.
func padded(e *base64.Encoding) func(string) string {
	return func(key string) string {
		payload := `{"sub":"zoë?>~ÿÿ","exp":1767229200}`
		text := e.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + e.EncodeToString([]byte(payload))
		sum := hmacOf(sha256.New, key, text)
		return text + "." + e.EncodeToString(sum)
	}
}

var rsaKey = must(rsa.GenerateKey(rand.Reader, 2048))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func rsaToken(header, payload claims) string {
	text := parts(header, payload)
	sum := sha256.Sum256([]byte(text))
	return text + "." + unpadded.EncodeToString(must(rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])))
}

func tokenDialect(change func(*verifier.Dialect)) verifier.Dialect {
	d := verifier.Dialect{
		Name: "own", Places: []verifier.Place{{Field: verifier.TokenField, Name: "/user_token"}}, Skew: 30 * time.Second,
		Time: func() time.Time { return tokenNow },
	}
	if change != nil {
		change(&d)
	}
	return d
}

// diagnosed verifies a token, which must fail, and returns what it is diagnosed as.
func diagnosed(t *testing.T, d verifier.Dialect, text string, e Evidence) (Mistake, bool, error) {
	t.Helper()
	v := must(d.Verifier())
	var r verifier.Reading
	r.Text(verifier.Place{Field: verifier.TokenField}, []byte(text))
	keys := e.Keys
	for _, s := range e.Secrets {
		key, err := s.Decoded(v.Dialect().KeyEncoding)
		if err == nil {
			keys = append(keys, verifier.NewKey(key))
		}
	}
	_, err := v.Verify(&r, keys...)
	m, ok := Claim(v, &r, e)
	for _, said := range []string{m.ID, m.Text, m.Detail} {
		for _, secret := range []string{diagnosedSecret, diagnosedEarlier, "user-42", "example.com"} {
			if strings.Contains(said, secret) || len(text) > 20 && strings.Contains(said, text) {
				t.Errorf("says %q", said)
			}
		}
	}
	return m, ok, err
}

func TestTokenMistakes(t *testing.T) {
	evidence := Evidence{Secrets: []verifier.Secret{verifier.WeakSecret(diagnosedSecret)}, Previous: []verifier.Secret{verifier.WeakSecret(diagnosedEarlier)}}
	for _, m := range tokenMistakes {
		t.Run(m.name, func(t *testing.T) {
			got, ok, err := diagnosed(t, tokenDialect(m.change), m.token(diagnosedSecret), evidence)
			if err == nil || !ok || got.ID != m.id {
				t.Errorf("%v: %v %+v, want %s", err, ok, got, m.id)
			}
			if !strings.HasSuffix(got.Text, ".") || strings.Count(got.Text, ". ") > 0 {
				t.Errorf("not a sentence: %q", got.Text)
			}
			t.Log(got.Text, got.Detail)
		})
	}
}

// A token that verifies has no mistake, and neither has one of an unknown secret.
func TestTokenWithoutMistake(t *testing.T) {
	evidence := Evidence{Secrets: []verifier.Secret{verifier.WeakSecret(diagnosedSecret)}}
	for name, text := range map[string]string{
		"verifies": usual(diagnosedSecret, claiming(nil)), "unknown secret": usual("quite another secret of a widget", claiming(nil)),
		"unknown secret, expired": usual("quite another secret of a widget", claiming(claims{"exp": 1})),
	} {
		if got, ok, _ := diagnosed(t, tokenDialect(nil), text, evidence); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Without keys, as for a token that has expired, its signature is not judged.
func TestTokenWithoutKeys(t *testing.T) {
	got, ok, _ := diagnosed(t, tokenDialect(nil), usual("unknown", claiming(claims{"exp": tokenNow.Unix() - 90})), Evidence{})
	if !ok || got.ID != "token_expired" || got.Detail != "it expired 1m30s ago" {
		t.Errorf("%+v", got)
	}
}

func TestPublicKeyMistakes(t *testing.T) {
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := func(k crypto.PublicKey, id string, set bool) *verifier.Key {
		return must(verifier.NewPublicKey(verifier.PublicKey{Key: k, ID: id, InSet: set}))
	}
	es := func(header claims, sign func(sum []byte) []byte) string {
		text := parts(header, claiming(nil))
		sum := sha256.Sum256([]byte(text))
		return text + "." + unpadded.EncodeToString(sign(sum[:]))
	}
	der := func(sum []byte) []byte { return must(ecdsa.SignASN1(rand.Reader, p256, sum)) }
	raw := func(sum []byte) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, p256, sum)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, 64)
		r.FillBytes(text[:32])
		s.FillBytes(text[32:])
		return text
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&p256.PublicKey))}))
	es256 := func(d *verifier.Dialect) { d.Token.Algorithms = []string{"ES256"} }
	rs256 := func(d *verifier.Dialect) { d.Token.Algorithms = []string{"RS256"} }
	many := []*verifier.Key{key(&p256.PublicKey, "a", true)}
	for i := range 4 {
		many = append(many, key(&must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).PublicKey, fmt.Sprint("b", i), true))
	}
	pss := func() string {
		text := parts(claims{"alg": "RS256"}, claiming(nil))
		sum := sha256.Sum256([]byte(text))
		return text + "." + unpadded.EncodeToString(must(rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})))
	}
	for _, x := range []struct {
		name, id, token string
		change          func(*verifier.Dialect)
		keys            []*verifier.Key
	}{
		{"DER", "signature_der", es(claims{"alg": "ES256"}, der), es256, many[:1]},
		{"hex", "encoding_hex", func() string {
			text := parts(claims{"alg": "ES256"}, claiming(nil))
			sum := sha256.Sum256([]byte(text))
			return text + "." + hex.EncodeToString(raw(sum[:]))
		}(), es256, many[:1]},
		{"public key as secret", "alg_secret+public_key_as_secret", func() string {
			text := parts(claims{"alg": "HS256"}, claiming(nil))
			return text + "." + hs(sha256.New, public, text)
		}(), es256, many[:1]},
		{"a secret's token", "alg_secret", usual(diagnosedSecret, claiming(nil)), es256, many[:1]},
		{"kid of another", "other_kid", es(claims{"alg": "ES256", "kid": "b1"}, raw), es256, many},
		{"unknown kid", "unknown_kid", es(claims{"alg": "ES256", "kid": "z"}, func([]byte) []byte { return make([]byte, 64) }), es256, many},
		{"unknown kid, known key", "other_kid", es(claims{"alg": "ES256", "kid": "z"}, raw), es256, many},
		{"no kid", "no_kid", es(claims{"alg": "ES256"}, raw), es256, many},
		{"another kind of key", "key_kind", es(claims{"alg": "ES256"}, raw), es256, []*verifier.Key{key(ed.Public(), "", false)}},
		{"PSS", "signed_ps256", pss(), rs256, []*verifier.Key{key(&rsaKey.PublicKey, "", false)}},
		{"key for another algorithm", "key_alg", rsaToken(claims{"alg": "RS256", "kid": "r"}, claiming(nil)), rs256,
			[]*verifier.Key{must(verifier.NewPublicKey(verifier.PublicKey{Key: &rsaKey.PublicKey, ID: "r", InSet: true, Algorithm: "RS512"}))}},
		{"another algorithm", "alg_other", rsaToken(claims{"alg": "RS256"}, claiming(nil)), func(d *verifier.Dialect) { d.Token.Algorithms = []string{"RS512"} }, []*verifier.Key{key(&rsaKey.PublicKey, "", false)}},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, ok, err := diagnosed(t, tokenDialect(x.change), x.token, Evidence{Keys: x.keys})
			if err == nil || !ok || got.ID != x.id {
				t.Errorf("%v: %v %+v, want %s", err, ok, got, x.id)
			}
			t.Log(got.Text)
		})
	}
}

// The kid of a version chooses the secret that is tried.
func TestTokenOfAnotherVersion(t *testing.T) {
	current, earlier := verifier.WeakSecret(diagnosedSecret), verifier.WeakSecret(diagnosedEarlier)
	keys := []*verifier.Key{verifier.NewKey(current), verifier.NewKey(earlier)}
	keys[0].ID, keys[1].ID = "v2", "v1"
	text := headed(diagnosedEarlier, claims{"alg": "HS256", "kid": "v2"}, claiming(nil))
	d := tokenDialect(nil)
	v := must(d.Verifier())
	var r verifier.Reading
	r.Text(verifier.Place{Field: verifier.TokenField}, []byte(text))
	if _, err := v.Verify(&r, keys...); err == nil {
		t.Error("verifies")
	}
	if got, ok := Claim(v, &r, Evidence{Secrets: []verifier.Secret{current, earlier}, Keys: keys}); !ok || got.ID != "other_kid" {
		t.Errorf("%+v", got)
	}
}

// FuzzToken asserts what FuzzDiagnose does, of tokens: of what the client sent only names are
// told that this package knows.
func FuzzToken(f *testing.F) {
	const mark = "¤"
	for _, m := range tokenMistakes {
		f.Add(m.token(diagnosedSecret), `{"alg":"HS256"}`, `{"sub":"u"}`)
	}
	f.Add("", `{"alg":"ES256","kid":"a"}`, `{"email":1e400,"exp":1e17,"iss":"https://"}`)
	v := must(tokenDialect(func(d *verifier.Dialect) { d.Token.Require = map[string][]string{"/iss": {"a"}} }).Verifier())
	key := must(verifier.NewPublicKey(verifier.PublicKey{Key: &rsaKey.PublicKey, ID: mark, InSet: true}))
	f.Fuzz(func(t *testing.T, text, header, payload string) {
		if text == "" {
			header, payload = strings.ReplaceAll(header, "{", `{"x`+mark+`":1,`), strings.ReplaceAll(payload, "{", `{"y`+mark+`":1,`)
			text = unpadded.EncodeToString([]byte(header)) + "." + unpadded.EncodeToString([]byte(payload)) + ".AAAA"
		}
		var r verifier.Reading
		r.Text(verifier.Place{Field: verifier.TokenField}, []byte(text))
		secrets := []verifier.Secret{verifier.WeakSecret(mark + diagnosedSecret)}
		_, err := v.Verify(&r, verifier.NewKey(secrets[0]))
		m, ok := Claim(v, &r, Evidence{Secrets: secrets, Keys: []*verifier.Key{key}})
		if ok != (m.ID != "" && m.Text != "") || err == nil && ok {
			t.Errorf("%v: found %v: %+v", err, ok, m)
		}
		for _, said := range []string{m.ID, m.Text, m.Detail} {
			if strings.Contains(said, mark) || len(text) > 40 && strings.Contains(said, text) {
				t.Errorf("says %q", said)
			}
		}
	})
}
