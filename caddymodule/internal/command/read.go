package command

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// verify reads a text and checks the claim in it.
func (c *checker) verify(text document, reading *verifier.Reading, keys []*verifier.Key) (verifier.Identity, error) {
	query, head, body := text.split()
	c.verifier.Query([]byte(query), reading)
	shown := make(url.Values) // browsers show a form's or a query's fields as lines, too
	for i, h := range head {
		shown.Add(h.name, h.value)
		more := slices.ContainsFunc(head[:i], func(before header) bool { return strings.EqualFold(before.name, h.name) })
		c.carried(h.name, h.value, false, more, reading)
	}
	fields := body.fields()
	for name, values := range fields {
		c.carried(name, values[0], !body.isForm(), false, reading)
	}
	switch {
	case body.isToken():
		token, _ := c.bare(body)
		reading.Text(verifier.Place{Field: verifier.TokenField}, token)
	case body.isForm():
		c.verifier.Form(bytes.TrimSpace(body), reading)
	case len(bytes.TrimSpace(body)) == 0 && query == "" && len(head) > 0:
		c.verifier.Form([]byte(shown.Encode()), reading)
	case len(bytes.TrimSpace(body)) == 0 && len(text) > len(body): // a request without one
	case c.textInBody(body) != "":
		c.verifier.Form([]byte(fields.Encode()), reading) // where it is read
	case (!c.verifier.JSON(body, reading) || !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true))) && reading.Err() == nil:
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

// carried reads a field that travels in a header or a query: of a header's line, or of a
// member of JSON, which has objects in place of texts, or a field of a form that stands for
// one. It may be one more line of the same name.
func (c *checker) carried(name, value string, inJSON, more bool, to *verifier.Reading) {
	for _, p := range c.dialect.Places {
		switch inHeader := p.Location == "header"; {
		case locationOf(&p) == "body" || c.member(&p) != "/"+name && !(inHeader && strings.EqualFold(p.Name, name)):
			continue
		case !inHeader:
			if p.Base64 && inJSON && strings.HasPrefix(value, "{") {
				value = base64.StdEncoding.EncodeToString([]byte(value))
			}
			c.verifier.Query([]byte(url.Values{p.Name: {value}}.Encode()), to)
		case c.verifier.InText(p):
			c.verifier.Text(p, []byte(value), to)
		default:
			if n := len(p.Scheme); n > 0 && len(value) > n && strings.EqualFold(value[:n+1], p.Scheme+" ") {
				value = value[n+1:]
			}
			to.Text(p, []byte(value))
		}
		if more {
			to.MarkDuplicate(p)
		}
		return // a text is read with all of its fields
	}
}

// fields returns the members of a JSON object, with objects as JSON texts, or the fields of a
// form, none of anything else.
func (d document) fields() url.Values {
	if d.isForm() {
		fields, _ := url.ParseQuery(string(bytes.TrimSpace(d)))
		return fields
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(d, &members, jsontext.AllowDuplicateNames(true)) != nil {
		return nil
	}
	fields := make(url.Values)
	for name, value := range members {
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			text = value
		}
		fields.Set(name, string(text))
	}
	return fields
}

// textInBody returns the name of a JSON text in a JSON body in which the dialect has an
// object, "" if there is none.
func (c *checker) textInBody(body document) string {
	sent := body.names()
	for _, p := range c.dialect.Places {
		key := p.Key()
		if object, there := sent["/"+key]; p.Within != "" && locationOf(&p) == "body" && there && !object && !body.isForm() && strings.HasPrefix(body.fields().Get(key), "{") {
			return key
		}
	}
	return ""
}

// inHeaders returns as a JSON object what the dialect reads in headers, and if lines are all
// there is, in fields.
func (c *checker) inHeaders(head []header, alone bool) document {
	read := make(map[string]string)
	for _, h := range head {
		for _, p := range c.dialect.Places {
			if p.Location == "header" && strings.EqualFold(p.Name, h.name) {
				read[p.Name] = h.value
			} else if alone && c.member(&p) == "/"+h.name {
				read[h.name] = h.value
			}
		}
	}
	text, _ := json.Marshal(read) // texts alone
	return text
}
