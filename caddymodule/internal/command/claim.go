package command

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// claimFormat is what the flags say about a claim's fields and what is signed.
type claimFormat struct {
	dialect, message, encoding, at string
	maxAge                         time.Duration
	token                          tokenRules
}

func (f *claimFormat) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dialect, "dialect", verifier.DefaultDialect, oneDialect())
	completeDialect(cmd)
	cmd.Flags().StringVar(&f.message, "message", "", "Template of the signed message (default: the dialect's)")
	cmd.Flags().StringVar(&f.encoding, "encoding", "hex", "Encoding of the signature: hex, base64 or base64url")
	f.token.flags(cmd)
}

// oneDialect is what help says of a flag that takes a dialect, in lines.
func oneDialect() string {
	text, width := "One of", 0
	for name := range strings.FieldsSeq(adminapi.Dialects()) {
		separator := " "
		if width += 1 + len(name); width > 70 {
			separator, width = "\n", len(name)
		}
		text += separator + name
	}
	return text
}

// checker reads and checks claims of one dialect, as the flags change it.
type checker struct {
	dialect  verifier.Dialect
	verifier *verifier.Verifier
}

func (f *claimFormat) checker(dialect string) (*checker, error) {
	d, err := verifier.LookupDialect(dialect)
	if err != nil {
		return nil, err
	}
	if dialect == f.dialect {
		d.Message = cmp.Or(f.message, d.Message)
		if err := f.token.apply(&d); err != nil {
			return nil, err
		}
	}
	d.Places = append(d.Places, tokenPlaces(&d)...)
	d.At, d.Encoding, d.MaxAge = f.at, f.encoding, cmp.Or(f.maxAge, d.MaxAge)
	v, err := d.Reader()
	return &checker{d, v}, err
}

// pointers returns the places of a field in a JSON body.
func (c *checker) pointers(f verifier.Field) []string {
	var pointers []string
	for _, p := range c.dialect.Places {
		if p.Field == f && (p.Location == "" || p.Location == "body") {
			pointers = append(pointers, c.dialect.At+p.Name)
		}
	}
	return pointers
}

// tokenPlaces are names for a token that travels outside of the body: that of its field, and
// those of the query.
func tokenPlaces(d *verifier.Dialect) (places []verifier.Place) {
	inBody := false
	for _, p := range d.Places {
		if p.Field == verifier.TokenField && p.Location == "query" {
			places = append(places, verifier.Place{Field: p.Field, Name: "/" + p.Name})
		}
		inBody = inBody || p.Field == verifier.TokenField && (p.Location == "" || p.Location == "body")
	}
	if d.TakesToken() && !inBody {
		places = append([]verifier.Place{{Field: verifier.TokenField, Name: "/token"}}, places...)
	}
	return places
}

// complete fills in what is signed besides the user id, and refuses what cannot be
// sent.
func (c *checker) complete(claim map[verifier.Field]string) error {
	if claim[verifier.UserID] == "" {
		return errors.New("no user id: pass one with --user")
	}
	for f := verifier.UserID; f <= verifier.Attributes; f++ {
		if !utf8.ValidString(claim[f]) {
			return fmt.Errorf("the %s is not valid UTF-8", f)
		}
	}
	if claim[verifier.Email] == "" && c.verifier.Signs(verifier.Email) {
		return fmt.Errorf("the message %s includes the e-mail address: pass it with --email", c.dialect.Message)
	}
	for _, f := range []verifier.Field{verifier.Timestamp, verifier.Nonce} {
		signed := c.verifier.Signs(f)
		switch {
		case signed && len(c.pointers(f)) == 0:
			return fmt.Errorf("the message %s includes the %s, for which the dialect %s has no field", c.dialect.Message, f, c.dialect.Name)
		case !signed && claim[f] != "":
			return fmt.Errorf("--%s: the message %s does not include it", f, c.dialect.Message)
		case signed && claim[f] == "" && f == verifier.Timestamp:
			claim[f] = strconv.FormatInt(time.Now().Unix(), 10)
		case signed && claim[f] == "":
			claim[f] = newNonce()
		}
	}
	return nil
}

// newNonce returns 32 random characters, the length that gateways expect by default.
func newNonce() string {
	var random [24]byte
	_, _ = rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// write returns the claim as the JSON object that a browser sends, with each field
// at the dialect's first place for it, and a newline. Members of an object within it
// come last.
func (c *checker) write(claim map[verifier.Field]string) []byte {
	quoted := func(text string) string {
		line, _ := jsontext.AppendQuote(nil, text) // complete has refused what is not UTF-8
		return string(line)
	}
	members := map[string][]string{} // by object
	for f := verifier.UserID; f <= verifier.Attributes; f++ {
		pointers := c.pointers(f)
		if len(pointers) == 0 || claim[f] == "" {
			continue
		}
		object, name := path.Split(pointers[0])
		members[object] = append(members[object], quoted(name)+":"+quoted(claim[f]))
	}
	all := members["/"]
	delete(members, "/")
	for _, object := range slices.Sorted(maps.Keys(members)) {
		all = append(all, quoted(strings.Trim(object, "/"))+":{"+strings.Join(members[object], ",")+"}")
	}
	return []byte("{" + strings.Join(all, ",") + "}\n")
}

// verify reads a text and checks the claim in it.
func (c *checker) verify(text document, reading *verifier.Reading, keys []*verifier.Key) (verifier.Identity, error) {
	if text.isToken() {
		token, _ := c.bare(text)
		reading.Text(verifier.Place{Field: verifier.TokenField}, token)
	} else if text.isForm() {
		c.verifier.Form(bytes.TrimSpace(text), reading)
	} else if !c.verifier.JSON(text, reading) && reading.Err() == nil {
		// A gateway would forward it as anonymous, which explains nothing.
		reading.Fail(&verifier.Error{Err: verifier.ErrMalformed, Part: "body", Detail: "is not valid JSON"})
	}
	return c.verifier.Verify(reading, keys...)
}
