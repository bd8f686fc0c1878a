package verifier

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// textReading is what a parser reads of the user id, the signature and an attribute k.
type textReading [3]string

// readTexts has parsers of five languages read the JSON text in the field v, and the one in
// base64 in the field c, of queries.
func readTexts(t *testing.T, queries []string) []map[string]textReading {
	t.Helper()
	all := make([]map[string]textReading, len(queries))
	for i, query := range queries {
		all[i] = readTextsInGo(query)
	}
	for interpreter, script := range map[string]string{"node": "texts.js", "python3": "texts.py", "php": "texts.php", "ruby": "texts.rb"} {
		cmd := exec.Command(interpreter, filepath.Join("testdata", "parsers", script))
		cmd.Stdin = strings.NewReader(strings.Join(queries, "\n") + "\n")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		if err != nil || len(lines) != len(queries) {
			t.Fatalf("%s: %v, %d lines for %d queries\n%s", interpreter, err, len(lines), len(queries), &stderr)
		}
		for i, line := range lines {
			var found map[string]textReading
			if err := json.Unmarshal(line, &found); err != nil {
				if string(line) == "[]" || string(line) == "{}" {
					continue
				}
				t.Fatalf("%s: %v in %s", interpreter, err, line)
			}
			maps.Copy(all[i], found)
		}
	}
	return all
}

func readTextsInGo(query string) map[string]textReading {
	found := map[string]textReading{}
	values, _ := url.ParseQuery(query)
	read := func(parser, text string) {
		var d struct {
			UserID   any `json:"user_id"`
			UserHash any `json:"user_hash"`
			K        any
		}
		decoder := json.NewDecoder(strings.NewReader(text))
		if decoder.UseNumber(); decoder.Decode(&d) != nil {
			return
		}
		var r textReading
		for i, v := range []any{d.UserID, d.UserHash, d.K} {
			switch v := v.(type) {
			case nil:
			case string:
				r[i] = v
			case json.Number:
				r[i] = v.String()
			default:
				b, _ := json.Marshal(v)
				r[i] = string(b)
			}
		}
		found["go "+parser] = r
	}
	read("json", values.Get("v"))
	for name, encoding := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "rawstd": base64.RawStdEncoding, "rawurl": base64.RawURLEncoding} {
		if text, err := encoding.DecodeString(values.Get("c")); err == nil {
			read(name, string(text))
		}
	}
	return found
}

// textTricks are what an attacker puts into a text.
var textTricks = []string{
	`{"user_id":"alice","user_hash":"§"}`, `{"k":"~?","user_id":"alice","user_hash":"§"}`, `{"user_id":"victim","user_hash":"§"}`, `{"user_id":"victim"}`,
	`{"k":"é>~?","user_id":"alice","user_hash":"§","z":[1,{"user_id":"x"}]}`, `{"k":7,"z":{}}`, `{"user_id":"alice","user_hash":"§","USER_ID":"victim"}`,
	`{"user_id":"victim","user_id":"alice","user_hash":"§"}`, `[{"user_id":"victim"}]`, `"{\"user_id\":\"victim\"}"`, `{"user_id":null,"user_hash":"§","k":1}`,
	`{"user_id":42,"user_hash":"¤"}`, `{"user_id":42.0,"user_hash":"¤"}`, `{"user_id":4.2e1,"user_hash":"¤"}`, `{"\u0075ser_id":"alice","user_hash":"§"}`,
	`{"user_id":"alice","user_hash":"§",}`, `/**/{"user_id":"victim"}`, `{"user_id":"alice","user_hash":"§"}{"user_id":"victim"}`, `{"k":"` + "\n" + `","user_id":"victim"}`,
	`{"user_id":"alice\u0000","user_hash":"§"}`, `{"user_id":"\ud800alice","user_hash":"§"}`, `{"k":NaN,"user_id":"victim"}`, "\ufeff" + `{"user_id":"victim"}`,
	`{"user_\u017fd":"x","user_id":"alice","user_hash":"§"}`, `{"uſer_id":"victim","user_hash":"§"}`, `{}`, `null`, `hello`, `{"k":"user_id"}`, `{"k":"` + strings.Repeat("é?~>", 9) + `"}`,
}

// textQuery makes a query of a trick, with changes to how it is written.
func textQuery(random *rand.Rand, signed func(string) string) string {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	text := strings.NewReplacer("§", signed("alice"), "¤", signed("42")).Replace(pick(textTricks...))
	if random.IntN(4) == 0 { // something else at some byte
		i := random.IntN(len(text))
		text = text[:i] + pick(`"`, `\`, " ", ",", "}", "{", "\x00", "\xff", "user_id", "'", "/", "~", "?") + text[i+random.IntN(2):]
	}
	if random.IntN(3) == 0 {
		return "x=1&" + pick("v", "v", "v", "V", "v[]", "v.", "+v") + "=" + escapeSome(random, text) + pick("", "", "&y=2", "&v=1", ";v=1", "&v[user_id]=victim", "&v=%7B%22user_id%22:%22victim%22%7D", "&v={}&v=%7B%22user_id%22:%22victim%22%7D")
	}
	coded := pick(base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)))
	for range random.IntN(3) {
		i := random.IntN(len(coded) + 1)
		switch random.IntN(4) {
		case 0:
			coded = coded[:i] + pick(" ", "\n", "=", "-", "_", "+", "/", "!", "----", "____", "A", "==") + coded[i:]
		case 1:
			coded = coded[:i]
		case 2:
			coded = strings.NewReplacer("-", "+", "_", "/").Replace(coded[:i]) + coded[i:]
		case 3:
			coded = coded[:i] + base64.StdEncoding.EncodeToString([]byte(`{"user_id":"victim"}`))
		}
	}
	if random.IntN(4) == 0 {
		return "c=" + strings.NewReplacer("\n", "%0A", "%", "%25").Replace(coded) + "&x=1"
	}
	return "x=1&c=" + url.QueryEscape(coded) + pick("", "", "", "&c=eyJ1c2VyX2lkIjoidmljdGltIn0")
}

func escapeSome(random *rand.Rand, text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`%&+;=#"`, c) >= 0 || random.IntN(5) == 0 {
			fmt.Fprintf(&b, "%%%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// TestTextParsers: no parser reads another user in a text than the one that is verified,
// one where nobody is claimed, or anything of a claim that was cut; and what is not cut is
// read as before.
func TestTextParsers(t *testing.T) {
	v := dialectOf(t, "{user_id}", nil, "user_id query v /user_id", "signature query v /user_hash", "user_id query c base64 /user_id", "signature query c base64 /user_hash")
	key := NewKey(WeakSecret("differential-secret-0123456789"))
	signed := func(user string) string {
		text, err := v.Sign(key, map[Field]string{UserID: user})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	random := rand.New(rand.NewPCG(16, 4))
	var queries, left []string
	for range 4000 {
		queries = append(queries, textQuery(random, signed))
	}
	verdicts, users := make([]error, len(queries)), make([]string, len(queries))
	for i, query := range queries {
		var to Reading
		v.Query([]byte(query), &to)
		id, err := v.Verify(&to, key)
		verdicts[i], users[i] = err, id.User()
		left = append(left, string(to.WithoutQuery([]byte(query))))
	}
	parsers := map[string]bool{}
	before, after, count := readTexts(t, queries), readTexts(t, left), map[string]int{}
	for i, query := range queries {
		err := verdicts[i]
		count[fmt.Sprint(err == nil, errors.Is(err, ErrMissing), errors.Is(err, ErrMalformed), errors.Is(err, ErrAmbiguous))]++
		for parser, r := range before[i] {
			parsers[parser] = parsers[parser] || err == nil && r[0] == users[i]
			switch {
			case err == nil && r[0] != "" && r[0] != users[i]:
				t.Errorf("%q: verified is %q, %s reads %q", query, users[i], parser, r[0])
			case errors.Is(err, ErrMissing) && (r[0] != "" || r[1] != ""):
				t.Errorf("%q: nothing is claimed, %s reads %q", query, parser, r)
			}
			if errors.Is(err, ErrInvalid) || errors.Is(err, ErrPartial) {
				// What reads as no text any more has lost nothing but a variant's.
				if now, ok := after[i][parser]; ok && now[2] != r[2] {
					t.Errorf("%q: cut to %q, %s reads k as %q, not %q", query, left[i], parser, now[2], r[2])
				}
			}
		}
		if errors.Is(err, ErrInvalid) || errors.Is(err, ErrPartial) {
			for parser, r := range after[i] {
				if r[0] != "" || r[1] != "" {
					t.Errorf("%q: cut to %q, where %s reads %q", query, left[i], parser, r)
				}
			}
		}
	}
	for parser, agrees := range parsers {
		if !agrees {
			t.Errorf("%s reads none of the verified users", parser)
		}
	}
	if len(parsers) < 25 {
		t.Errorf("only %d parsers: %v", len(parsers), parsers)
	}
	t.Logf("verified, missing, malformed, ambiguous: %v", count)
}
