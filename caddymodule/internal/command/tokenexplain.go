package command

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// tokenText is what a token says, whether or not it verifies.
type tokenText struct {
	Header json.RawMessage `json:"header,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`

	times [][2]string // their labels, and in words
}

// aToken matches a text that is a token and nothing else, or begins as a header's value does.
var aToken = regexp.MustCompile("^[\\s\"'`]*(?i:([\\w-]+\\s*:\\s*)?((bearer|jwt)\\s+)?)[\"'`]?ey[A-Za-z0-9+/_-]{8,}={0,2}(\\.|\\s*$)")

// isToken reports whether the text is a token, or one word in its place, and no JSON or form
// that has one.
func (d document) isToken() bool { return aToken.Match(d) || oneWord.Match(d) }

var oneWord = regexp.MustCompile(`^\s*[\w%.+/~-]+\s*$`)

// aMember matches a member of JSON whose text is a token.
var aMember = regexp.MustCompile(`"([\w-]+)"\s*:\s*"ey[\w-]+\.[\w-]+\.[\w-]+"`)

// otherName says what the name of a token is that is not where it is looked for, "" if
// there is none.
func (c *checker) otherName(d document) string {
	member := aMember.FindSubmatch(d)
	if member == nil || !c.dialect.TakesToken() {
		return ""
	}
	return "There is a token whose name is " + string(member[1]) + ": send it " + c.where(verifier.TokenField) +
		", name the dialect that sends it so, or write its place in the option claim token."
}

// token returns the token without the newline at a file's end.
func (d document) token() []byte { return bytes.TrimRight(d, "\r\n") }

// bare returns a token alone, without the name and scheme that the dialect has before it, and those.
func (c *checker) bare(text document) (token []byte, before string) {
	token = text.token()
	for _, p := range c.dialect.Places {
		if p.Field != verifier.TokenField {
			continue
		}
		pattern := `^(?i:\s*` + regexp.QuoteMeta(p.Key()) + `\s*:\s*)`
		if p.Scheme != "" {
			pattern += `?(?i:` + p.Scheme + `)[ \t]+`
		}
		if match := regexp.MustCompile(pattern).Find(token); match != nil {
			before = strings.Join(strings.Fields(string(match)), " ")
			if p.Location == "header" {
				before += " as in a header"
			}
			return token[len(match):], before
		}
	}
	return token, ""
}

// readToken returns what a token says, as far as it can be read.
func readToken(text []byte, now time.Time) *tokenText {
	var t tokenText
	parts := strings.Split(string(text), ".")
	for i, into := range []*json.RawMessage{&t.Header, &t.Claims} {
		if i < len(parts) {
			*into = readSegment(parts[i])
		}
	}
	var claims map[string]any
	decoder := json.NewDecoder(bytes.NewReader(t.Claims))
	decoder.UseNumber()
	_ = decoder.Decode(&claims) // none, if it is no object
	for _, member := range [...]struct{ name, label string }{{"iat", "issued"}, {"nbf", "not before"}, {"exp", "expires"}} {
		number, ok := claims[member.name].(json.Number)
		if !ok {
			continue
		}
		// RFC 3339 has years of four digits.
		if seconds, err := number.Float64(); err == nil && seconds >= 0 && seconds < 253402300800 {
			t.times = append(t.times, [2]string{member.label, timeInWords(time.Unix(int64(seconds), 0), now)})
		}
	}
	return &t
}

// readSegment decodes a part of a token, in whatever base64, if it is JSON.
func readSegment(text string) json.RawMessage {
	text = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.Trim(text, " \t\r\n\"'`"))
	if i := strings.LastIndexByte(text, ' '); i >= 0 { // behind Bearer
		text = text[i+1:]
	}
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || !json.Valid(decoded) {
		return nil
	}
	return decoded
}

// printable writes JSON on one line, with escapes for what a terminal would act on.
func printable(text json.RawMessage) string {
	var line bytes.Buffer
	_ = json.Compact(&line, text) // which was read as JSON, or is not there
	return string(escaped(line.String()))
}
