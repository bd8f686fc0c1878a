package caddymodule

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signedAs returns a token of that header and payload, whatever they are.
func signedAs(sum func() hash.Hash, secret, header, payload string) string {
	head := segment(header) + "." + segment(payload)
	mac := hmac.New(sum, []byte(secret))
	_, _ = io.WriteString(mac, head)
	return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const tokenRules = `
		secret {env.TEST_SECRET}
		dialect nextcap
		claim token header Authorization
		claim token header X-User-Token
		claim token query user_token
		claim token body /user_token
		claim token cookie chat_token
		token {
			algorithm HS256 HS512
			user_id /user_id /sub
			email /email
			require /aud shop support
			forbid /server
			max_lifetime 1h
		}`

// tokenGateway has a site that reads tokens in every place, in both modes.
func tokenGateway(t testing.TB) *gateway {
	return chat(t, "chat_identity /optional/* optional {"+tokenRules+"\n\t}\n\tchat_identity /required/* required {"+tokenRules+"\n\t}")
}

// tokenCase is a token and what is to be found.
type tokenCase struct {
	name, text string
	want       string // "verified ada", or a reason
}

// tokenCases are tokens that are right, and everything that somebody got wrong. NOW is the
// current Unix time.
func tokenCases() []tokenCase {
	now := time.Now().Unix()
	at := func(text string) string {
		for _, offset := range []int64{-3600, -31, -1, 15, 45, 600, 3590, 3700} {
			text = strings.ReplaceAll(text, fmt.Sprintf("NOW%+d", offset), strconv.FormatInt(now+offset, 10))
		}
		return strings.ReplaceAll(text, "NOW", strconv.FormatInt(now, 10))
	}
	const (
		plain = `{"alg":"HS256","typ":"JWT"}`
		good  = `"aud":"shop","exp":NOW+600`
	)
	token := func(header, payload string) string { return signedAs(sha256.New, testSecret, header, at(payload)) }
	cases := []tokenCase{}
	payload := func(name, members, want string) {
		cases = append(cases, tokenCase{name, token(plain, "{"+members+"}"), want})
	}
	header := func(name, text, want string) {
		cases = append(cases, tokenCase{name, token(text, `{"sub":"ada",`+good+`}`), want})
	}
	text := func(name, token, want string) { cases = append(cases, tokenCase{name, token, want}) }

	// The user's id.
	payload("plain", `"sub":"ada",`+good, "verified ada")
	payload("the first pointer counts", `"sub":"ada","user_id":"bob",`+good, "verified bob")
	payload("the first is null", `"sub":"ada","user_id":null,`+good, "verified ada")
	payload("the first is empty", `"sub":"ada","user_id":"",`+good, "verified ada")
	payload("an integer", `"sub":42,`+good, "verified 42")
	payload("the largest integer", `"sub":9007199254740991,`+good, "verified 9007199254740991")
	payload("a larger integer", `"sub":9007199254740992,`+good, "malformed")
	payload("a fraction", `"sub":42.0,`+good, "malformed")
	payload("an exponent", `"sub":4e1,`+good, "malformed")
	payload("minus zero", `"sub":-0,`+good, "malformed")
	payload("true", `"sub":true,`+good, "malformed")
	payload("a list", `"sub":["ada"],`+good, "malformed")
	payload("an object", `"sub":{"id":"ada"},`+good, "malformed")
	payload("null", `"sub":null,`+good, "malformed")
	payload("empty", `"sub":"",`+good, "malformed")
	payload("not there", good, "malformed")
	payload("another case", `"SUB":"ada",`+good, "malformed")
	payload("escaped", `"sub":"\u0061da",`+good, "verified ada")
	payload("an escaped name", `"\u0073ub":"ada",`+good, "verified ada")
	payload("a control character", `"sub":"a\u0001da",`+good, "malformed")
	payload("513 characters", `"sub":"`+strings.Repeat("a", 513)+`",`+good, "malformed")
	payload("512 characters", `"sub":"`+strings.Repeat("a", 512)+`",`+good, "verified "+strings.Repeat("a", 512))
	payload("beyond ASCII", `"sub":"zoë",`+good, "verified zo%C3%AB")

	// Names that appear more than once.
	payload("sub twice", `"sub":"ada","sub":"ada",`+good, "malformed")
	payload("sub in two cases", `"sub":"ada","Sub":"bob",`+good, "malformed")
	payload("sub folded", `"sub":"ada","\u017fub":"bob",`+good, "malformed")
	payload("aud twice", `"sub":"ada","aud":"evil",`+good, "malformed")
	payload("exp twice", `"sub":"ada","exp":1,`+good, "malformed")
	payload("twice deep inside", `"sub":"ada","a":[{"b":{"c":1,"C":2}}],`+good, "malformed")
	payload("half a surrogate", `"sub":"ada","x":"\ud800",`+good, "malformed")
	payload("half a surrogate in a name", `"sub":"ada","\udc00":1,`+good, "malformed")

	// Times.
	payload("exp has passed", `"sub":"ada","aud":"shop","exp":NOW-1`, "expired")
	payload("exp is 0", `"sub":"ada","aud":"shop","exp":0`, "expired")
	payload("exp is negative", `"sub":"ada","aud":"shop","exp":-5`, "expired")
	payload("exp beyond max_lifetime", `"sub":"ada","aud":"shop","exp":NOW+3700`, "expired")
	payload("exp within max_lifetime", `"sub":"ada","aud":"shop","exp":NOW+3590`, "verified ada")
	payload("exp in milliseconds", `"sub":"ada","aud":"shop","exp":NOW000`, "expired")
	payload("exp with a fraction", `"sub":"ada","aud":"shop","exp":NOW+600.75`, "verified ada")
	payload("exp is a text", `"sub":"ada","aud":"shop","exp":"NOW+600"`, "malformed")
	payload("exp is null", `"sub":"ada","aud":"shop","exp":null`, "malformed")
	payload("exp is true", `"sub":"ada","aud":"shop","exp":true`, "malformed")
	payload("exp is huge", `"sub":"ada","aud":"shop","exp":1e300`, "malformed")
	payload("exp overflows", `"sub":"ada","aud":"shop","exp":18446744073709551617`, "malformed")
	payload("exp is 2^53+1", `"sub":"ada","aud":"shop","exp":9007199254740993`, "malformed")
	payload("no exp", `"sub":"ada","aud":"shop"`, "malformed")
	payload("nbf ahead within skew", `"sub":"ada","nbf":NOW+15,`+good, "verified ada")
	payload("nbf ahead", `"sub":"ada","nbf":NOW+45,`+good, "expired")
	payload("nbf is a text", `"sub":"ada","nbf":"0",`+good, "malformed")
	payload("nbf is null", `"sub":"ada","nbf":null,`+good, "malformed")
	payload("iat ahead within skew", `"sub":"ada","iat":NOW+15,`+good, "verified ada")
	payload("iat ahead", `"sub":"ada","iat":NOW+45,`+good, "expired")
	payload("iat long ago", `"sub":"ada","iat":NOW-3600,`+good, "verified ada")
	payload("iat is a list", `"sub":"ada","iat":[NOW],`+good, "malformed")

	// What is required and forbidden.
	payload("another audience", `"sub":"ada","aud":"evil","exp":NOW+600`, "invalid")
	payload("the second audience", `"sub":"ada","aud":"support","exp":NOW+600`, "verified ada")
	payload("a list of audiences", `"sub":"ada","aud":["x","shop"],"exp":NOW+600`, "verified ada")
	payload("a list without it", `"sub":"ada","aud":["x",["shop"],{"shop":1}],"exp":NOW+600`, "invalid")
	payload("an empty list", `"sub":"ada","aud":[],"exp":NOW+600`, "invalid")
	payload("no audience", `"sub":"ada","exp":NOW+600`, "invalid")
	payload("an object as audience", `"sub":"ada","aud":{"shop":"shop"},"exp":NOW+600`, "invalid")
	payload("audience in another case", `"sub":"ada","aud":"Shop","exp":NOW+600`, "invalid")
	payload("audiences separated by spaces", `"sub":"ada","aud":"shop support","exp":NOW+600`, "invalid")
	payload("aud in another case", `"sub":"ada","AUD":"shop","exp":NOW+600`, "invalid")
	payload("forbidden", `"sub":"ada","server":true,`+good, "invalid")
	payload("forbidden and null", `"sub":"ada","server":null,`+good, "invalid")
	payload("forbidden in another case", `"sub":"ada","Server":true,`+good, "invalid")
	payload("expired and another audience", `"sub":"ada","aud":"evil","exp":NOW-1`, "invalid")

	// The header.
	header("alg alone", `{"alg":"HS256"}`, "verified ada")
	header("typ is not judged", `{"alg":"HS256","typ":["x"],"cty":1}`, "verified ada")
	header("an unknown kid", `{"alg":"HS256","kid":"../../dev/null"}`, "verified ada")
	header("an empty kid", `{"alg":"HS256","kid":""}`, "verified ada")
	header("kid is a number", `{"alg":"HS256","kid":1}`, "malformed")
	header("kid is null", `{"alg":"HS256","kid":null}`, "malformed")
	header("none", `{"alg":"none"}`, "invalid")
	header("None", `{"alg":"None"}`, "invalid")
	header("an empty alg", `{"alg":""}`, "invalid")
	header("hs256", `{"alg":"hs256"}`, "invalid")
	header("HS384 is not configured", `{"alg":"HS384"}`, "invalid")
	header("RS256 is not configured", `{"alg":"RS256"}`, "invalid")
	header("HS512, signed by SHA-256", `{"alg":"HS512"}`, "invalid")
	header("no alg", `{"typ":"JWT"}`, "malformed")
	header("alg is null", `{"alg":null}`, "malformed")
	header("alg is a list", `{"alg":["HS256"]}`, "malformed")
	header("alg twice", `{"alg":"HS256","alg":"HS256"}`, "malformed")
	header("ALG", `{"ALG":"HS256"}`, "malformed")
	header("alg in two cases", `{"alg":"HS256","Alg":"none"}`, "malformed")
	for _, member := range []string{`"crit":["b64"],"b64":false`, `"b64":true`, `"jwk":{}`, `"jku":"https://evil.example/jwks"`, `"x5u":"x"`, `"x5c":[]`, `"crit":[]`} {
		header(member, `{"alg":"HS256",`+member+`}`, "malformed")
	}
	header("a list as header", `["HS256"]`, "malformed")
	header("a text as header", `"HS256"`, "malformed")
	header("an empty object", `{}`, "malformed")
	header("nothing", ``, "malformed")
	header("more behind it", `{"alg":"HS256"} {}`, "malformed")
	header("a comma behind", `{"alg":"HS256",}`, "malformed")
	header("spaces", " { \"alg\" :\r\n\t\"HS256\" } ", "verified ada")
	header("a byte-order mark", "\ufeff"+`{"alg":"HS256"}`, "malformed")
	header("not UTF-8", `{"alg":"HS256","x":"`+"\xff"+`"}`, "malformed")

	// The payload as a whole.
	full := at(`{"sub":"ada",` + good + `}`)
	text("HS512", signedAs(sha512.New, testSecret, `{"alg":"HS512"}`, full), "verified ada")
	text("HS256, signed by SHA-512", signedAs(sha512.New, testSecret, plain, full), "invalid")
	text("another secret", signedAs(sha256.New, otherSecret, plain, full), "invalid")
	text("the secret with a newline", signedAs(sha256.New, testSecret+"\n", plain, full), "invalid")
	text("a list as payload", token(plain, `[]`), "malformed")
	text("no payload", token(plain, ``), "malformed")
	text("an empty object as payload", token(plain, `{}`), "malformed")
	text("more behind the payload", token(plain, full+`{"sub":"bob"}`), "malformed")
	text("a NUL behind the payload", token(plain, full+"\x00"), "malformed")
	text("payload in UTF-16", token(plain, strings.Join(strings.Split(full, ""), "\x00")), "malformed")
	text("9 KiB", token(plain, `{"sub":"ada","x":"`+strings.Repeat("x", 9<<10)+`",`+good+`}`), "malformed")
	text("7 KiB", token(plain, `{"sub":"ada","x":"`+strings.Repeat("x", 5<<10)+`",`+good+`}`), "verified ada")

	// The spelling.
	valid := token(plain, full)
	part := strings.Split(valid, ".")
	signature, _ := base64.RawURLEncoding.DecodeString(part[2])
	text("no signature", part[0]+"."+part[1]+".", "invalid")
	text("half a signature", valid[:len(valid)-23], "invalid")
	text("twice the signature", valid+part[2]+"AA", "invalid")
	text("signature in hex", part[0]+"."+part[1]+"."+hex.EncodeToString(signature), "invalid")
	text("signature padded", valid+"=", "malformed")
	text("five segments", valid+".."+part[0], "malformed")
	text("four segments", valid+".", "malformed")
	text("payload padded", part[0]+"."+part[1]+"=."+part[2], "malformed")
	text("segments swapped", part[1]+"."+part[0]+"."+part[2], "malformed")
	text("standard base64", strings.ReplaceAll(part[0], "e", "+")+"."+part[1]+"."+part[2], "malformed")
	text("payload as text", `{"alg":"HS256"}.{"sub":"ada"}.x`, "malformed")
	text("unused bits", valid[:len(valid)-1]+string(nextInAlphabet(valid[len(valid)-1])), "malformed")
	return cases
}

// nextInAlphabet returns a character of base64url that differs in unused bits: of 43
// characters for 32 bytes, two bits of the last are unused.
func nextInAlphabet(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)|1]
}

// judged sends a request and returns what was found: "verified <user>" or the reason.
func judged(t *testing.T, g *gateway, r *http.Request) (found string, saw *seen) {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	if saw = g.upstream.take(); saw == nil {
		_, rest, _ := strings.Cut(string(text), `"reason":"`)
		reason, _, _ := strings.Cut(rest, `"`)
		return reason, nil
	}
	if outcome := saw.Header.Get("X-Identity-Outcome"); outcome == "verified" {
		return outcome + " " + saw.user(), saw
	}
	if saw.user() != "" || saw.Header.Get("X-Verified-Email") != "" {
		t.Errorf("headers of a user who is not verified: %v", saw.Header)
	}
	return saw.Header.Get("X-Identity-Reason"), saw
}

// TestTokenSuite sends a hundred tokens through a gateway, in both modes.
func TestTokenSuite(t *testing.T) {
	g := tokenGateway(t)
	cases := tokenCases()
	if len(cases) < 100 {
		t.Fatalf("only %d tokens", len(cases))
	}
	names := make(map[string]bool)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			if names[test.name] {
				t.Fatal("the name is repeated")
			}
			names[test.name] = true
			for _, mode := range []string{"optional", "required"} {
				r, err := http.NewRequest(http.MethodGet, g.url+"/"+mode+"/chat", nil)
				must(t, err)
				r.Header.Set("X-User-Token", test.text)
				found, saw := judged(t, g, r)
				if found != test.want {
					t.Errorf("%s: %q, want %q", mode, found, test.want)
				}
				verified := strings.HasPrefix(test.want, "verified")
				if forwarded := verified || mode == "optional" && test.want != "malformed"; (saw != nil) != forwarded {
					t.Errorf("%s: forwarded is %v", mode, saw != nil)
				}
				if saw != nil && (saw.Header.Get("X-User-Token") != "") != verified {
					t.Errorf("%s: the upstream reads the token %q", mode, saw.Header.Get("X-User-Token"))
				}
			}
		})
	}
}

// placeRequests are requests with a token in each place.
func placeRequests(t *testing.T, url_, token string) map[string]*http.Request {
	all := make(map[string]*http.Request)
	request := func(name, method, path, contentType, body string) *http.Request {
		r, err := http.NewRequest(method, url_+path, strings.NewReader(body))
		must(t, err)
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		all[name] = r
		return r
	}
	request("Authorization", "GET", "/chat", "", "").Header.Set("Authorization", "Bearer "+token)
	request("Authorization in lower case", "GET", "/chat", "", "").Header.Set("Authorization", "bearer "+token)
	request("header", "GET", "/chat", "", "").Header.Set("X-User-Token", token)
	request("cookie", "GET", "/chat", "", "").Header.Set("Cookie", "a=b; chat_token="+token)
	request("query", "GET", "/chat?x=1&user_token="+url.QueryEscape(token), "", "")
	request("JSON", "POST", "/chat", "application/json", `{"text":"hi","user_token":`+strconv.Quote(token)+`}`)
	request("form", "POST", "/chat", "application/x-www-form-urlencoded", "text=hi&user_token="+url.QueryEscape(token))
	var parts bytes.Buffer
	form := multipart.NewWriter(&parts)
	must(t, form.WriteField("text", "hi"))
	must(t, form.WriteField("user_token", token))
	must(t, form.Close())
	request("multipart", "POST", "/chat", form.FormDataContentType(), parts.String())
	return all
}

// TestTokenPlaces: a token counts in every place, and one that does not verify is cut
// from it.
func TestTokenPlaces(t *testing.T) {
	g := tokenGateway(t)
	claims := fmt.Sprintf(`{"sub":"ada","aud":"shop","exp":%d}`, inAnHour()-60)
	expired := jwt(testSecret, `{"sub":"ada","aud":"shop","exp":5}`)
	for _, test := range []struct{ want, token string }{
		{"verified ada", jwt(testSecret, claims)}, {"invalid", jwt(otherSecret, claims)}, {"expired", expired},
	} {
		for place := range placeRequests(t, g.url, test.token) {
			for _, mode := range []string{"optional", "required"} {
				r := placeRequests(t, g.url+"/"+mode, test.token)[place]
				found, saw := judged(t, g, r)
				if found != test.want {
					t.Errorf("%s, %s: %q, want %q", place, mode, found, test.want)
				}
				verified := test.want == "verified ada"
				if saw == nil {
					if verified || mode == "optional" {
						t.Errorf("%s, %s: refused", place, mode)
					}
					continue
				}
				signature := test.token[strings.LastIndexByte(test.token, '.')+1:]
				if all := fmt.Sprint(saw.URI, saw.Header, saw.Body); strings.Contains(all, signature) != verified {
					t.Errorf("%s, %s: the upstream reads %s", place, mode, all)
				}
			}
		}
	}
}

// TestTokenBeside is what else a request may have beside its token.
func TestTokenBeside(t *testing.T) {
	g := tokenGateway(t)
	good := jwt(testSecret, fmt.Sprintf(`{"sub":"ada","aud":"shop","exp":%d}`, inAnHour()-60))
	other := jwt(testSecret, fmt.Sprintf(`{"sub":"bob","aud":"shop","exp":%d}`, inAnHour()-60))
	for _, test := range []struct {
		name, query, authorization, want string
	}{
		{"its user id", "userId=ada", "Bearer " + good, "verified ada"},
		{"another user id", "userId=bob", "Bearer " + good, "ambiguous"},
		{"a variant of the user id's name", "userid=ada", "Bearer " + good, "ambiguous"},
		{"user id and a signature that is wrong", "userId=ada&userHash=00", "Bearer " + good, "verified ada"},
		{"another user who verifies", "userId=bob&userHash=" + sign("bob"), "Bearer " + good, "ambiguous"},
		{"the token again", "user_token=" + good, "Bearer " + good, "verified ada"},
		{"another token", "user_token=" + other, "Bearer " + good, "ambiguous"},
		{"a session of the backend", "", "Bearer 0123456789abcdef", "missing"},
		{"another scheme", "", "Basic " + good, "missing"},
		{"two spaces", "", "Bearer  " + good, "malformed"},
		{"no scheme", "", good, "missing"},
		{"a signature alone", "userId=ada&userHash=" + sign("ada"), "Bearer opaque", "verified ada"},
	} {
		r, err := http.NewRequest(http.MethodGet, g.url+"/optional/chat?"+test.query, nil)
		must(t, err)
		r.Header.Set("Authorization", test.authorization)
		found, saw := judged(t, g, r)
		if found != test.want {
			t.Errorf("%s: %q, want %q", test.name, found, test.want)
		}
		if test.want == "missing" && saw.Header.Get("Authorization") != test.authorization {
			t.Errorf("%s: the upstream reads Authorization: %s", test.name, saw.Header.Get("Authorization"))
		}
	}
}

// TestTokenMutants: of some thousand texts that are almost a token, none verifies as anybody
// else, and none but the text itself verifies at all.
func TestTokenMutants(t *testing.T) {
	g := tokenGateway(t)
	good := jwt(testSecret, fmt.Sprintf(`{"sub":"ada","aud":"shop","exp":%d}`, inAnHour()-60))
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. %~"
	random := rand.New(rand.NewPCG(1, 2))
	some := func() string { i := random.IntN(len(alphabet)); return alphabet[i : i+1] }
	mutants := map[string]bool{}
	for i := range good {
		mutants[good[:i]+good[i+1:]] = true
		for range 8 {
			mutants[good[:i]+some()+good[i+1:]] = true
			mutants[good[:i]+some()+good[i:]] = true
		}
		j := random.IntN(len(good))
		mutants[good[:min(i, j)]+good[max(i, j):]] = true
	}
	delete(mutants, good)
	if len(mutants) < 2000 {
		t.Fatalf("only %d mutants", len(mutants))
	}
	send := func(text string) string {
		r, err := http.NewRequest(http.MethodGet, g.url+"/optional/chat?user_token="+url.QueryEscape(text), nil)
		must(t, err)
		found, _ := judged(t, g, r)
		return found
	}
	for text := range mutants {
		if found := send(text); found != "invalid" && found != "malformed" && found != "expired" {
			t.Errorf("%s: %s", text, found)
		}
	}
	if found := send(good); found != "verified ada" {
		t.Errorf("the token itself: %s", found)
	}
}
