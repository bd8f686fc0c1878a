package caddymodule

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestDocsDialects: the tables of docs/dialects.md say what the rows in verifier/dialects do.
// With UPDATE=1 in the environment they are written anew.
func TestDocsDialects(t *testing.T) {
	const page = "../docs/dialects.md"
	var signatures, tokens []string
	for _, d := range verifier.Dialects {
		row := newDocsRow(t, &d)
		if d.Message != "" {
			signatures = append(signatures, row.line(row.places(verifier.UserID), row.places(verifier.Signature), row.also(), row.signed()))
		}
		if d.TakesToken() {
			tokens = append(tokens, row.line(row.places(verifier.TokenField), row.tokenUser(), row.alsoSigned(), row.besides(), row.expiry()))
		}
	}
	text := string(read(t, page))
	want := withTable(withTable(text, "# Dialects", signatures), "## Products that send a token", tokens)
	if os.Getenv("UPDATE") != "" {
		must(t, os.WriteFile(page, []byte(want), 0o600))
		return
	}
	if text != want {
		t.Errorf("the tables are not those of the rows: run UPDATE=1 go test -run TestDocsDialects ./caddymodule, and read the difference:\n%s", strings.Join(append(signatures, tokens...), "\n"))
	}
}

// withTable returns the page with other rows in the first table below a heading.
func withTable(page, heading string, rows []string) string {
	before, rest, _ := strings.Cut(page, "\n|---")
	if !strings.HasPrefix(page, heading+"\n") {
		start := strings.Index(page, "\n"+heading+"\n")
		before, rest, _ = strings.Cut(page[start:], "\n|---")
		before = page[:start] + before
	}
	rule, rest, _ := strings.Cut(rest, "\n")
	for strings.HasPrefix(rest, "|") {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return before + "\n|---" + rule + "\n" + strings.Join(rows, "\n") + "\n" + rest
}

// docsRow is a row, with what it says for people.
type docsRow struct {
	*verifier.Dialect `json:"-"`
	Traffic           string `json:"traffic"`
	Known             string `json:"known_from"`
	Itself            string `json:"product_answers"`
}

func newDocsRow(t *testing.T, d *verifier.Dialect) *docsRow {
	row := new(docsRow)
	must(t, json.Unmarshal(read(t, "../verifier/dialects/"+d.Name+".json"), row))
	row.Dialect = d
	return row
}

func (r *docsRow) line(own ...string) string {
	name, known, refused := "`"+r.Name+"`", r.Known, "the general table"
	if r.Name == verifier.DefaultDialect {
		name += " (default)"
	}
	if r.Traffic == "page" {
		known += ", the page's call alone"
	}
	if r.Answers != 0 {
		refused = strconv.Itoa(r.Answers)
	}
	cells := slices.Concat([]string{name}, own, []string{r.places(verifier.Widget), refused, r.Itself, known})
	line := "|"
	for _, cell := range cells {
		line += strings.TrimRight(" "+cell, " ") + " |"
	}
	return line
}

// places tells where fields travel: a name alone is one in body and query.
func (r *docsRow) places(fields ...verifier.Field) string {
	type cell struct {
		in, names   string
		alternative bool
	}
	var cells []cell
	for _, p := range r.Places {
		if !slices.Contains(fields, p.Field) {
			continue
		}
		in, name, alternative := "", p.Key(), p.Rank > 0
		switch {
		case p.Location != "body":
			in = p.Location + " "
		case !r.Query:
			in = "body "
		}
		switch {
		case p.Scheme != "":
			in, name = in+"`"+name+"` after "+p.Scheme, ""
		case p.Field == verifier.TokenField && p.Name == "Authorization":
			in, name = in+"`"+name+"` without a scheme", ""
		}
		if i := strings.LastIndexByte(p.Name, '/'); p.Within != "" || i > 0 {
			parent, member := name, p.Within
			if member == "" {
				parent, member = p.Name[1:i], p.Name[i:]
			}
			base64 := ""
			if p.Base64 {
				base64 = "the base64 of "
			}
			in, name = " in "+base64+in+"`"+parent+"`", member
		}
		if name != "" {
			name = "`" + name + "`"
		}
		switch last := len(cells) - 1; {
		case last < 0 || cells[last].in != in || name == "":
			cells = append(cells, cell{in, name, alternative})
		case alternative:
			cells[last].names += ", else " + name
		default:
			cells[last].names += ", " + name
		}
	}
	text := ""
	for i, c := range cells {
		switch {
		case c.alternative:
			text += ", else "
		case i > 0:
			text += "; "
		}
		if strings.HasPrefix(c.in, " in ") {
			text += c.names + c.in
		} else {
			text += c.in + c.names
		}
	}
	return text
}

// also lists the other fields that are read, which prove nothing by themselves.
func (r *docsRow) also() string {
	return r.places(verifier.Timestamp, verifier.Nonce, verifier.Email, verifier.Name, verifier.Company, verifier.Phone, verifier.Attributes)
}

func (r *docsRow) signed() string {
	text := strings.NewReplacer("}{", " + ", "{", "", "}", "", "_", " ").Replace(r.Message)
	if r.Encoding != "" {
		text += ", in " + r.Encoding
	}
	if r.KeyEncoding != "" {
		text += "; the key in " + r.KeyEncoding
	}
	return text
}

func (r *docsRow) tokenUser() string {
	pointers := r.Token.UserID
	if len(pointers) == 0 {
		pointers = []string{"/sub"}
	}
	text := "`" + strings.Join(pointers, "`, else `") + "`"
	if r.Token.TextUserID {
		text += ", a string"
	}
	return text
}

func (r *docsRow) alsoSigned() string {
	var pointers []string
	for _, pointer := range []string{r.Token.Email, r.Token.Name, r.Token.Phone, r.Token.Company, r.Token.Attributes} {
		if pointer != "" && pointer != "rest" {
			pointers = append(pointers, "`"+pointer+"`")
		}
	}
	text := strings.Join(pointers, ", ")
	if r.Token.Attributes == "rest" {
		if text != "" {
			text += "; "
		}
		text += "the rest are attributes"
	}
	return text
}

func (r *docsRow) besides() string {
	var demands []string
	for _, pointer := range slices.Sorted(maps.Keys(r.Token.Require)) {
		demands = append(demands, fmt.Sprintf("`%s` is %s", pointer, strings.Join(r.Token.Require[pointer], " or ")))
	}
	for _, pointer := range r.Token.Forbid {
		demands = append(demands, "no `"+pointer+"`")
	}
	if len(r.Token.Algorithms) > 0 {
		demands = append(demands, "signed with "+strings.Join(r.Token.Algorithms, " or "))
	}
	return strings.Join(demands, "; ")
}

func (r *docsRow) expiry() string {
	if r.Token.NoExpiry {
		return "optional"
	}
	return "required"
}
