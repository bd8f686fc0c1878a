package command

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// verify reads a text and checks the claim in it.
func (c *checker) verify(text document, reading *verifier.Reading, keys []*verifier.Key) (verifier.Identity, error) {
	query, head, body := text.split()
	c.verifier.Query([]byte(query), reading)
	c.verifier.JSON(c.readHeaders(head, alone(query, body)), reading)
	switch {
	case body.isToken():
		token, _ := c.bare(body)
		reading.Text(verifier.Place{Field: verifier.TokenField}, token)
	case body.isForm():
		c.verifier.Form(bytes.TrimSpace(body), reading)
	case len(bytes.TrimSpace(body)) == 0 && len(text) > len(body): // a request without one
	case !c.verifier.JSON(c.normal(body), reading) && reading.Err() == nil:
		// A gateway would forward it as anonymous, which explains nothing.
		reading.Fail(&verifier.Error{Err: verifier.ErrMalformed, Part: "body", Detail: "is not valid JSON"})
	}
	return c.verifier.Verify(reading, keys...)
}

// aHeader matches a line of a header, also one of HTTP/2's own such as :path.
var aHeader = regexp.MustCompile(`^[ \t]*(:?[\w!#$%&'*+.^|~-]+):[ \t]*(.*?)[ \t\r]*$`)

// aRequestLine matches the first line of a request as HTTP/1.1 has it.
var aRequestLine = regexp.MustCompile(`^[A-Z]+ (\S+) HTTP/[\d.]+\s*$`)

// header is a line of a header.
type header struct{ name, value string }

// aURL matches a URL up to its query, or the question mark before one.
var aURL = regexp.MustCompile(`^\s*(?:(?i:(?:https?|wss?)://)[^\s?]*|/[^\s?]*)?\?`)

// split takes a request apart, as browsers and proxies show it: the query, headers and, behind
// an empty line, the body. A URL has a query alone, and any other text is a body.
func (d document) split() (query string, head []header, body document) {
	if match := aURL.Find(d); match != nil {
		text, _, _ := bytes.Cut(bytes.TrimSpace(d[len(match):]), []byte("#"))
		return string(text), nil, nil
	}
	rest := bytes.TrimLeft(d, "\r\n")
	for first := true; ; first = false {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		target := ""
		if request := aRequestLine.FindSubmatch(line); request != nil && first {
			target = string(request[1])
		} else if match := aHeader.FindSubmatch(line); match != nil && !(first && aToken.Match(d) && bytes.Contains(line, []byte(".")) && len(bytes.TrimSpace(after)) == 0) {
			head = append(head, header{string(match[1]), string(match[2])})
			if head[len(head)-1].name == ":path" {
				target = string(match[2])
			}
		} else {
			break
		}
		if rest = after; target != "" {
			_, query, _ = strings.Cut(target, "?")
		}
	}
	if len(rest) == len(bytes.TrimLeft(d, "\r\n")) { // there is no line of a request
		return "", nil, d
	}
	return query, head, document(rest)
}

// alone reports whether lines of headers are all of a text.
func alone(query string, body document) bool { return query == "" && len(bytes.TrimSpace(body)) == 0 }

// readHeaders returns as a JSON object what the dialect reads in headers, and if lines of names
// and values are all there is, in fields: browsers show those of a form or a query so.
func (c *checker) readHeaders(head []header, alone bool) document {
	object := []byte{'{'}
	for _, h := range head {
		for _, p := range c.dialect.Places {
			name := strings.TrimPrefix(c.member(&p), "/")
			if p.Location == "header" && strings.EqualFold(p.Name, h.name) {
				name = p.Name
			} else if !alone || name != h.name {
				continue
			}
			if len(object) > 1 {
				object = append(object, ',')
			}
			object, _ = jsontext.AppendQuote(object, name)
			object, _ = jsontext.AppendQuote(append(object, ':'), strings.ToValidUTF8(h.value, "\ufffd"))
			break
		}
	}
	return c.normal(append(object, '}'))
}

// normal returns a JSON object as [checker.object] writes it: with headers spelled as the
// dialect does, and objects in the place of JSON texts. Anything else is returned as it is.
func (c *checker) normal(text document) document {
	decoder := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))
	if token, err := decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return text
	}
	object, changed := []byte{'{'}, false
	for {
		token, err := decoder.ReadToken()
		if err != nil || token.Kind() == '}' && !changed {
			return text
		}
		if token.Kind() == '}' {
			return append(object, text[decoder.InputOffset()-1:]...)
		}
		before := token.String()
		sent, err := decoder.ReadValue()
		if err != nil {
			return text
		}
		name, value := c.normalMember(before, sent)
		changed = changed || name != before || !bytes.Equal(value, sent)
		if len(object) > 1 {
			object = append(object, ',')
		}
		object, _ = jsontext.AppendQuote(object, name)
		object = append(append(object, ':'), value...)
	}
}

func (c *checker) normalMember(name string, value jsontext.Value) (string, jsontext.Value) {
	for _, p := range c.dialect.Places {
		if p.Location == "header" && strings.EqualFold(p.Name, name) {
			name = strings.TrimPrefix(c.member(&p), "/")
		} else if c.member(&p) != "/"+name {
			continue
		}
		text, err := jsontext.AppendUnquote(nil, value)
		switch {
		case err != nil: // no text
		case p.Scheme != "" && len(text) > len(p.Scheme) && strings.EqualFold(string(text[:len(p.Scheme)+1]), p.Scheme+" "):
			value, _ = jsontext.AppendQuote(nil, text[len(p.Scheme)+1:])
		case p.Within != "":
			if inner := objectIn(text, p.Base64); inner != nil {
				value = inner
			}
		}
		break
	}
	return name, value
}

// objectIn returns the JSON object that a text is, nil if it is none.
func objectIn(text []byte, inBase64 bool) jsontext.Value {
	if inBase64 {
		if plain, err := url.PathUnescape(string(text)); err == nil {
			text = []byte(plain)
		}
		text = []byte(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(string(text)))
		if decoded, err := base64.RawURLEncoding.AppendDecode(nil, text); err == nil {
			text = decoded
		}
	}
	value := jsontext.Value(bytes.TrimSpace(text))
	if !value.IsValid(jsontext.AllowDuplicateNames(true)) || value.Kind() != '{' {
		return nil
	}
	return value
}
