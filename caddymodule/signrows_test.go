package caddymodule

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// carried is a claim's request while it is put together.
type carried struct {
	body    map[string]any
	form    url.Values
	query   url.Values
	headers []string
}

// texts are values that hold a JSON text, by their names.
type texts map[string]map[string]any

func (s texts) put(name, pointer, value string) {
	if s[name] == nil {
		s[name] = make(map[string]any)
	}
	putMember(s[name], pointer, value)
}

// putMember sets what a pointer points to.
func putMember(object map[string]any, pointer, value string) {
	name, rest, more := strings.Cut(pointer[1:], "/")
	if !more {
		object[name] = value
		return
	}
	if object[name] == nil {
		object[name] = make(map[string]any)
	}
	putMember(object[name].(map[string]any), "/"+rest, value)
}

// memberAt returns the text that a pointer points to.
func memberAt(object any, pointer string) (string, bool) {
	for name := range strings.SplitSeq(pointer[1:], "/") {
		members, _ := object.(map[string]any)
		object = members[name]
	}
	text, ok := object.(string)
	return text, ok
}

// fieldsOf returns the fields of a claim that sign has printed, and the rank of its user id.
func fieldsOf(t *testing.T, d *verifier.Dialect, printed string) (fields map[verifier.Field]string, rank int) {
	var claim map[string]any
	must(t, json.Unmarshal([]byte(printed), &claim))
	fields = make(map[verifier.Field]string)
	for _, p := range d.Places {
		pointer := p.Name + p.Within
		if p.Location != "" && p.Location != "body" {
			pointer = "/" + pointer
		}
		value, found := memberAt(claim, pointer)
		if p.Field == verifier.TokenField && !found {
			value, found = memberAt(claim, "/token")
		}
		if _, before := fields[p.Field]; found && !before {
			fields[p.Field] = value
			if p.Field == verifier.UserID {
				rank = p.Rank
			}
		}
	}
	return fields, rank
}

// carry puts the fields where the dialect reads them in that part of a request, or returns
// nil if it has no place for one there.
func carry(t *testing.T, d *verifier.Dialect, part string, fields map[verifier.Field]string, rank int) *carried {
	c := &carried{body: map[string]any{}, form: url.Values{}, query: url.Values{}}
	within, inBase64 := texts{}, map[string]bool{}
	location := strings.Replace(part, "form", "body", 1)
	for f, value := range fields {
		i := slices.IndexFunc(d.AllPlaces(), func(p verifier.Place) bool {
			return p.Field == f && p.Location == location && (f != verifier.UserID || p.Rank == rank)
		})
		if i < 0 {
			return nil
		}
		p := d.AllPlaces()[i]
		switch {
		case part == "body":
			putMember(c.body, p.Name+p.Within, value)
		case p.Within != "":
			within.put(p.Key(), p.Within, value)
			inBase64[p.Key()] = p.Base64
		case part == "form":
			c.form.Set(p.Key(), value)
		case part == "query":
			c.query.Set(p.Key(), value)
		default:
			c.headers = append(c.headers, p.Name+": "+strings.TrimPrefix(p.Scheme+" ", " ")+value)
		}
	}
	for name, object := range within {
		text := jsonOf(t, object)
		if inBase64[name] {
			text = base64.StdEncoding.EncodeToString([]byte(text))
		}
		switch part {
		case "form":
			c.form.Set(name, text)
		case "query":
			c.query.Set(name, text)
		default:
			c.headers = append(c.headers, name+": "+text)
		}
	}
	return c
}

// TestSignedRowsVerify: what sign prints for a dialect verifies at a gateway, in every part of
// a request in which the dialect has places for it.
func TestSignedRowsVerify(t *testing.T) {
	t.Setenv("CHAT_IDENTITY_SECRET", "") // and back afterwards
	must(t, os.Unsetenv("CHAT_IDENTITY_SECRET"))
	pair, _, err := runCommand(t, "", "keygen", "--token-key", "--algorithm", "RS256", "--json")
	must(t, err)
	var keys struct {
		Private string `json:"private_key"`
		Public  string `json:"public_key"`
	}
	must(t, json.Unmarshal([]byte(pair), &keys))
	file := filepath.Join(t.TempDir(), "public.pem")
	must(t, os.WriteFile(file, []byte(keys.Public), 0o600))
	var site strings.Builder
	for _, d := range verifier.Dialects {
		secret := "secret {env.TEST_SECRET}"
		if slices.Equal(d.Token.Algorithms, []string{"RS256"}) {
			secret = "public_key {file." + file + "}"
		}
		fmt.Fprintf(&site, "@%s header X-Product %[1]s\nhandle @%[1]s {\nchat_identity required {\ndialect %[1]s\nwidget of-%[1]s\n%s\n}\nreverse_proxy UPSTREAM\n}\n", d.Name, secret)
	}
	g := start(t, "", site.String())
	for _, d := range verifier.Dialects {
		in := testSecret
		if slices.Equal(d.Token.Algorithms, []string{"RS256"}) {
			in = keys.Private
		}
		signed := 0
		for _, x := range []struct {
			user string
			args []string
		}{
			{"u-42", []string{"--user", "u-42"}}, {"ada@example.com", []string{"--email", "ada@example.com"}}, {"u-42", []string{"--token", "--user", "u-42"}},
		} {
			args := append([]string{"sign", "--dialect", d.Name}, x.args...)
			printed, _, err := runCommand(t, in, args...)
			if err != nil {
				continue // a dialect of e-mail addresses alone, or of one proof
			}
			signed++
			fields, rank := fieldsOf(t, &d, printed)
			sent := 0
			for _, part := range []string{"body", "form", "query", "header"} {
				c := carry(t, &d, part, fields, rank)
				if c == nil {
					continue
				}
				sent++
				headers, body := append(c.headers, "X-Product: "+d.Name), ""
				switch part {
				case "body":
					headers, body = append(headers, jsonType), jsonOf(t, c.body)
				case "form":
					headers, body = append(headers, "Content-Type: application/x-www-form-urlencoded"), c.form.Encode()
				}
				if a := g.do(t, "POST", "/chat?"+c.query.Encode(), body, headers...); a.StatusCode != 200 || a.seen == nil || a.seen.user() != x.user {
					t.Errorf("%v in the %s: %d %s", args, part, a.StatusCode, a.body)
				}
			}
			if lines, _, err := runCommand(t, in, append(args, "--headers")...); err == nil {
				sent++
				headers := append(strings.Split(strings.TrimSpace(lines), "\n"), "X-Product: "+d.Name)
				if a := g.do(t, "POST", "/chat", "", headers...); a.StatusCode != 200 || a.seen == nil || a.seen.user() != x.user {
					t.Errorf("%v --headers: %d %s", args, a.StatusCode, a.body)
				}
			}
			t.Logf("%v: sent in %d ways", args, sent)
			if sent == 0 {
				t.Errorf("%v: nothing was sent of %s", args, printed)
			}
		}
		if signed == 0 {
			t.Errorf("%s: nothing was signed", d.Name)
		}
	}
}
