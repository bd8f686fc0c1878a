package verifier

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// vector is one case of testdata/vectors, whose README.md explains the members.
type vector struct {
	Name        string   `json:"name"`
	Source      string   `json:"source"`
	Secret      []string `json:"secret"`
	PublicKey   []string `json:"public_key"`
	KeyEncoding string   `json:"key_encoding"`
	Now         int64    `json:"now"`
	MaxAge      *int64   `json:"max_age"`
	Skew        *int64   `json:"skew"`
	Message     string   `json:"message"`
	Encoding    string   `json:"encoding"`
	NonceLength int      `json:"nonce_length"`
	At          string   `json:"at"`
	Places      []struct {
		Field    string `json:"field"`
		Location string `json:"location"`
		Name     string `json:"name"`
	} `json:"places"`

	Body       *string  `json:"body"`
	BodyBase64 *string  `json:"body_base64"`
	JSONAsForm *string  `json:"json_as_form"`
	Form       *string  `json:"form"`
	Multipart  *string  `json:"multipart"`
	Boundary   string   `json:"boundary"`
	Query      *string  `json:"query"`
	Header     []string `json:"header"`

	Signed     *string  `json:"signed"`
	Digest     *string  `json:"digest"`
	By         int      `json:"by"`
	Outcome    string   `json:"outcome"`
	Reason     string   `json:"reason"`
	User       *string  `json:"user"`
	Email      string   `json:"email"`
	FullName   string   `json:"full_name"`
	Attributes string   `json:"attributes"`
	Cut        *string  `json:"cut"`
	LeftOut    []string `json:"left_out"`
}

const vectorsFolder = "testdata/vectors"

func loadVectors(t testing.TB, name string) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorsFolder, name+".json"))
	if err != nil {
		t.Fatalf("%s has no vectors: write its file as the README there says (%v)", name, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var vectors []vector
	if err := decoder.Decode(&vectors); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return vectors
}

// setup returns what checks the vector, which is of a dialect unless it
// brings places and a message of its own.
func (v *vector) setup(t testing.TB, dialect string) (*reader, *Verifier, []*Key) {
	t.Helper()
	d, err := LookupDialect(dialect)
	if err != nil {
		d = Dialect{Name: dialect, MaxAge: defaultMaxAge, Skew: defaultSkew}
	}
	if v.Message != "" {
		d.Message = v.Message
	}
	d.Places, d.Query = d.AllPlaces(), false
	for _, p := range v.Places {
		var field Field
		if err := field.UnmarshalText([]byte(p.Field)); err != nil {
			t.Fatal(err)
		}
		d.Places = append(d.Places, Place{Field: field, Location: p.Location, Name: p.Name})
	}
	if v.MaxAge != nil {
		d.MaxAge = time.Duration(*v.MaxAge) * time.Second
	}
	if v.Skew != nil {
		d.Skew = time.Duration(*v.Skew) * time.Second
	}
	d.NonceLength, d.Encoding, d.At = v.NonceLength, v.Encoding, v.At
	d.Time = func() time.Time { return time.Unix(v.Now, 0) }
	verifier, err := d.Verifier()
	if err != nil {
		t.Fatal(err)
	}
	var keys []*Key
	for _, text := range v.Secret {
		secret, err := NewSecret(text)
		if err == nil {
			secret, err = secret.Decoded(cmp.Or(v.KeyEncoding, KeyEncodings[0]))
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, NewKey(secret))
	}
	for _, text := range v.PublicKey {
		block, _ := pem.Decode([]byte(text))
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		key, err := NewPublicKey(PublicKey{Key: public})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return &verifier.reader, verifier, keys
}

// read reads the vector's input and returns the part of it that cut is about.
func (v *vector) read(t testing.TB, r *reader, to *Reading) []byte {
	t.Helper()
	var text []byte
	if v.Query != nil {
		text = []byte(*v.Query)
		r.Query(text, to)
	}
	for i, line := range v.Header {
		again := slices.ContainsFunc(v.Header[:i], func(earlier string) bool { return strings.EqualFold(headerName(earlier), headerName(line)) })
		readHeader(r, line, again, to)
		text = []byte(strings.Join(v.Header, "\n"))
	}
	switch {
	case v.Body != nil:
		text = []byte(*v.Body)
		r.JSON(text, to)
	case v.BodyBase64 != nil:
		var err error
		if text, err = base64.StdEncoding.DecodeString(*v.BodyBase64); err != nil {
			t.Fatal(err)
		}
		r.JSON(text, to)
	case v.JSONAsForm != nil:
		text = []byte(*v.JSONAsForm)
		r.JSONOrForm(text, to)
	case v.Form != nil:
		text = []byte(*v.Form)
		r.Form(text, to)
	case v.Multipart != nil:
		text = []byte(*v.Multipart)
		r.multipart(text, v.Boundary, to)
	case v.Query == nil && v.Header == nil:
		t.Fatal("the vector has no input")
	}
	return text
}

func headerName(line string) string { name, _, _ := strings.Cut(line, ": "); return name }

// readHeader reads a header as README.md of the vectors has it, which is the caller's part.
func readHeader(r *reader, line string, more bool, to *Reading) {
	name, value, _ := strings.Cut(line, ": ")
	for _, p := range r.places {
		if p.Location != atHeader || !strings.EqualFold(p.Name, name) {
			continue
		}
		if text := r.textAt(&p); text != nil {
			if more {
				text.doubt(r, text.stands([]byte(value)), false, to)
			} else {
				text.read(r, []byte(value), to)
			}
			return // which holds all of the header's places
		}
		scheme, token := "", value
		if p.Scheme != "" {
			scheme, token, _ = strings.Cut(value, " ")
		}
		if strings.EqualFold(p.Name, "Authorization") && (!strings.EqualFold(scheme, p.Scheme) || p.Scheme == "" && strings.Contains(token, " ") || strings.Count(token, ".") < 2) {
			continue
		}
		if to.Text(p, []byte(token)); more {
			to.MarkDuplicate(p)
		}
	}
}

// cutOf returns the text without the claim.
func (v *vector) cutOf(verifier *Verifier, text []byte, from *Reading) string {
	switch {
	case v.Header != nil && from.HasProof():
		var left []string
		for _, line := range v.Header {
			name, value, _ := strings.Cut(line, ": ")
			i := slices.IndexFunc(verifier.places, func(p Place) bool {
				return p.Location == atHeader && (p.Field.Proves() || verifier.InText(p)) && strings.EqualFold(p.Name, name)
			})
			if i >= 0 && verifier.InText(verifier.places[i]) {
				line = name + ": " + string(verifier.WithoutText(verifier.places[i], []byte(value)))
			} else if i >= 0 {
				continue
			}
			left = append(left, line)
		}
		return strings.Join(left, "\n")
	case v.Query != nil && v.Body == nil:
		return string(from.WithoutQuery(text))
	}
	return string(from.WithoutBody(text))
}

func vectorFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(vectorsFolder, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	return names
}

func TestVectors(t *testing.T) {
	for _, name := range vectorFiles(t) {
		var reading Reading // reused, as a gateway does
		for _, v := range loadVectors(t, name) {
			t.Run(name+"/"+v.Name, func(t *testing.T) { v.check(t, name, &reading) })
		}
	}
}

// outcomes are what a gateway makes of the reasons.
var outcomes = map[string]string{
	"": "verified", "malformed": "malformed", "ambiguous": "invalid", "missing": "anonymous", "partial": "anonymous",
	"widget_unknown": "invalid", "invalid": "invalid", "expired": "expired",
}

// reason returns a gateway's word for an error. One that has no secret does not
// know the widget.
func (v *vector) reason(err error) string {
	for sentinel, reason := range map[error]string{
		ErrMalformed: "malformed", ErrAmbiguous: "ambiguous", ErrMissing: "missing", ErrPartial: "partial", ErrInvalid: "invalid", ErrExpired: "expired",
	} {
		if errors.Is(err, sentinel) {
			if err == ErrInvalid && len(v.Secret)+len(v.PublicKey) == 0 {
				return "widget_unknown"
			}
			return reason
		}
	}
	return ""
}

func (v *vector) check(t *testing.T, dialect string, reading *Reading) {
	reader, verifier, keys := v.setup(t, dialect)
	reading.Reset()
	text := v.read(t, reader, reading)
	id, err := verifier.Verify(reading, keys...)
	reason := v.reason(err)
	if reason != v.Reason || outcomes[reason] != v.Outcome {
		t.Fatalf("found reason %q, outcome %q (%v); the vector has %q, %q", reason, outcomes[reason], err, v.Reason, v.Outcome)
	}
	shape := verifier.shape(reading)
	if shape == nil {
		message := verifier.AppendMessage(nil, reading)
		if reading.byToken {
			message = reading.token.jws.Signed
		}
		if v.Signed == nil || string(message) != *v.Signed {
			t.Errorf("signed is %q", message)
		}
	} else if v.Signed != nil || v.Digest != nil {
		t.Error("signed and digest are null where the claim is refused for its shape")
	}
	if (v.User != nil) != (err == nil) || v.User != nil && id.User() != *v.User || err != nil && id != (Identity{}) {
		t.Errorf("user %q", id.User())
	}
	if id.ByToken() && (id.Email() != v.Email || id.Name() != v.FullName || id.Attributes() != v.Attributes) {
		t.Errorf("signed with the user: %q, %q, %q", id.Email(), id.Name(), id.Attributes())
	}
	forwarded := err != nil && reason != "malformed" && reason != "ambiguous"
	if forwarded != (v.Cut != nil) {
		t.Fatal("a vector has a cut where its claim is not verified, but may be forwarded")
	}
	if forwarded {
		left := v.cutOf(verifier, text, reading)
		if left != *v.Cut {
			t.Errorf("cut\n%q, want\n%q", left, *v.Cut)
		}
		v.checkNothingLeft(t, reader, left)
	}
	var leftOut []string
	for _, e := range reading.LeftOut() {
		leftOut = append(leftOut, e.Field.String())
	}
	if !slices.Equal(leftOut, v.LeftOut) {
		t.Errorf("left out %q", leftOut)
	}
	v.checkDigest(t, verifier, reading, shape == nil)
}

// checkNothingLeft reads what was left of an unverified claim once more.
func (v *vector) checkNothingLeft(t *testing.T, reader *reader, left string) {
	again, second := *v, Reading{}
	switch {
	case v.Body != nil:
		again.Body = &left
	case v.JSONAsForm != nil:
		again.JSONAsForm = &left
	case v.Form != nil:
		again.Form = &left
	case v.Multipart != nil:
		again.Multipart = &left
	case v.Header != nil:
		again.Header = strings.Split(left, "\n")
	default:
		again.Query = &left
	}
	again.read(t, reader, &second)
	if len(second.BodyCuts)+len(second.QueryCuts) > 0 {
		t.Errorf("a claim is left after cutting: %q", left)
	}
	for f := UserID; f <= TokenField; f++ {
		if len(second.claim[f]) > 0 {
			t.Errorf("%s is left after cutting: %q", f, left)
		}
	}
}

func (v *vector) checkDigest(t *testing.T, verifier *Verifier, reading *Reading, signed bool) {
	if !signed || len(v.Secret) == 0 {
		if v.Digest != nil {
			t.Error("digest is null where nothing is signed, or there is no secret")
		}
		return
	}
	secret, err := WeakSecret(v.Secret[v.By]).Decoded(cmp.Or(v.KeyEncoding, KeyEncodings[0]))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	if reading.byToken {
		mac := hmac.New(sha256.New, []byte(secret.Reveal()))
		mac.Write(reading.token.jws.Signed)
		got = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	} else {
		got = verifier.sign(NewKey(secret), &reading.claim)
	}
	if v.Digest == nil || got != *v.Digest {
		t.Errorf("digest is %s", got)
	}
}

// TestVectorsCover fails for a dialect without vectors, and for a reason that
// a verifier can find without one.
func TestVectorsCover(t *testing.T) {
	for _, d := range append([]Dialect{{Name: "custom", Message: "{timestamp}"}}, Dialects...) {
		want := strings.Split(",malformed,ambiguous,missing,partial,widget_unknown,invalid", ",")
		if strings.Contains(d.Message, "{timestamp}") || d.has(TokenField) {
			want = append(want, "expired")
		}
		if !slices.ContainsFunc(d.AllPlaces(), func(p Place) bool { return p.Name != "Authorization" }) && d.Name != "custom" {
			// Of Authorization no spelling is half a claim.
			want = slices.DeleteFunc(want, func(reason string) bool { return reason == "partial" })
		}
		found := map[string]bool{}
		names := map[string]bool{}
		for _, v := range loadVectors(t, d.Name) {
			found[v.Reason] = true
			if names[v.Name] {
				t.Errorf("%s: two vectors are called %q", d.Name, v.Name)
			}
			names[v.Name] = true
		}
		for _, r := range want {
			if !found[r] {
				t.Errorf("%s: no vector for the reason %q", d.Name, r)
			}
			delete(found, r)
		}
		for r := range found {
			t.Errorf("%s: a vector for %q, which no verifier finds", d.Name, r)
		}
	}
	if _, err := os.Stat(filepath.Join(vectorsFolder, "README.md")); err != nil {
		t.Error(err)
	}
}

// TestVectorsPython computes every digest with another implementation.
func TestVectorsPython(t *testing.T) {
	const script = `
import base64, hashlib, hmac, json, sys
count = 0
def is_token(v):
    return v["signed"].startswith("eyJ") and v["signed"].count(".") == 1
for name in sys.argv[1:]:
    for v in json.load(open(name, encoding="utf-8")):
        if v["digest"] is None:
            continue
        secret = v["secret"][v.get("by", 0)]
        key = bytes.fromhex(secret) if v.get("key_encoding") == "hex" else secret.encode()
        sum = hmac.new(key, v["signed"].encode(), hashlib.sha256).digest()
        text = {
            "hex": sum.hex(),
            "base64": base64.b64encode(sum).decode(),
            "base64url": base64.urlsafe_b64encode(sum).decode().rstrip("="),
        }[v.get("encoding", "base64url" if is_token(v) else "hex")]
        if text != v["digest"]:
            sys.exit(name + ": " + v["name"] + ": " + text)
        count += 1
print(count)
`
	files, err := filepath.Glob(filepath.Join(vectorsFolder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("python3", append([]string{"-c", script}, files...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	digests := 0
	for _, name := range vectorFiles(t) {
		for _, v := range loadVectors(t, name) {
			if v.Digest != nil {
				digests++
			}
		}
	}
	if got := strings.TrimSpace(string(out)); got != jsonNumber(digests) || digests < 100 {
		t.Errorf("python3 compared %s digests of %d", got, digests)
	}
}

func jsonNumber(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}
