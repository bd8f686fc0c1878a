package command

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/adminapi"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// claimFormat is what the flags say about a claim's fields and what is signed.
type claimFormat struct {
	dialect, message, encoding, at string
	prefers                        string // see checker
	bodyAlone                      bool   // other places do not count
	maxAge                         time.Duration
	token                          tokenRules
}

func (f *claimFormat) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dialect, "dialect", verifier.DefaultDialect, oneDialect())
	completeDialect(cmd)
	cmd.Flags().StringVar(&f.message, "message", "", "Template of the signed message (default: the dialect's)")
	cmd.Flags().StringVar(&f.encoding, "encoding", "", "Encoding of the signature: hex, base64 or base64url\n(default: the dialect's)")
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
	prefers  string // the location in which sign puts a field that has several
}

// compiled are the checkers of dialects other than the one that is named. A claim is tried in
// each, and at several objects, and to compile one takes longer than to read a claim.
var compiled sync.Map

func (f *claimFormat) checker(dialect string) (*checker, error) {
	if dialect == f.dialect {
		return f.compile(dialect)
	}
	key := struct {
		dialect, encoding, at, prefers string
		bodyAlone                      bool
		maxAge                         time.Duration
	}{dialect, f.encoding, f.at, f.prefers, f.bodyAlone, f.maxAge}
	if c, ok := compiled.Load(key); ok {
		return c.(*checker), nil
	}
	c, err := f.compile(dialect)
	if err == nil {
		compiled.Store(key, c)
	}
	return c, err
}

func (f *claimFormat) compile(dialect string) (*checker, error) {
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
	d.At, d.Encoding, d.MaxAge = f.at, cmp.Or(f.encoding, d.Encoding), cmp.Or(f.maxAge, d.MaxAge)
	if f.bodyAlone {
		d.Places = slices.DeleteFunc(slices.Clone(d.Places), func(p verifier.Place) bool { return locationOf(&p) != "body" })
	}
	v, err := d.Reader()
	return &checker{d, v, f.prefers}, err
}

// complete fills in what is signed besides the user id, and refuses what cannot be
// sent.
func (c *checker) complete(claim map[verifier.Field]string) error {
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
		case signed && !c.has(f):
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
