package verifier

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/chatidentity/caddy-chat-identity/internal/choice"
)

// defaultLimits are ReplyBubble's where it documents them (512, 200, 200, 50),
// 254 for an e-mail address (RFC 5321 section 4.5.3.1.3 less its brackets), and
// for the attributes what fits into a header of 4 KiB twice over.
var defaultLimits = Limits{
	UserID: 512, Email: 254, Name: 200, Company: 200, Phone: 50,
	Attributes: 64, AttributeBytes: 8 << 10,
}

// What the dialects below have where their products document nothing else.
const (
	defaultMaxAge      = 5 * time.Minute
	defaultSkew        = 30 * time.Second
	defaultNonceLength = 32 // in characters
)

// DefaultDialect is the dialect where none is named.
const DefaultDialect = "bookbag"

// rowFiles are the built-in dialects, a file each: README.md there explains the members.
//
//go:embed dialects/*.json
var rowFiles embed.FS

// Dialects are the products that are spoken, each after its documentation or source:
// [DefaultDialect] first, as the rows are ordered.
var Dialects = mustDialects()

// row is such a file.
type row struct {
	Product string `json:"product"`
	// Rows without an order follow those that have one, by name.
	Order int `json:"order"`
	// Traffic, KnownFrom and Itself are for the documents: whether a request was seen or read
	// ("wire") or only the page's call ("page"), the evidence, and how the product refuses.
	Traffic   string `json:"traffic"`
	KnownFrom string `json:"known_from"`
	Itself    string `json:"product_answers"`

	// Claim are lines of the option claim of a Caddyfile, which may place the widget, too.
	Claim       []string `json:"claim"`
	Query       bool     `json:"query"`
	Scheme      *string  `json:"scheme"` // before a token in Authorization; default: Bearer
	Message     string   `json:"message"`
	Encoding    string   `json:"encoding"`
	KeyEncoding string   `json:"key_encoding"`
	NonceLength int      `json:"nonce_length"`
	MaxAge      duration `json:"max_age"`
	Limits      Limits   `json:"limits"`
	Token       struct {
		Token
		MaxLifetime duration `json:"max_lifetime"`
	} `json:"token"`
	Answers int `json:"answers"`
}

// duration is a duration such as "5m".
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

func mustDialects() []Dialect {
	files, err := rowFiles.ReadDir("dialects")
	if err != nil {
		panic(err)
	}
	dialects, order := make([]Dialect, len(files)), make(map[string]int)
	for i, file := range files {
		name := strings.TrimSuffix(file.Name(), ".json")
		text, err := rowFiles.ReadFile("dialects/" + file.Name())
		if err == nil {
			dialects[i], order[name], err = readRow(name, text)
		}
		if err != nil {
			panic(fmt.Errorf("verifier/dialects/%s: %w", file.Name(), err))
		}
	}
	slices.SortStableFunc(dialects, func(a, b Dialect) int { return cmp.Compare(order[a.Name], order[b.Name]) })
	return dialects
}

// readRow reads a row, and returns its order.
func readRow(name string, text []byte) (Dialect, int, error) {
	r := row{Order: math.MaxInt, Limits: defaultLimits, MaxAge: duration(defaultMaxAge)}
	if err := json.Unmarshal(text, &r, json.RejectUnknownMembers(true)); err != nil {
		return Dialect{}, 0, err
	}
	d := Dialect{
		Name: name, Product: r.Product, Query: r.Query,
		Message: r.Message, Encoding: r.Encoding, KeyEncoding: r.KeyEncoding, NonceLength: r.NonceLength,
		MaxAge: time.Duration(r.MaxAge), Skew: defaultSkew, Limits: r.Limits, Token: r.Token.Token, Answers: r.Answers,
	}
	d.Token.MaxLifetime = time.Duration(r.Token.MaxLifetime)
	switch {
	case r.Product == "":
		return d, 0, errors.New("product: which one is it?")
	case r.Traffic != "wire" && r.Traffic != "page":
		return d, 0, fmt.Errorf("traffic: %w", choice.Unknown("evidence", r.Traffic, []string{"wire", "page"}))
	case r.KnownFrom == "":
		return d, 0, errors.New("known_from: where is it described?")
	case r.Answers != 0 && (r.Answers < 400 || r.Answers > 499):
		return d, 0, fmt.Errorf("answers: %d is not a status from 400 to 499", r.Answers)
	}
	if _, err := parseEncoding(cmp.Or(r.Encoding, inHex.String())); err != nil {
		return d, 0, err
	}
	if err := checkKeyEncoding(r.KeyEncoding); err != nil {
		return d, 0, err
	}
	if _, err := parseMessage(r.Message, cmp.Or(r.NonceLength, defaultNonceLength)); r.Message != "" && err != nil {
		return d, 0, err
	}
	for i, line := range r.Claim {
		places, err := r.places(line)
		if err != nil {
			return d, 0, fmt.Errorf("claim[%d]: %w", i, err)
		}
		d.Places = append(d.Places, places...)
	}
	return d, r.Order, nil
}

// places reads a line of claim.
func (r *row) places(line string) ([]Place, error) {
	places, err := ParseClaim(strings.Fields(line))
	for i := range places {
		if p := &places[i]; p.Field == TokenField && p.Location == atHeader && strings.EqualFold(p.Name, "Authorization") {
			if p.Scheme = "Bearer"; r.Scheme != nil { // RFC 6750 section 2.1
				p.Scheme = *r.Scheme
			}
		}
	}
	return places, err
}

// LookupDialect returns the dialect of that name, which is the caller's to change.
func LookupDialect(name string) (Dialect, error) {
	var names []string
	for _, d := range Dialects {
		if d.Name == name {
			return d.clone(), nil
		}
		names = append(names, d.Name)
	}
	return Dialect{}, choice.Unknown("dialect", name, names)
}
