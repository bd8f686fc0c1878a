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
	Dialect
	// Rows without an order follow those that have one, by name.
	Order int `json:"order"`
	// Traffic, KnownFrom and Itself are for the documents: whether a request was seen or read
	// ("wire") or only the page's call ("page"), the evidence, and how the product refuses.
	Traffic   string `json:"traffic"`
	KnownFrom string `json:"known_from"`
	Itself    string `json:"product_answers"`
	// Claim are lines of the option claim of a Caddyfile, which may place the widget, too.
	Claim  []string `json:"claim"`
	Scheme string   `json:"scheme"` // before a token in Authorization
}

func mustDialects() (dialects []Dialect) {
	files, err := rowFiles.ReadDir("dialects")
	if err != nil {
		panic(err)
	}
	var rows []*row
	for _, file := range files {
		text, err := rowFiles.ReadFile("dialects/" + file.Name())
		if err == nil {
			var r *row
			r, err = readRow(strings.TrimSuffix(file.Name(), ".json"), text)
			rows = append(rows, r)
		}
		if err != nil {
			panic(fmt.Errorf("verifier/dialects/%s: %w", file.Name(), err))
		}
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return cmp.Compare(a.Order, b.Order) })
	for _, r := range rows {
		dialects = append(dialects, r.Dialect)
	}
	return dialects
}

// parseDuration reads a duration such as "5m".
func parseDuration(text []byte, d *time.Duration) (err error) {
	*d, err = time.ParseDuration(strings.Trim(string(text), `"`))
	return err
}

func readRow(name string, text []byte) (*row, error) {
	r := &row{Dialect: Dialect{Name: name, MaxAge: defaultMaxAge, Skew: defaultSkew, Limits: defaultLimits}, Order: math.MaxInt, Scheme: "Bearer"}
	if err := json.Unmarshal(text, r, json.RejectUnknownMembers(true), json.WithUnmarshalers(json.UnmarshalFunc(parseDuration))); err != nil {
		return nil, err
	}
	switch {
	case r.Product == "":
		return nil, errors.New("product: which one is it?")
	case r.Traffic != "wire" && r.Traffic != "page":
		return nil, fmt.Errorf("traffic: %w", choice.Unknown("evidence", r.Traffic, []string{"wire", "page"}))
	case r.KnownFrom == "":
		return nil, errors.New("known_from: where is it described?")
	case r.Answers != 0 && (r.Answers < 400 || r.Answers > 499):
		return nil, fmt.Errorf("answers: %d is not a status from 400 to 499", r.Answers)
	}
	for i, line := range r.Claim {
		places, err := ParseClaim(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("claim[%d]: %w", i, err)
		}
		for _, p := range places {
			if p.TakesScheme() {
				p.Scheme = r.Scheme
			}
			r.Places = append(r.Places, p)
		}
	}
	return r, nil
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
