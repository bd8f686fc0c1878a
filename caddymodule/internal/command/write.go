package command

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// sent is a field of a claim at its place.
type sent struct {
	verifier.Place
	text string
}

// subject returns the place of the user id. An e-mail address without one is signed in its
// place, where the dialect takes it.
func (c *checker) subject(claim map[verifier.Field]string) (verifier.Place, error) {
	p := c.first(verifier.UserID)
	user, email := claim[verifier.UserID], claim[verifier.Email]
	for _, other := range c.places(verifier.UserID) {
		switch signs := strings.Contains(strings.ToLower(path.Base(c.pointer(&other))), "email"); {
		case signs && user == "" && email != "":
			claim[verifier.UserID] = email
			return other, nil
		case signs && user == "":
			return p, errors.New("no user id: pass one with --user, or an e-mail address with --email")
		case signs && other == p && email != "" && email != user:
			return p, fmt.Errorf("--user and --email differ, and the dialect %s signs the e-mail address: pass one of the two", c.dialect.Name)
		}
	}
	if user == "" {
		return p, errNoUser
	}
	return p, nil
}

// place puts a claim's fields at their places.
func (c *checker) place(claim map[verifier.Field]string, id verifier.Place) (fields []sent) {
	for f := verifier.UserID; f <= verifier.Attributes; f++ {
		if claim[f] == "" || !c.has(f) {
			continue
		}
		p := c.first(f)
		if f == verifier.UserID {
			p = id
		} else if c.pointer(&p) == c.pointer(&id) {
			continue // an e-mail address, which is there already
		}
		fields = append(fields, sent{p, claim[f]})
	}
	return fields
}

var errNoUser = errors.New("no user id: pass one with --user")

// member is a member of a JSON object: a text, or an object itself.
type member struct {
	name, text string
	inner      []member
}

// put adds a text at a path.
func put(members []member, path []string, text string) []member {
	i := slices.IndexFunc(members, func(m member) bool { return m.name == path[0] })
	if i < 0 {
		i = len(members)
		members = append(members, member{name: path[0]})
	}
	if m := &members[i]; len(path) == 1 {
		m.text = text
	} else {
		m.inner = put(m.inner, path[1:], text)
	}
	return members
}

// appendObject appends the object to dst. What is in it is valid UTF-8.
func appendObject(dst []byte, members []member) []byte {
	for i, m := range members {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		dst, _ = jsontext.AppendQuote(append(dst, separator), m.name)
		if dst = append(dst, ':'); m.inner != nil {
			dst = appendObject(dst, m.inner)
		} else {
			dst, _ = jsontext.AppendQuote(dst, m.text)
		}
	}
	return append(dst, '}')
}

// object returns the claim as a JSON object and a newline.
func (c *checker) object(fields []sent) []byte {
	var members []member
	for _, f := range fields {
		members = put(members, slices.Collect(jsontext.Pointer(c.pointer(&f.Place)).Tokens()), f.text)
	}
	return append(appendObject(nil, members), '\n')
}

// headers returns the claim as lines of headers.
func (c *checker) headers(fields []sent) (lines []byte, err error) {
	var headers []member
	for _, f := range fields {
		if f.Location != "header" {
			return nil, fmt.Errorf("--headers: the %s of the dialect %s is %s, and not in a header: leave out --headers", f.Field, c.dialect.Name, c.where(f.Field))
		}
		within := slices.Collect(jsontext.Pointer(f.Within).Tokens())
		headers = put(headers, append([]string{f.Name}, within...), strings.TrimPrefix(f.Scheme+" ", " ")+f.text)
	}
	for _, h := range headers {
		value := []byte(h.text)
		if h.inner != nil {
			value = appendObject(nil, h.inner)
		}
		lines = append(lines, h.name+": "+string(value)+"\n"...)
	}
	return lines, nil
}
