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
			ways := []string{x.printed, otherCase(t, x.dialect, x.printed), asTexts(t, x.dialect, x.printed)}
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

// asTexts writes the objects that a dialect reads within a JSON text as such texts, as they are
// in headers and forms.
func asTexts(t *testing.T, dialect, printed string) string {
	d, err := verifier.LookupDialect(dialect)
	if err != nil {
		t.Fatal(err)
	}
	var claim map[string]any
	if err := json.Unmarshal([]byte(printed), &claim); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Places {
		if value, ok := claim[p.Key()].(map[string]any); ok && p.Within != "" {
			text, _ := json.Marshal(value)
			claim[p.Key()] = string(text)
		}
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
