package verifier

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/claimjson"
)

// signing returns the names, at the top of a body, of the dialect's fields
// that are never forwarded unverified.
func signing(dialect string) []string {
	d, _ := LookupDialect(dialect)
	var names []string
	for _, p := range d.Places {
		if p.Field.Proves() && p.inBody() {
			names = append(names, p.Name[1:])
		}
	}
	return names
}

// inOrder calls found with the names of a field, those first that count first, until it says
// that there is something.
func inOrder(dialect string, f Field, found func(names []string) bool) {
	d, _ := LookupDialect(dialect)
	for rank := range maxRanks {
		var names []string
		for _, p := range d.Places {
			if p.Field == f && p.inBody() && p.Rank == rank {
				names = append(names, p.Name[1:])
			}
		}
		if found(names) {
			return
		}
	}
}

// texts returns what JSON values of one field say: strings decoded, numbers as
// they are, null and empty strings left out.
func texts(t *testing.T, values []json.RawMessage) []string {
	t.Helper()
	var found []string
	for _, raw := range values {
		text := string(raw)
		if len(raw) > 0 && raw[0] == '"' {
			if err := json.Unmarshal(raw, &text); err != nil {
				t.Fatal(err)
			}
		}
		if text != "" && text != "null" || text == "null" && len(raw) > 0 && raw[0] == '"' {
			found = append(found, text)
		}
	}
	return found
}

// allEqual reports whether each of the texts is the value, and where the value
// is not empty, that there are any.
func allEqual(found []string, value []byte) bool {
	for _, text := range found {
		if text != string(value) {
			return false
		}
	}
	return len(value) == 0 || len(found) > 0
}

// leniently is what a backend in Go finds under the names in a chat request that it decodes
// into a struct: its names match in any letter case.
func leniently(t *testing.T, body []byte, names []string) []json.RawMessage {
	t.Helper()
	var fields []reflect.StructField
	for i, name := range names {
		fields = append(fields, reflect.StructField{
			Name: "F" + jsonNumber(i), Type: reflect.TypeFor[json.RawMessage](), Tag: reflect.StructTag(`json:"` + name + `"`),
		})
	}
	into := reflect.New(reflect.StructOf(fields))
	if err := json.Unmarshal(body, into.Interface()); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	var found []json.RawMessage
	for i := range names {
		if raw := into.Elem().Field(i).Bytes(); raw != nil {
			found = append(found, raw)
		}
	}
	return found
}

func exactly(members map[string]json.RawMessage, names []string) []json.RawMessage {
	var found []json.RawMessage
	for _, name := range names {
		if raw, ok := members[name]; ok {
			found = append(found, raw)
		}
	}
	return found
}

// flat are the dialects whose claims are members of the body itself, not within another.
var flat = slices.DeleteFunc(slices.Clone(Dialects), func(d Dialect) bool {
	return slices.ContainsFunc(d.Places, func(p Place) bool { return p.Field.Proves() && p.inBody() && strings.Count(p.pointer(), "/") > 1 })
})

func addVectors(f *testing.F, add func(dialect int, v *vector)) {
	for i, d := range flat {
		for _, v := range loadVectors(f, d.Name) {
			add(i, &v)
		}
	}
}

// FuzzReader: of a body that is accepted, encoding/json reads the same user id
// and signature, by exact names and by names in any letter case; and when the
// claim has been cut out, it reads none, and everything else as before.
func FuzzReader(f *testing.F) {
	addVectors(f, func(dialect int, v *vector) {
		if v.Body != nil && len(*v.Body) < 2000 {
			f.Add([]byte(*v.Body), byte(dialect))
		}
	})
	f.Fuzz(func(t *testing.T, body []byte, dialect byte) {
		d := flat[int(dialect)%len(flat)].Name
		reader, v := spoken(t, d)
		var r Reading
		reader.JSON(body, &r)
		shape := v.shape(&r)
		if r.err != nil {
			if !errors.Is(shape, ErrMalformed) {
				t.Fatalf("%v, but %v", r.err, shape)
			}
			return
		}
		if errors.Is(shape, ErrMissing) && !json.Valid(body) {
			return // no name, no claim
		}
		if !json.Valid(body) {
			t.Fatal("accepted, but not valid")
		}
		if shape != nil && !errors.Is(shape, ErrPartial) && !errors.Is(shape, ErrMissing) {
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(body, &members); err != nil || members == nil {
			// An array of claims, or a text of one, is half a claim.
			if shape == nil || len(r.claim[UserID])+len(r.claim[Signature])+len(r.claim[TokenField]) > 0 {
				t.Fatalf("a claim in what is no object: %v", shape)
			}
			left := claimjson.Cut(nil, body, r.BodyCuts)
			r.Reset()
			if reader.JSON(left, &r); len(r.BodyCuts) > 0 {
				t.Fatalf("%q still holds a claim", left)
			}
			return
		}
		for _, field := range []Field{UserID, Signature, TokenField} {
			var got []string
			inOrder(d, field, func(names []string) bool { got = texts(t, exactly(members, names)); return len(got) > 0 })
			if !r.found[0][field].variant && !allEqual(got, r.settled()[field]) {
				t.Fatalf("%s is %q, a map says %q", field, r.settled()[field], got)
			}
		}
		if shape == nil {
			for _, field := range []Field{UserID, Signature, TokenField} {
				var got []string
				inOrder(d, field, func(names []string) bool { got = texts(t, leniently(t, body, names)); return len(got) > 0 })
				if !allEqual(got, r.settled()[field]) {
					t.Fatalf("%s is %q, a struct says %q", field, r.settled()[field], got)
				}
			}
		}
		checkCut(t, claimjson.Cut(nil, body, r.BodyCuts), members, signing(d))
	})
}

// checkCut compares what is left of a body with the members that it had.
func checkCut(t *testing.T, left []byte, members map[string]json.RawMessage, names []string) {
	t.Helper()
	if found := leniently(t, left, names); len(found) > 0 {
		t.Fatalf("%q is left, in which a struct finds %q", left, found)
	}
	var rest map[string]json.RawMessage
	if err := json.Unmarshal(left, &rest); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	})
	if !maps.EqualFunc(members, rest, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Fatalf("%q is left of %q", rest, members)
	}
}

// FuzzForm: of a form that is accepted, net/url reads the same user id and
// signature, once each; and none when the claim has been cut out.
func FuzzForm(f *testing.F) {
	addVectors(f, func(dialect int, v *vector) {
		if v.Form != nil {
			f.Add([]byte(*v.Form), byte(dialect))
		}
	})
	f.Fuzz(func(t *testing.T, body []byte, dialect byte) {
		d := flat[int(dialect)%len(flat)].Name
		reader, v := spoken(t, d)
		var r Reading
		reader.Form(body, &r)
		shape := v.shape(&r)
		if r.fault() != nil || shape != nil && !errors.Is(shape, ErrPartial) && !errors.Is(shape, ErrMissing) {
			return
		}
		values, err := url.ParseQuery(string(body))
		if err != nil && bytes.IndexByte(body, ';') < 0 && !errors.Is(shape, ErrMissing) { // nothing is claimed in what is none
			t.Fatalf("accepted, but %v", err)
		}
		for _, field := range []Field{UserID, Signature, TokenField} {
			var found []string
			inOrder(d, field, func(names []string) bool {
				for _, name := range names {
					if len(values[name]) > 1 {
						t.Fatalf("%s: %q", name, values[name])
					}
					found = append(found, slices.DeleteFunc(values[name], func(s string) bool { return s == "" })...)
				}
				return len(found) > 0
			})
			// What only some parsers take for the field, as one with a semicolon,
			// is no more than half a claim.
			if !r.found[0][field].variant && !allEqual(found, r.settled()[field]) {
				t.Fatalf("%s is %q, net/url says %q", field, r.settled()[field], found)
			}
		}
		left := claimjson.Cut(nil, body, r.BodyCuts)
		rest, _ := url.ParseQuery(string(left))
		names := signing(d)
		for key := range rest {
			if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, strings.TrimSpace(key)) }) {
				t.Fatalf("%q is left, in which net/url finds %q", left, key)
			}
		}
		if bytes.IndexByte(body, ';') >= 0 {
			return // cutting a piece can make a field of what net/url left out
		}
		values, _ = url.ParseQuery(string(body))
		for key, value := range values {
			if _, stays := rest[key]; !stays && !resembles(key, names) {
				t.Fatalf("%q is gone", key)
			} else if stays && !slices.Equal(value, rest[key]) {
				t.Fatalf("%q was %q and is %q", key, value, rest[key])
			}
		}
		for key := range rest {
			if _, was := values[key]; !was {
				t.Fatalf("%q is new", key)
			}
		}
	})
}

// FuzzJSONOrForm: of JSON that is declared to be a form, net/url reads no user
// id or signature once the claim has been cut out, nor does encoding/json.
func FuzzJSONOrForm(f *testing.F) {
	addVectors(f, func(dialect int, v *vector) {
		if v.JSONAsForm != nil {
			f.Add([]byte(*v.JSONAsForm), byte(dialect))
		}
	})
	f.Fuzz(func(t *testing.T, body []byte, dialect byte) {
		d := flat[int(dialect)%len(flat)].Name
		reader, v := spoken(t, d)
		var r Reading
		reader.JSONOrForm(body, &r)
		if shape := v.shape(&r); shape != nil && !errors.Is(shape, ErrPartial) && !errors.Is(shape, ErrMissing) {
			return
		}
		names := signing(d)
		left := claimjson.Cut(nil, body, r.BodyCuts)
		fields, _ := url.ParseQuery(string(left))
		for key, values := range fields {
			if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, strings.TrimSpace(key)) }) && strings.Join(values, "") != "" {
				t.Fatalf("%q is left, in which net/url finds %q", left, key)
			}
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(body, &members) == nil && members != nil {
			checkCut(t, left, members, names)
		}
	})
}

// resembles reports whether some parser could take the key for one of the names:
// whether it has their letters and digits in it, in that order.
func resembles(key string, names []string) bool {
	letters := func(text string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case r == 'ſ':
				return 's'
			case r == 'K':
				return 'k'
			case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(text))
	}
	return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(letters(key), letters(n)) })
}

// FuzzMessage: every template is either refused with a reason, or signs the
// user id and can be written and read.
func FuzzMessage(f *testing.F) {
	for _, text := range []string{
		"{user_id}", "{user_id}{nonce}{timestamp}", "{timestamp}.{user_id}", "{user_id}\n{email}", "v1:{user_id}",
		"{user_id}{email}", "{user_id", "}", "{}", "", "{nonce}", "{user_id}{user_id}", "{user_id}\n{timestamp}{email}",
	} {
		f.Add(text, 32)
	}
	f.Fuzz(func(t *testing.T, text string, nonceLength int) {
		m, err := parseMessage(text, nonceLength)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("refused without a reason")
			}
			return
		}
		if !m.Signs(UserID) || m.String() != text || nonceLength < 1 {
			t.Fatalf("accepted: %q", m.String())
		}
		claim := &claim{UserID: []byte("{user_id}"), Email: []byte("e"), Timestamp: []byte("1800000000"), Nonce: []byte(strings.Repeat("n", min(nonceLength, 64)))}
		want := strings.NewReplacer("{user_id}", "{user_id}", "{email}", "e", "{timestamp}", "1800000000", "{nonce}", string(claim[Nonce])).Replace(text)
		if got := string(m.Append(nil, claim)); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
		if _, err := (Dialect{Message: m.text, NonceLength: nonceLength, MaxAge: defaultMaxAge}).Reader(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSeeds: a fuzzer without seeds, or of which all are refused, finds little.
func TestSeeds(t *testing.T) {
	shapeOf := func(read func(*reader, *Reading, []byte)) func(*testing.T, []string) bool {
		return func(t *testing.T, arguments []string) bool {
			body, dialect := seedValue(t, arguments[0]), seedValue(t, arguments[1])
			reader, v := spoken(t, Dialects[int(dialect[0])%len(Dialects)].Name)
			var r Reading
			read(reader, &r, []byte(body))
			return v.shape(&r) == nil
		}
	}
	for name, accepted := range map[string]func(*testing.T, []string) bool{
		"FuzzReader":     shapeOf(func(reader *reader, r *Reading, body []byte) { reader.JSON(body, r) }),
		"FuzzForm":       shapeOf(func(reader *reader, r *Reading, body []byte) { reader.Form(body, r) }),
		"FuzzJSONOrForm": shapeOf(func(reader *reader, r *Reading, body []byte) { reader.JSONOrForm(body, r) }),
		"FuzzMessage": func(t *testing.T, arguments []string) bool {
			length, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(arguments[1], "int("), ")"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = parseMessage(seedValue(t, arguments[0]), length)
			return err == nil
		},
	} {
		files, err := filepath.Glob(filepath.Join("testdata", "fuzz", name, "*"))
		if err != nil {
			t.Fatal(err)
		}
		good, bad := 0, 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			if len(lines) != 3 || lines[0] != "go test fuzz v1" {
				t.Fatalf("%s is no seed", file)
			}
			if accepted(t, lines[1:]) {
				good++
			} else {
				bad++
			}
		}
		if good < 5 || bad < 5 {
			t.Errorf("%s: %d seeds are accepted, %d refused", name, good, bad)
		}
	}
}

// seedValue returns the text of a seed's argument, as in []byte("…") or byte('…').
func seedValue(t *testing.T, argument string) string {
	t.Helper()
	_, quoted, _ := strings.Cut(strings.TrimSuffix(argument, ")"), "(")
	text, err := strconv.Unquote(quoted)
	if err != nil {
		t.Fatalf("%s: %v", argument, err)
	}
	return text
}
