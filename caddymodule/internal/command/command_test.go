package command

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/internal/testbed"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

const commandSecret = "5d41402abc4b2a76b9719d911017c592a3f1c2d4e5b6978812345678deadbeef"

// run is one call of the command.
type run struct {
	args        []string
	in          string
	secret      string // in the environment, where not empty
	out, errors string
	err         error
}

// command runs a command that needs no server.
func command(t *testing.T, r run) run {
	t.Helper()
	t.Setenv(secretVariable, r.secret)
	if r.secret == "" {
		if err := os.Unsetenv(secretVariable); err != nil {
			t.Fatal(err)
		}
	}
	r.out, r.errors, r.err = clientRun{in: r.in}.client(t, r.args...)
	for name, secret := range map[string]string{"environment": r.secret, "constant": commandSecret} {
		if secret != "" && strings.Contains(r.out+r.errors, secret) {
			t.Errorf("the secret of the %s was printed:\n%s%s", name, r.out, r.errors)
		}
	}
	return r
}

func digest(secret, message string) string { return testbed.Sign(secret, message) }

func TestKeygen(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{64}\n$`)
	seen := map[string]bool{}
	for range 3 {
		r := command(t, run{args: []string{"keygen"}})
		if r.err != nil || !form.MatchString(r.out) || r.errors != "" || seen[r.out] {
			t.Fatalf("%+v", r)
		}
		seen[r.out] = true
		if _, err := verifier.NewSecret(strings.TrimSpace(r.out)); err != nil {
			t.Error(err)
		}
	}
	r := command(t, run{args: []string{"keygen", "--json"}})
	if r.err != nil || !regexp.MustCompile(`^\{"secret":"[0-9a-f]{64}"\}\n$`).MatchString(r.out) {
		t.Errorf("%+v", r)
	}
}

// The id of an encryption key is that by which errors name it.
func TestKeygenID(t *testing.T) {
	const key = "dGVzdC1lbmNyeXB0aW9uLWtleS1vZi0zMi1ieXRlcyE="
	parsed, err := widgets.ParseEncryptionKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{key, key + "\n", key + "\r\n"} {
		if r := command(t, run{args: []string{"keygen", "--id"}, in: in}); r.err != nil || r.out != parsed.ID()+"\n" || r.errors != "" {
			t.Errorf("%+v", r)
		}
	}
	for _, in := range []string{"", "short", key + "\n" + key, "\ufeff" + key, `"` + key + `"`} {
		if r := command(t, run{args: []string{"keygen", "--id"}, in: in}); r.err == nil || r.out != "" || strings.Contains(r.errors, key) {
			t.Errorf("%q: %+v", in, r)
		}
	}
	if r := command(t, run{args: []string{"keygen", "--id", "--encryption-key"}}); r.err == nil || r.out != "" {
		t.Errorf("%+v", r)
	}
	t.Setenv(encryptionKeyVariable, key)
	if r := command(t, run{args: []string{"keygen", "--id", "--json"}, in: "not read"}); r.err != nil || r.out != `{"id":"`+parsed.ID()+`"}`+"\n" {
		t.Errorf("%+v", r)
	}
	t.Setenv(encryptionKeyVariable, "")
	if r := command(t, run{args: []string{"keygen", "--id"}, in: key}); r.err == nil || !strings.Contains(r.errors, encryptionKeyVariable) {
		t.Errorf("%+v", r)
	}
}

func TestVersion(t *testing.T) {
	r := command(t, run{args: []string{"version"}})
	if r.err != nil || !regexp.MustCompile(`^chat-identity +\S.*\ncaddy +\S+\n$`).MatchString(r.out) {
		t.Errorf("%+v", r)
	}
}

func TestSign(t *testing.T) {
	const nonce = "0123456789abcdefghijABCDEFGHIJ_-"
	sum := func(message string) string { return digest(commandSecret, message) }
	raw, _ := hex.DecodeString(sum("u"))
	for _, x := range []struct{ name, args, in, want string }{
		{"bookbag", "--user u", "", `{"user_id":"u","user_hash":"` + sum("u") + `"}`},
		{"bookbag with metadata", "--user u --name Ada --email a@b.c", "", `{"user_id":"u","user_hash":"` + sum("u") + `","user_metadata":{"email":"a@b.c","name":"Ada"}}`},
		{"nextcap", "--dialect nextcap --user u --email a@b.c --name Ada", "", `{"userId":"u","userHash":"` + sum("u") + `","email":"a@b.c","name":"Ada"}`},
		{"inviaro", "--dialect inviaro --user u --email a@b.c --name Ada", "", `{"user_id":"u","user_hash":"` + sum("u") + `","email":"a@b.c","name":"Ada"}`},
		{"replybubble", "--dialect replybubble --user u --email a@b.c --name Ada", "", `{"id":"u","signature":"` + sum("u") + `","email":"a@b.c","name":"Ada"}`},
		{"snapengage", "--dialect snapengage --user u --email a@b.c --nonce " + nonce + " --timestamp 1767225600", "",
			`{"user_id":"u","hmacSignature":"` + sum("u"+nonce+"1767225600") + `","hmacTimestamp":"1767225600","hmacNonce":"` + nonce + `","email":"a@b.c"}`},
		{"not escaped", "--user <é&\">", "", `{"user_id":"<é&\">","user_hash":"` + sum(`<é&">`) + `"}`},
		{"base64", "--user u --encoding base64", "", `{"user_id":"u","user_hash":"` + base64.StdEncoding.EncodeToString(raw) + `"}`},
		{"base64url", "--user u --encoding base64url", "", `{"user_id":"u","user_hash":"` + base64.RawURLEncoding.EncodeToString(raw) + `"}`},
		{"message", "--user u --message id={user_id}", "", `{"user_id":"u","user_hash":"` + sum("id=u") + `"}`},
	} {
		t.Run(x.name, func(t *testing.T) {
			args := append([]string{"sign"}, strings.Fields(x.args)...)
			for _, r := range []run{
				{args: args, secret: commandSecret, in: "not read"}, {args: args, in: commandSecret},
				{args: args, in: commandSecret + "\n"}, {args: args, in: commandSecret + "\r\n"},
			} {
				got := command(t, r)
				if got.err != nil || got.out != x.want+"\n" || got.errors != "" {
					t.Errorf("got %q, %q, %v; want %s", got.out, got.errors, got.err, x.want)
				}
			}
		})
	}
}

// The digests are openssl's.
func TestSignKnownDigests(t *testing.T) {
	for _, x := range []struct{ secret, user, want string }{
		{"secret", "Message", "aa747c502a898200f9e4fa21bac68136f886a0e27aec70ba06daf2e2a5cb5597"},
		{"abcdefgh", "1234", "3f5ed07739c3217c03afaff4ecf40a6974ee8e0523e6c9914236b4251504db23"},
		{"It's a Secret to Everybody", "Hello, World!", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
	} {
		// Through standard input: the word "secret" would be found in the warning.
		r := command(t, run{args: []string{"sign", "--user", x.user}, in: x.secret + "\n"})
		var claim struct {
			Hash string `json:"user_hash"`
		}
		if err := json.Unmarshal([]byte(r.out), &claim); err != nil || r.err != nil || claim.Hash != x.want {
			t.Errorf("%s: %+v", x.user, r)
		}
		if short := len(x.secret) < verifier.MinSecret; short != strings.Contains(r.errors, "gateways refuse it") {
			t.Errorf("%s: warned %q", x.secret, r.errors)
		}
	}
}

func TestCommandErrors(t *testing.T) {
	var said transcript
	for _, x := range []struct {
		name string
		run  run
	}{
		{"unknown command", run{args: []string{"frob"}}},
		{"argument of keygen", run{args: []string{"keygen", commandSecret}}},
		{"argument of sign", run{args: []string{"sign", "--user", "u", commandSecret}}},
		{"argument of explain", run{args: []string{"explain", commandSecret}}},
		{"secret flag", run{args: []string{"sign", "--user", "u", "--secret=" + commandSecret}}},
		{"no user", run{args: []string{"sign"}, secret: commandSecret}},
		{"empty user", run{args: []string{"sign", "--user", ""}, secret: commandSecret}},
		{"long user", run{args: []string{"sign", "--user", strings.Repeat("é", 513)}, secret: commandSecret}},
		{"control", run{args: []string{"sign", "--user", "a\nb"}, secret: commandSecret}},
		{"not UTF-8", run{args: []string{"sign", "--user", "a\xff"}, secret: commandSecret}},
		{"long email", run{args: []string{"sign", "--user", "u", "--email", strings.Repeat("a", 255)}, secret: commandSecret}},
		{"unknown dialect", run{args: []string{"sign", "--user", "u", "--dialect", "x"}, secret: commandSecret}},
		{"unknown encoding", run{args: []string{"sign", "--user", "u", "--encoding", "x"}, secret: commandSecret}},
		{"bad message", run{args: []string{"sign", "--user", "u", "--message", "{user_id}{email}"}, secret: commandSecret}},
		{"message without field", run{args: []string{"sign", "--user", "u", "--message", "{user_id}{nonce}"}, secret: commandSecret}},
		{"message without email", run{args: []string{"sign", "--user", "u", "--message", "{user_id}\n{email}"}, secret: commandSecret}},
		{"nonce not signed", run{args: []string{"sign", "--user", "u", "--nonce", "n"}, secret: commandSecret}},
		{"short nonce", run{args: []string{"sign", "--dialect", "snapengage", "--user", "u", "--nonce", "n"}, secret: commandSecret}},
		{"bad timestamp", run{args: []string{"sign", "--dialect", "snapengage", "--user", "u", "--timestamp", "now"}, secret: commandSecret}},
		{"no e-mail of chaskiq", run{args: []string{"sign", "--dialect", "chaskiq"}, secret: commandSecret}},
		{"two of chaskiq", run{args: []string{"sign", "--dialect", "chaskiq", "--user", "u", "--email", "a@b.c"}, secret: commandSecret}},
		{"e-mail alone of bookbag", run{args: []string{"sign", "--email", "a@b.c"}, secret: commandSecret}},
		{"headers of bookbag", run{args: []string{"sign", "--user", "u", "--headers"}, secret: commandSecret}},
		{"headers alone", run{args: []string{"explain", "--dialect", "chimely"}, in: "X-Chimely-Subscriber: u\n"}},
		{"no secret", run{args: []string{"sign", "--user", "u"}}},
		{"only spaces as secret", run{args: []string{"sign", "--user", "u"}, secret: "  "}},
		{"two lines", run{args: []string{"sign", "--user", "u"}, in: commandSecret + "\n{}\n"}},
		{"too large", run{args: []string{"sign", "--user", "u"}, in: strings.Repeat("x", maxInput+1)}},
		{"token of bookbag", run{args: []string{"sign", "--token", "--dialect", "bookbag", "--user", "u"}, secret: commandSecret}},
		{"token without user", run{args: []string{"sign", "--token"}, secret: commandSecret}},
		{"a key for another algorithm", run{args: []string{"sign", "--user", "u", "--dialect", "knock"}, in: newKeys(t, "ES256").private}},
		{"a key in PEM for a secret", run{args: []string{"explain", "--dialect", "knock"}, in: newKeys(t, "ES256").private}},
		{"token of a secret for RS256", run{args: []string{"sign", "--user", "u", "--dialect", "knock"}, secret: commandSecret}},
		{"e-mail of stream", run{args: []string{"sign", "--user", "u", "--email", "a@b.c", "--dialect", "stream"}, secret: commandSecret}},
		{"token by a short secret", run{args: []string{"sign", "--token", "--user", "u"}, secret: commandSecret[:20]}},
		{"token by a short secret in hex", run{args: []string{"sign", "--token", "--user", "u", "--key-encoding", "hex", "--algorithm", "HS512"}, secret: "f15d1a2b3c4d5e6f708192a3b4c5d6e7"}},
		{"token for ever", run{args: []string{"sign", "--token", "--user", "u", "--expires", "0"}, secret: commandSecret}},
		{"no private key", run{args: []string{"sign", "--token", "--user", "u"}, in: "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"}},
		{"unknown algorithm", run{args: []string{"sign", "--token", "--user", "u", "--algorithm", "none"}, secret: commandSecret}},
		{"secret that is not hex", run{args: []string{"sign", "--user", "u", "--key-encoding", "hex"}, secret: "not hex, but long enough"}},
		{"bad requirement", run{args: []string{"sign", "--token", "--user", "u", "--require", "iss"}, secret: commandSecret}},
		{"token alone", run{args: []string{"explain"}, in: "eyJhbGciOiJIUzI1NiJ9.e30.aaaa\n"}},
		{"no file", run{args: []string{"explain", "--public-key", "testdata/none.pem"}, in: "{}"}},
		{"private key", run{args: []string{"explain", "--public-key", "testdata/private.pem"}, in: "{}"}},
		{"no key set", run{args: []string{"explain", "--jwks", "testdata/public.pem"}, in: "{}"}},
		{"both kinds of keys", run{args: []string{"explain", "--jwks", "a", "--public-key", "b"}, in: "{}"}},
		{"key of a secret's algorithm", run{args: []string{"keygen", "--token-key", "--algorithm", "HS256"}}},
		{"algorithm of a secret", run{args: []string{"keygen", "--algorithm", "RS256"}}},
		{"two kinds of key", run{args: []string{"keygen", "--token-key", "--encryption-key"}}},
		{"no claim", run{args: []string{"explain"}, secret: commandSecret, in: "\n"}},
		{"claim alone", run{args: []string{"explain"}, in: "{\"user_id\":\n\"u\"}"}},
		{"secret alone", run{args: []string{"explain"}, in: commandSecret + "\n"}},
		{"bad age", run{args: []string{"explain", "--max-age", "soon"}, secret: commandSecret, in: "{}"}},
		{"no age", run{args: []string{"explain", "--dialect", "snapengage", "--max-age", "-1s"}, secret: commandSecret, in: "{}"}},
		{"bad pointer", run{args: []string{"explain", "--at", "chat"}, secret: commandSecret, in: "{}"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := command(t, x.run)
			if r.err == nil || r.out != "" || !strings.HasPrefix(r.errors, "Error: ") {
				t.Errorf("%q, %q, %v", r.out, r.errors, r.err)
			}
			said.add(x.name, shortened(x.run.args), r.out, r.errors)
		})
	}
	said.compare(t, "errors.txt")
	if r := command(t, run{}); r.err != nil || !strings.Contains(r.out, "keygen") {
		t.Errorf("without a subcommand: %+v", r)
	}
}

// shortened returns arguments as a transcript shows them: shortened, and as text.
func shortened(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		if arg = strings.ReplaceAll(strings.ToValidUTF8(arg, "?"), "\n", "?"); len(arg) > 80 {
			arg = arg[:20] + "..."
		}
		args[i] = strings.ReplaceAll(arg, commandSecret, "SECRET")
	}
	return args
}

// result is what explain --json prints.
type result struct {
	Verified                       bool
	Outcome, Reason, Dialect, User string
	Mistake                        struct{ ID, Text string }
}

// explained runs explain with and without --json, and checks what both promise.
func explained(t *testing.T, r run) (result, string) {
	t.Helper()
	args := append([]string{"explain"}, r.args...)
	r.args = args
	people := command(t, r)
	r.args = append(args, "--json")
	machine := command(t, r)
	var got result
	if err := json.Unmarshal([]byte(machine.out), &got); err != nil {
		t.Fatalf("%v: %+v", err, machine)
	}
	if got.Verified != (people.err == nil) || got.Verified != (machine.err == nil) || strings.Contains(people.errors+machine.errors, "Error") {
		t.Errorf("verified is %v with %v, %v: %s%s", got.Verified, people.err, machine.err, people.errors, machine.errors)
	}
	if got.Verified != strings.Contains(people.out, "verifies\n") || !strings.Contains(untimed(people.out), untimed(got.Mistake.Text)) {
		t.Errorf("for people:\n%s\nfor machines:\n%s", people.out, machine.out)
	}
	if hash := regexp.MustCompile(`[0-9a-f]{20}`).FindString(people.out + machine.out); hash != "" && !strings.Contains(r.in, `"user_id":"`+hash) {
		t.Errorf("a digest was printed: %s\n%s", people.out, machine.out)
	}
	return got, people.out
}

// untimed returns a text without how long ago or ahead something is: the two runs of a command
// may be in different seconds.
func untimed(text string) string {
	return regexp.MustCompile(`in (\d+[hms])+|(\d+[hms])+ ago`).ReplaceAllString(text, "")
}

// TestDoubtfulSecrets: sign and explain say what a gateway does with a secret.
func TestDoubtfulSecrets(t *testing.T) {
	for secret, want := range map[string]string{
		"{env.CHAT_IDENTITY_SECRET}": "a gateway refuses this secret: ", "${CHAT_IDENTITY_SECRET}": "a gateway refuses this secret: ", "<your secret here>": "a gateway refuses this secret: ",
		`"quoted-and-long-enough"`: "refuses this secret in a file, but takes it as it is from a variable", commandSecret + ";": "at an end what is seldom part of a secret", commandSecret: "",
	} {
		if r := command(t, run{args: []string{"sign", "--user", "u"}, secret: secret}); r.err != nil || !strings.Contains(r.errors, want) || want == "" && r.errors != "" {
			t.Errorf("%s: %v %s", secret, r.err, r.errors)
		}
	}
}

func TestExplainReasons(t *testing.T) {
	now := time.Now().Unix()
	snap := func(at int64) string {
		r := command(t, run{args: []string{"sign", "--dialect", "snapengage", "--user", "u", "--timestamp", strconv.FormatInt(at, 10)}, secret: commandSecret})
		return r.out
	}
	right := digest(commandSecret, "u")
	for _, x := range []struct {
		name, dialect, in       string
		outcome, reason, detail string
		mistake                 string
	}{
		{"missing", "bookbag", `{"text":"hello"}`, "anonymous", "missing", "no user_id at /user_id and no signature at /user_hash", ""},
		{"partial", "bookbag", `{"user_id":"u"}`, "anonymous", "partial", "no signature at /user_hash", ""},
		{"variant", "bookbag", `{"USER_ID":"u"}`, "anonymous", "partial", `user_id is spelled "USER_ID"`, "misspelled"},
		{"other spellings", "bookbag", `{"User-ID":"u","userhash":"x"}`, "anonymous", "missing", `user_hash is spelled "userhash", and user_id is spelled "User-ID".`, "misspelled"},
		{"misspelled in a form", "bookbag", "user_id=u&User.Hash=x", "anonymous", "partial", `user_hash is spelled "User.Hash"`, "misspelled"},
		{"deeper", "bookbag", `{"text":"hi","chat":{"user":{"user_id":"u","user_hash":"` + right + `"}}}`, "anonymous", "missing", "pass --at /chat/user, and write 'at /chat/user'", "other_place"},
		{"deeper, forged", "nextcap", `{"chat":{"userId":"u","userHash":"` + strings.Repeat("0", 64) + `"}}`, "anonymous", "missing", "pass --at /chat,", "other_place"},
		{"misspelled by a letter", "bookbag", `{"user_id":"u","user_hsah":"x"}`, "anonymous", "partial", `user_hash is spelled "user_hsah".`, "misspelled"},
		{"a field in brackets", "bookbag", "user[user_id]=u&user[user_hash]=x", "anonymous", "missing", `user_hash is within brackets, as "user[user_hash]", and user_id is within brackets, as "user[user_id]".`, "misspelled"},
		{"deeper, of nextcap", "bookbag", `{"user":{"userId":"u","userHash":"` + right + `"}}`, "anonymous", "missing", "This is a claim of nextcap in an object: name that dialect, pass --at /user,", "other_place"},
		{"a list", "bookbag", `[{"user_id":"u","user_hash":"` + right + `"}]`, "anonymous", "partial", "The body is a list", "other_body"},
		{"a text", "bookbag", `"{\"user_id\":\"u\",\"user_hash\":\"x\"}"`, "anonymous", "partial", "JSON within a text", "other_body"},
		{"multipart", "bookbag", "--b\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nu\r\n--b--\r\n", "anonymous", "missing", "pass its fields as JSON or as a URL-encoded form", "other_body"},
		{"a comma at the end", "bookbag", `{"user_id":"u","user_hash":"x",}`, "malformed", "malformed", "line 1, column 31: there is a comma that nothing follows", ""},
		{"no name but an object", "bookbag", `{"user":{"x":1},"user_hash":"x"}`, "anonymous", "partial", "no user_id", ""},
		{"in a list", "bookbag", `{"users":[{"user_id":"u","user_hash":"` + right + `"}]}`, "anonymous", "missing", "no user_id", ""},
		{"comma missing", "bookbag", "{\n  \"user_id\": \"zoë\"  \"user_hash\": \"x\"\n}", "malformed", "malformed", "line 2, column 21: invalid character '\"'", ""},
		{"more after it", "bookbag", `{"user_id":"u","user_hash":"x"} {}`, "malformed", "malformed", "line 1, column 32: there is more after the object", ""},
		{"cut", "bookbag", `{"user_id":"u",`, "malformed", "malformed", "line 1, column 16: ", ""},
		{"form", "bookbag", "user_id=u&user_hash=" + strings.Repeat("0", 64) + "\n", "invalid", "invalid", "does not match", ""},
		{"form, e-mail signed", "nextcap", "userId=u&email=a%40b.c&userHash=" + digest(commandSecret, "a@b.c"), "invalid", "invalid", "e-mail address was signed", "email_signed"},
		{"malformed field", "bookbag", `{"user_id":1.5,"user_hash":"x"}`, "malformed", "malformed", "the user_id is a number", ""},
		{"malformed body", "bookbag", `{"user_id":`, "malformed", "malformed", "the body names user_id and is not valid JSON", ""},
		{"malformed body without a name", "bookbag", `{"user":`, "malformed", "malformed", "the body is not valid JSON", ""},
		{"no object", "bookbag", `[]`, "anonymous", "missing", "found:     nothing", "other_body"},
		{"ambiguous", "bookbag", `{"user_id":"u","user_id":"v","user_hash":"x"}`, "invalid", "ambiguous", "appears more than once", ""},
		{"expired", "snapengage", snap(now - 3600), "expired", "expired", "1h", ""},
		{"ahead", "snapengage", snap(now + 3600), "expired", "expired", "ahead of this machine's clock", ""},
		{"invalid", "bookbag", `{"user_id":"u","user_hash":"` + strings.Repeat("0", 64) + `"}`, "invalid", "invalid", "does not match", ""},
		{"of nextcap", "bookbag", `{"userId":"u","userHash":"` + right + `"}`, "anonymous", "missing", "", "other_dialect"},
		{"of nextcap, forged", "bookbag", `{"userId":"u","userHash":"` + strings.Repeat("0", 64) + `"}`, "anonymous", "missing", "", "other_dialect"},
		{"of bookbag", "snapengage", `{"user_id":"u","user_hash":"` + right + `"}`, "anonymous", "partial", "", "other_dialect"},
		{"of snapengage", "nextcap", snap(now), "anonymous", "missing", "", "other_dialect"},
		{"of snapengage, expired", "nextcap", snap(now - 3600), "anonymous", "missing", "", "other_dialect"},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, text := explained(t, run{args: []string{"--dialect", x.dialect}, secret: commandSecret, in: x.in})
			if got.Verified || got.Outcome != x.outcome || got.Reason != x.reason || got.Mistake.ID != x.mistake || !strings.Contains(text, x.detail) {
				t.Errorf("%+v\n%s", got, text)
			}
		})
	}
	if got, text := explained(t, run{secret: commandSecret, in: "user_id=u&user_hash=" + right + "\n"}); !got.Verified || got.User != "u" {
		t.Errorf("a form: %s", text)
	}
	if got, text := explained(t, run{args: []string{"--at", "/chat"}, secret: commandSecret, in: `{"user_id":"u","user_hash":"` + right + `"}`}); got.Mistake.ID != "other_place" || !strings.Contains(text, "leave out --at") {
		t.Errorf("at the top: %s", text)
	}
	for message, want := range map[string]string{"v1:{user_id}": "value_alone_signed", "{user_id}\n{email}": ""} {
		if got, text := explained(t, run{args: []string{"--message", message}, secret: commandSecret, in: `{"user_id":"u","user_hash":"` + right + `"}`}); got.Mistake.ID != want {
			t.Errorf("%s: %s", message, text)
		}
	}
	for _, id := range []string{"undefined", "[object Object]", "null", "${user.id}", "{{user.id}}", "<user id>"} {
		in := `{"user_id":"` + id + `","user_hash":"` + digest(commandSecret, id) + `"}`
		if got, text := explained(t, run{secret: commandSecret, in: in}); !got.Verified || !strings.Contains(text, "all such visitors are one user") {
			t.Errorf("%s: %s", id, text)
		}
	}
	got, text := explained(t, run{args: []string{"--dialect", "snapengage", "--max-age", "2h"}, secret: commandSecret, in: snap(now - 3600)})
	if !got.Verified {
		t.Errorf("--max-age: %s", text)
	}
	if _, text := explained(t, run{args: []string{"--dialect", "nextcap"}, secret: commandSecret, in: `{"user_id":"u","user_hash":"` + right + `"}`}); !strings.Contains(text, "This is a claim of bookbag or inviaro") {
		t.Error(text)
	}
}

func TestExplainMistakes(t *testing.T) {
	sha1Sum := hmac.New(sha1.New, []byte(commandSecret))
	sha1Sum.Write([]byte("u-42"))
	decoded, _ := hex.DecodeString(commandSecret)
	raw, _ := hex.DecodeString(digest(commandSecret, "u-42"))
	const nonce = "0123456789abcdefghijABCDEFGHIJ_-"
	for _, x := range []struct{ id, dialect, signature string }{
		{"key_and_message_swapped", "bookbag", digest("u-42", commandSecret)},
		{"email_signed", "bookbag", digest(commandSecret, "ada@example.org")},
		{"id_newline", "nextcap", digest(commandSecret, "u-42\n")},
		{"secret_newline", "bookbag", digest(commandSecret+"\n", "u-42")},
		{"secret_decoded_hex", "replybubble", digest(string(decoded), "u-42")},
		{"encoding_base64", "bookbag", base64.StdEncoding.EncodeToString(raw)},
		{"sha1", "inviaro", hex.EncodeToString(sha1Sum.Sum(nil))},
		{"previous_secret", "bookbag", digest("the secret before this one", "u-42")},
		{"secret_sent", "bookbag", commandSecret},
		{"json_without_signature_signed", "nextcap", digest(commandSecret, `{"userId":"u-42","email":"ada@example.org"}`)},
		{"parts_order", "snapengage", digest(commandSecret, "u-42"+"1767225600"+nonce)},
		{"timestamp_unit", "snapengage", digest(commandSecret, "u-42"+nonce+"1767225600000")},
	} {
		t.Run(x.id, func(t *testing.T) {
			t.Setenv(previousSecretVariable, "the secret before this one")
			claim := map[string]string{
				"bookbag":     `{"user_id":"u-42","user_hash":"%","user_metadata":{"email":"ada@example.org"}}`,
				"nextcap":     `{"userId":"u-42","userHash":"%","email":"ada@example.org"}`,
				"inviaro":     `{"user_id":"u-42","user_hash":"%","email":"ada@example.org"}`,
				"replybubble": `{"id":"u-42","signature":"%","email":"ada@example.org"}`,
				"snapengage":  `{"user_id":"u-42","hmacSignature":"%","hmacTimestamp":"1767225600","hmacNonce":"` + nonce + `"}`,
			}[x.dialect]
			got, text := explained(t, run{args: []string{"--dialect", x.dialect}, secret: commandSecret, in: strings.Replace(claim, "%", x.signature, 1)})
			if got.Verified || got.Reason != "invalid" || got.Mistake.ID != x.id {
				t.Errorf("%+v\n%s", got, text)
			}
			if strings.Contains(text, "the secret before this one") {
				t.Errorf("the previous secret was printed: %s", text)
			}
			t.Log("\n" + text)
		})
	}
}

// A terminal must not act on what a claim contains.
func TestExplainQuotes(t *testing.T) {
	got, text := explained(t, run{secret: commandSecret, in: `{"user_id":"a\u200b\u00a0b ","user_hash":"` + strings.Repeat("0", 64) + `"}`})
	if got.User != "a\u200b\u00a0b " || !strings.Contains(text, `"a\u200b\u00a0b "`) {
		t.Errorf("%+v\n%s", got, text)
	}
	_, text = explained(t, run{secret: commandSecret, in: `{"user_id":"\u001b[31m","user_hash":"x"}`})
	if strings.Contains(text, "\x1b") || !strings.Contains(text, "control character") {
		t.Errorf("%q", text)
	}
}
