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

// member is a text in a JSON object: the names on the way to it, and the text.
type member struct {
	path []string
	text string
}

// appendObject appends an object with the members, in their order. They are valid UTF-8.
func appendObject(dst []byte, members []member) []byte {
	for separator := byte('{'); len(members) > 0; separator = ',' {
		name := members[0].path[0]
		var of, others []member // within the same member
		for _, m := range members {
			if m.path[0] == name {
				of = append(of, member{m.path[1:], m.text})
			} else {
				others = append(others, m)
			}
		}
		dst, _ = jsontext.AppendQuote(append(dst, separator), name)
		if dst = append(dst, ':'); len(of[0].path) > 0 {
			dst = appendObject(dst, of)
		} else {
			dst, _ = jsontext.AppendQuote(dst, of[0].text)
		}
		members = others
	}
	return append(dst, '}')
}

// object returns the claim as a JSON object and a newline.
func (c *checker) object(fields []sent) []byte {
	var members []member
	for _, f := range fields {
		members = append(members, member{slices.Collect(jsontext.Pointer(c.pointer(&f.Place)).Tokens()), f.text})
	}
	return append(appendObject(nil, members), '\n')
}

// headers returns the claim as lines of headers.
func (c *checker) headers(fields []sent) (lines []byte, err error) {
	var members []member
	var names []string
	for _, f := range fields {
		if f.Location != "header" {
			return nil, fmt.Errorf("--headers: the %s of the dialect %s is %s, and not in a header: leave out --headers", f.Field, c.dialect.Name, c.where(f.Field))
		}
		within := slices.Collect(jsontext.Pointer(f.Within).Tokens())
		members = append(members, member{append([]string{f.Name}, within...), strings.TrimPrefix(f.Scheme+" ", " ") + f.text})
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	values := document(appendObject(nil, members)).fields()
	for _, name := range names {
		lines = append(lines, name+": "+values.Get(name)+"\n"...)
	}
	return lines, nil
}
