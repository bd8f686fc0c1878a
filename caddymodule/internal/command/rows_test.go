package command

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// signedRow is a claim that sign has printed for a dialect.
type signedRow struct {
	dialect, user   string
	sign            []string
	explain         []string // the flags with which it is read
	secret, private string
	printed         string
}

// signedRows are claims of all dialects, by each of their proofs and, where an e-mail address
// may be signed, of one.
func signedRows(t *testing.T) (rows []signedRow) {
	key := newKeys(t, "RS256")
	for _, d := range verifier.Dialects {
		named := []string{"--dialect", d.Name}
		byID := signedRow{dialect: d.Name, user: "zoë 42", explain: named, secret: commandSecret, sign: append([]string{"sign", "--user", "zoë 42", "--name", "Zoë"}, named...)}
		c, err := (&claimFormat{dialect: d.Name}).checker(d.Name)
		if err != nil {
			t.Fatal(err)
		}
		if d.Message != "" {
			rows = append(rows, byID)
			if _, err := c.subject(map[verifier.Field]string{verifier.Email: "z@example.org"}); err == nil {
				byEmail := byID
				byEmail.user, byEmail.sign = "z@example.org", append([]string{"sign", "--email", "z@example.org"}, named...)
				rows = append(rows, byEmail)
			}
		}
		if d.TakesToken() {
			byID.sign = append([]string{"sign", "--token", "--user", "zoë 42"}, named...)
			if slices.Equal(d.Token.Algorithms, []string{"RS256"}) {
				byID.explain, byID.secret, byID.private = append(named, "--public-key", key.file), "", key.private
			}
			rows = append(rows, byID)
		}
	}
	for i := range rows {
		x := &rows[i]
		r := command(t, run{args: x.sign, in: x.secret + x.private})
		if r.err != nil || r.errors != "" {
			t.Fatalf("%v: %+v", x.sign, r)
		}
		x.printed = r.out
	}
	return rows
}

func (x *signedRow) name() string { return strings.Join(x.sign, " ") }

// TestSignExplain: what sign prints for a dialect is what explain verifies in it, in whatever
// way its places travel.
func TestSignExplain(t *testing.T) {
	for _, x := range signedRows(t) {
		t.Run(x.name(), func(t *testing.T) {
			ways := []string{x.printed, otherCase(t, x.dialect, x.printed), asTexts(t, x.printed)}
			if r := command(t, run{args: append(x.sign, "--headers"), in: x.secret + x.private}); r.err == nil {
				ways = append(ways, r.out, "POST /chat HTTP/1.1\r\nHost: example.com\r\n"+strings.ReplaceAll(strings.ToLower(nameOf(r.out))+r.out[len(nameOf(r.out)):], "\n", "\r\n")+"\r\n")
			}
			for _, in := range ways {
				got, text := explained(t, run{args: x.explain, secret: x.secret, in: in})
				if !got.Verified || got.Outcome != "verified" || got.Reason != "" || got.Dialect != x.dialect || got.User != x.user || got.Mistake.ID != "" {
					t.Errorf("%s\n%+v\n%s", in, got, text)
				}
			}
			if x.private == "" {
				for _, newline := range []string{"\n", "\r\n"} {
					if got, text := explained(t, run{args: x.explain, in: x.secret + newline + x.printed}); !got.Verified {
						t.Errorf("the secret before it: %s", text)
					}
				}
				if got, _ := explained(t, run{args: x.explain, secret: "another secret of thirty bytes", in: x.printed}); got.Verified || got.Reason != "invalid" || got.Mistake.ID != "" {
					t.Errorf("another secret: %+v", got)
				}
			}
		})
	}
}

// nameOf returns the name in a line of a header.
func nameOf(line string) string { name, _, _ := strings.Cut(line, ":"); return name }

// otherCase writes the names of headers in another case.
func otherCase(t *testing.T, dialect, printed string) string {
	d, err := verifier.LookupDialect(dialect)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Places {
		if p.Location == "header" {
			printed = strings.ReplaceAll(printed, `"`+p.Name+`":`, `"`+strings.ToLower(p.Name)+`":`)
		}
	}
	return printed
}

// asTexts writes the objects within a claim as JSON texts, as they are in headers and forms,
// unless they are so in JSON, too.
func asTexts(t *testing.T, printed string) string {
	var claim map[string]any
	if err := json.Unmarshal([]byte(printed), &claim); err != nil {
		t.Fatal(err)
	}
	for name, value := range claim {
		if _, ok := value.(map[string]any); !ok || name == "user_metadata" {
			continue
		}
		text, _ := json.Marshal(value)
		claim[name] = string(text)
	}
	text, _ := json.Marshal(claim)
	return string(text)
}

// TestSignEncodings: every dialect is signed and read in another encoding than its own, and
// within an object.
func TestSignEncodings(t *testing.T) {
	for _, d := range verifier.Dialects {
		for _, encoding := range []string{"hex", "base64", "base64url"} {
			if d.Message == "" {
				continue
			}
			t.Run(d.Name+" "+encoding, func(t *testing.T) {
				flags := []string{"--dialect", d.Name, "--encoding", encoding}
				r := command(t, run{args: append([]string{"sign", "--user", "z@example.org"}, flags...), secret: commandSecret})
				if got, text := explained(t, run{args: flags, secret: commandSecret, in: r.out}); !got.Verified || got.User != "z@example.org" {
					t.Errorf("%+v\n%s", got, text)
				}
				if strings.Contains(otherCase(t, d.Name, r.out), "X-") || otherCase(t, d.Name, r.out) != r.out {
					return // headers are in no object
				}
				if got, text := explained(t, run{args: append(flags, "--at", "/chat"), secret: commandSecret, in: `{"chat":` + r.out + `}`}); !got.Verified {
					t.Errorf("%+v\n%s", got, text)
				}
			})
		}
	}
}

// TestExplainNamesTheDialect: a claim that is read in another dialect than its own either
// verifies there, since the two have the same names, or its own is named.
func TestExplainNamesTheDialect(t *testing.T) {
	for _, x := range signedRows(t) {
		for _, d := range verifier.Dialects {
			if d.Name == x.dialect {
				continue
			}
			args := append([]string{"--dialect", d.Name}, x.explain[2:]...)
			r := command(t, run{args: append([]string{"explain", "--json"}, args...), secret: x.secret, in: x.printed})
			var got result
			if err := json.Unmarshal([]byte(r.out), &got); err != nil || !got.Verified && !strings.Contains(got.Mistake.Text, x.dialect) {
				t.Errorf("%s, read as %s: %v\n%s", x.name(), d.Name, err, r.out)
			}
		}
	}
}

// TestExplainCarriers: a claim as it is copied from a browser, a proxy or a log.
func TestExplainCarriers(t *testing.T) {
	id, email := digest(commandSecret, "u1"), digest(commandSecret, "ada@example.com")
	inText := `{"email":"ada@example.com","identifier_key":"` + email + `"}`
	in64 := base64.StdEncoding.EncodeToString([]byte(inText))
	userData := url.QueryEscape(`{"user_id":"u1","user_hash":"` + id + `","email":"ada@example.com"}`)
	for _, x := range []struct{ name, dialect, in, says string }{
		{"lines of headers", "chimely", "X-Chimely-Environment: shop\nX-Chimely-Subscriber: u1\nX-Chimely-Subscriber-Hash: " + id, ""},
		{"lines of HTTP/2", "chimely", ":authority: example.com\n:path: /stream?a=1\nx-chimely-subscriber:  u1\nx-chimely-subscriber-hash: " + id + "\n", ""},
		{"the query of HTTP/2", "chimely", ":method: GET\n:path: /stream?subscriber_id=u1&subscriber_hash=" + id + "\n", ""},
		{"a request", "munin", "POST /v1/widget/messages HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\n\r\n" + `{"verifiedExternalId":"u1","userHash":"` + id + `"}`, ""},
		{"a request with headers of its claim", "munin", "GET /v1/widget/visitor HTTP/1.1\r\nX-Munin-Verified-External-Id: u1\r\nX-Munin-User-Hash: " + id + "\r\n\r\n", ""},
		{"a request's first line", "chimely", "GET /stream?subscriber_id=u1&subscriber_hash=" + id + " HTTP/1.1\r\n", ""},
		{"a query", "chimely", "environment=shop&subscriber_id=u1&subscriber_hash=" + id, ""},
		{"a query with its question mark", "chimely", "?subscriber_id=u1&subscriber_hash=" + id, ""},
		{"a URL", "munin", "wss://example.com/v1/realtime?externalId=u1&userHash=" + id + "#a", ""},
		{"JSON in a header", "chaskiq", "user-data: " + inText, ""},
		{"JSON in base64", "chaskiq", "user_data=" + url.QueryEscape(in64) + "&app=shop", ""},
		{"JSON in base64, in JSON", "chaskiq", `{"user_data":"` + in64 + `"}`, ""},
		{"a form", "intercom", "app_id=shop&user_data=" + userData, ""},
		{"a form, as Firefox and Chrome show it", "intercom", "POST /messenger/web/ping HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\napp_id=shop&user_data=" + userData, ""},
		{"curl -v", "chimely", "*   Trying 127.0.0.1:80...\n> GET /stream HTTP/1.1\r\n> Accept: */*\r\n> X-Chimely-Subscriber: u1\r\n> X-Chimely-Subscriber-Hash: " + id + "\r\n> \r\n< HTTP/1.1 401 Unauthorized\r\n< \r\n{\"type\":\"about:blank\"}\n", ""},
		{"curl -v of a query", "munin", "> GET /x?externalId=u1&userHash=" + id + " HTTP/2\n> Host: example.com\n>\n", ""},
		{"Chrome's headers", "chimely", ":authority\nexample.com\n:path\n/stream\nuser-agent\nMozilla/5.0 (X11; Linux)\nx-chimely-subscriber\nu1\nx-chimely-subscriber-hash\n" + id + "\n", ""},
		{"Chrome's headers with colons", "chaskiq", "user-data:\n" + inText + "\n", ""},
		{"Chrome's form", "chatwoot", "identifier: u1\nidentifier_hash: " + id, ""},
		{"Chrome's form with a text", "intercom", "app_id\nshop\nuser_data\n{\"user_id\":\"u1\",\"user_hash\":\"" + id + "\"}", ""},
		{"Chrome's query", "chaskiq", "app: shop\nuser_data: " + in64, ""},
		{"copied as cURL, with headers", "chimely", "curl 'https://example.com/stream' \\\n  -H 'accept: */*' \\\n  -H 'x-chimely-subscriber: u1' \\\n  -H 'x-chimely-subscriber-hash: " + id + "' \\\n  --compressed", ""},
		{"copied as cURL, with a query", "munin", "curl --location \"https://example.com?externalId=u1&userHash=" + id + "\" -b 'a=1'", ""},
		{"copied as cURL, with JSON", "chatwoot", `curl -X PATCH https://example.com/x -H 'Content-Type: application/json' --data-raw $'{"identifier":"u1","name":"O\'Neill \u00fc","identifier_hash":"` + id + `"}'`, ""},
		{"a curl command with JSON in double quotes", "chatwoot", `curl --json "{\"identifier\":\"u1\",\"identifier_hash\":\"` + id + `\"}" localhost:8081/x`, ""},
		{"copied as cURL, with a form", "intercom", "curl 'https://example.com/messenger/web/ping' --data-raw 'app_id=shop&user_data=" + userData + "'", ""},
		{"a form that curl encodes", "intercom", `curl example.com --data-urlencode 'user_data={"user_id":"u1","user_hash":"` + id + `"}' -d a=b`, ""},
		{"a form's text in JSON", "intercom", `{"user_data":"{\"user_id\":\"u1\",\"user_hash\":\"` + id + `\"}"}`, "user_data is a JSON text, which a gateway reads in a form: in a JSON body, send the object itself"},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, text := explained(t, run{args: []string{"--dialect", x.dialect}, secret: commandSecret, in: x.in})
			if !got.Verified || !strings.Contains(text, x.says) || strings.Contains(text, "warning") != (x.says != "") {
				t.Errorf("%s\n%s", x.in, text)
			}
		})
	}
}

// TestExplainElsewhere: a claim that a gateway does not find is said to be where it is.
func TestExplainElsewhere(t *testing.T) {
	id, email := digest(commandSecret, "u1"), digest(commandSecret, "ada@example.com")
	for _, x := range []struct{ name, dialect, in, says string }{
		{"a URL of a body's fields", "replybubble", "https://example.com/x?id=u1&signature=" + id, "The claim is in the URL's query, where it is not read"},
		{"a request's query of a body's fields", "munin", "GET /x?verifiedExternalId=u1&userHash=" + id + " HTTP/1.1\n", "The claim is in the URL's query, where it is not read"},
		{"without the text that it is within", "intercom", `{"user_id":"u1","user_hash":"` + id + `"}`, "The fields of user_data are at the top: send them in user_data"},
		{"without the header that it is within", "chaskiq", `{"email":"ada@example.com","identifier_key":"` + email + `"}`, "send them as a JSON text in the header User-Data"},
		{"in base64 where it is not read so", "intercom", "user_data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(`{"user_id":"u1","user_hash":"`+id+`"}`))), "user_data is in base64, and read as a JSON text"},
		{"a header in base64", "chaskiq", "User-Data: " + base64.StdEncoding.EncodeToString([]byte(`{"email":"ada@example.com","identifier_key":"`+email+`"}`)), "User-Data is in base64"},
		{"not in base64 where it is read so", "chaskiq", "/cable?user_data=" + url.QueryEscape(`{"email":"ada@example.com","identifier_key":"`+email+`"}`), "user_data is a JSON text, and read in base64: encode it"},
		{"encoded twice", "intercom", "user_data=" + url.QueryEscape(`"{\"user_id\":\"u1\",\"user_hash\":\"`+id+`\"}"`), "it was encoded twice"},
		{"a digest", "chatwoot", id, "This is a value without its name"},
		{"a misspelled name in a URL", "munin", "/x?externalID=u1&userHash=" + id, `externalId is spelled "externalID"`},
		{"an e-mail address in a URL", "gleap", "/x?userId=u1&email=ada%40example.com&userHash=" + email, "The e-mail address was signed instead of the user id"},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, text := explained(t, run{args: []string{"--dialect", x.dialect}, secret: commandSecret, in: x.in})
			if got.Verified || !strings.Contains(got.Mistake.Text, x.says) {
				t.Errorf("%s\n%s", x.in, text)
			}
		})
	}
}

// TestExplainFound: what is found is said to be where it is, and not at each of its places.
func TestExplainFound(t *testing.T) {
	id := digest(commandSecret, "u1")
	for in, found := range map[string]string{
		`{"verifiedExternalId":"u1","userHash":"` + id + `"}`:                            "user_id (/verifiedExternalId), signature (/userHash)",
		"/x?externalId=u1&userHash=" + id:                                                "user_id (query externalId), signature (query userHash)",
		"X-Munin-Verified-External-Id: u1\nX-Munin-User-Hash: " + id:                     "user_id (header X-Munin-Verified-External-Id), signature (header X-Munin-User-Hash)",
		`{"x-munin-verified-external-id":"u1","userHash":"` + id + `","channelId":"c1"}`: "user_id (header X-Munin-Verified-External-Id), signature (/userHash), widget (/channelId)",
	} {
		r := command(t, run{args: []string{"explain", "--dialect", "munin"}, secret: commandSecret, in: in})
		if !strings.Contains(r.out, "found:     "+found+"\n") {
			t.Errorf("%s\n%s", in, r.out)
		}
	}
}
