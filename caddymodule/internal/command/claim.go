package command

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// claimFormat is what the flags say of the fields of a claim and what is signed.
type claimFormat struct {
	dialect, message, encoding, at string
	maxAge                         time.Duration
}

func (f *claimFormat) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dialect, "dialect", verifier.DefaultDialect, "One of "+verifier.DialectList())
	cmd.Flags().StringVar(&f.message, "message", "", "Template of the signed message (default: the dialect's)")
	cmd.Flags().StringVar(&f.encoding, "encoding", verifier.Hex.String(), "Encoding of the signature: hex, base64 or base64url")
}

// checker reads and checks claims of one dialect.
type checker struct {
	dialect  verifier.Dialect
	places   []verifier.Place
	at       string
	policy   verifier.Policy
	reader   *verifier.Reader
	verifier *verifier.Verifier
}

func (f *claimFormat) checker(dialect string) (*checker, error) {
	d, ok := verifier.LookupDialect(dialect)
	if !ok {
		return nil, adminapi.CheckDialect(dialect)
	}
	c := &checker{dialect: d, places: d.AllPlaces(), at: f.at}
	message := ""
	if dialect == f.dialect {
		message = f.message
	}
	var err error
	if c.policy, err = d.Policy(message, verifier.DefaultNonceLength); err != nil {
		return nil, err
	}
	c.policy.Owned = verifier.MembersOwned(c.places)
	if f.maxAge != 0 {
		c.policy.MaxAge = f.maxAge
	}
	if c.policy.Encoding, err = verifier.ParseEncoding(f.encoding); err != nil {
		return nil, err
	}
	if c.reader, err = verifier.NewReader(c.places, verifier.ReaderOptions{At: f.at, Message: c.policy.Message}); err != nil {
		return nil, err
	}
	c.verifier, err = verifier.New(c.policy)
	return c, err
}

// pointers returns where in a body the field may be.
func (c *checker) pointers(f verifier.Field) []string {
	var pointers []string
	for _, p := range c.places {
		if p.Field == f && p.Location == verifier.Body {
			pointers = append(pointers, c.at+p.Name)
		}
	}
	return pointers
}

// complete fills in what is signed beside the user id, and refuses what cannot
// be sent.
func (c *checker) complete(claim *verifier.Claim) error {
	if len(claim[verifier.UserID]) == 0 {
		return errors.New("no user id: pass one with --user")
	}
	for f := range claim {
		if !utf8.Valid(claim[f]) {
			return fmt.Errorf("the %s is not valid UTF-8", verifier.Field(f))
		}
	}
	if len(claim[verifier.Email]) == 0 && c.verifier.Signs(verifier.Email) {
		return fmt.Errorf("the message %s includes the e-mail address: pass it with --email", c.policy.Message.String())
	}
	for _, f := range []verifier.Field{verifier.Timestamp, verifier.Nonce} {
		signed := c.verifier.Signs(f)
		switch {
		case signed && len(c.pointers(f)) == 0:
			return fmt.Errorf("the message %s includes the %s, for which the dialect %s has no field", c.policy.Message.String(), f, c.dialect.Name)
		case !signed && len(claim[f]) > 0:
			return fmt.Errorf("--%s: the message %s does not include it", f, c.policy.Message.String())
		case signed && len(claim[f]) == 0 && f == verifier.Timestamp:
			claim[f] = strconv.AppendInt(nil, time.Now().Unix(), 10)
		case signed && len(claim[f]) == 0:
			claim[f] = newNonce()
		}
	}
	return nil
}

// newNonce returns as many random characters as a gateway demands by default,
// in the alphabet of base64url (RFC 4648 section 5).
func newNonce() []byte {
	var random [verifier.DefaultNonceLength]byte
	_, _ = rand.Read(random[:])
	return base64.RawURLEncoding.AppendEncode(nil, random[:])[:verifier.DefaultNonceLength]
}

// write returns the claim as the JSON object that a browser sends, each field
// at the dialect's first place for it, which may be in an object within.
func (c *checker) write(claim *verifier.Claim) ([]byte, error) {
	tokens := []jsontext.Token{jsontext.BeginObject}
	open := "/"
	enter := func(object string) {
		if object != open && open != "/" {
			tokens = append(tokens, jsontext.EndObject)
		}
		if object != open && object != "/" {
			tokens = append(tokens, jsontext.String(strings.Trim(object, "/")), jsontext.BeginObject)
		}
		open = object
	}
	for f := range claim {
		if pointers := c.pointers(verifier.Field(f)); len(pointers) > 0 && len(claim[f]) > 0 {
			object, name := path.Split(pointers[0])
			enter(object)
			tokens = append(tokens, jsontext.String(name), jsontext.String(string(claim[f])))
		}
	}
	enter("/")
	var text bytes.Buffer
	e := jsontext.NewEncoder(&text)
	for _, token := range append(tokens, jsontext.EndObject) {
		if err := e.WriteToken(token); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil // with a newline
}

func printJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// read finds the claim in a JSON text, and checks all that needs no secret.
func (c *checker) read(document []byte, reading *verifier.Reading) error {
	if !c.reader.JSON(document, reading) && reading.Err() == nil {
		// A gateway passes it on as nobody's; who asks what is wrong is told.
		reading.Fail(&verifier.BodyError{Detail: "is not valid JSON"})
	}
	return c.verifier.Shape(reading)
}
