package caddymodule

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/body"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// table returns the rows of the first table below a heading of a page, cells by
// column, without the table's head.
func table(t *testing.T, page, under string) (rows [][]string) {
	t.Helper()
	_, text, ok := strings.Cut("\n"+documents(t)[page], "\n"+under+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", page, under)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if rows == nil && !strings.HasPrefix(line, "#") {
				continue
			}
			break
		}
		line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00")
		var cells []string
		for cell := range strings.SplitSeq(line, "|") {
			cells = append(cells, strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|")))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("%s has no table below %q", page, under)
	}
	return rows[2:]
}

// quoted are the texts of a cell that are set as code.
func quoted(cell string) (texts []string) {
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
		texts = append(texts, m[1])
	}
	return texts
}

// same compares two sets of names.
func same(t *testing.T, what string, documented, known []string) {
	t.Helper()
	for _, names := range [][]string{documented, known} {
		slices.Sort(names)
	}
	documented, known = slices.Compact(documented), slices.Compact(known)
	if !slices.Equal(documented, known) {
		t.Errorf("%s: documented are\n%q, known are\n%q", what, documented, known)
	}
}

// fields are the names in JSON of a configuration's fields.
func fields(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			names = append(names, fields(field.Type)...)
		case name != "":
			names = append(names, name)
		}
	}
	return names
}

// options are those that the parser lists when it meets an unknown one.
func options(t *testing.T, caddyfile string) []string {
	t.Helper()
	_, err := adapt(strings.Replace(caddyfile, "UNKNOWN", "unknown", 1))
	if err == nil {
		t.Fatalf("an unknown option is taken: %s", caddyfile)
	}
	_, list, ok := strings.Cut(err.Error(), ": one of ")
	if !ok {
		t.Fatal(err)
	}
	list, _, _ = strings.Cut(list, ", at ")
	return strings.Split(list, ", ")
}

// optionBlocks are the blocks that have options, by their headings in the reference,
// each with one that is unknown.
var optionBlocks = map[string]string{
	"## The directive":           "x {\nchat_identity {\nUNKNOWN\n}\n}",
	"### The conversation block": "x {\nchat_identity {\nconversation body /c {\nUNKNOWN\n}\n}\n}",
	"## The global option":       "{\nchat_identity {\nUNKNOWN\n}\n}",
	"### The assertion block":    "{\nchat_identity {\nassertion {\nUNKNOWN\n}\n}\n}",
	"### An inline widget":       "{\nchat_identity {\nwidget shop {\nUNKNOWN\n}\n}\n}",
}

// TestDocsOptions: the reference has every option of the Caddyfile and every field
// of the configuration, and nothing else.
func TestDocsOptions(t *testing.T) {
	const page = "docs/configuration.md"
	for under, of := range map[string][]any{
		"## The directive":           {Handler{}},
		"### The conversation block": {Conversation{}},
		"### Places in JSON":         {ClaimPlace{}},
		"## The global option":       {App{}},
		"### The assertion block":    {Assertion{}},
		"### An inline widget":       {InlineWidget{}},
		"### Stores in JSON":         {FileWidgets{}, BoltLedger{}, RedisWidgets{}, RedisLedger{}},
	} {
		var known, inJSON, inCaddyfile []string
		for _, one := range of {
			known = append(known, fields(reflect.TypeOf(one))...)
		}
		for _, row := range table(t, page, under) {
			inJSON = append(inJSON, quoted(row[1])...)
			for _, syntax := range quoted(row[0]) {
				if name := strings.Fields(syntax)[0]; name[0] != '<' {
					inCaddyfile = append(inCaddyfile, name)
				}
			}
		}
		same(t, under+", in JSON", inJSON, known)
		if block, listed := optionBlocks[under]; listed {
			same(t, under+", in the Caddyfile", inCaddyfile, options(t, block))
		}
	}
}

// TestDocsDefaults compares the reference's defaults with the code's.
func TestDocsDefaults(t *testing.T) {
	written := make(map[string]string)
	for _, under := range []string{"## The directive", "### The conversation block", "## The global option", "### The assertion block"} {
		for _, row := range table(t, "docs/configuration.md", under) {
			for _, name := range quoted(row[1]) {
				written[name] = strings.Trim(row[3], "`")
			}
		}
	}
	v, err := verifier.Dialects[0].Verifier()
	must(t, err)
	defaults := v.Dialect()
	for name, want := range map[string]time.Duration{
		"max_age": defaults.MaxAge, "skew": defaults.Skew, "keep": defaultKeep, "stale_if_error": defaultStale,
		"lifetime": defaultLifetime,
	} {
		if got, err := caddy.ParseDuration(written[name]); err != nil || got != want {
			t.Errorf("%s: %s, want %v", name, written[name], want)
		}
	}
	for name, want := range map[string]uint64{
		"max_body": defaultMaxBody, "max_upload": defaultMaxUpload, "max_spool": body.DefaultMaxSpool, "cache": widgets.DefaultCache,
	} {
		if got, err := humanize.ParseBytes(written[name]); err != nil || got != want {
			t.Errorf("%s: %s, want %d", name, written[name], want)
		}
	}
	for name, want := range map[string]string{
		"dialect": verifier.DefaultDialect, "encoding": defaults.Encoding, "nonce_length": strconv.Itoa(defaults.NonceLength),
		"limit": strconv.Itoa(defaultLimit), "refuse": refuseProblem, "unverified": claimStrip, "issuer": defaultIssuer,
	} {
		if written[name] != want {
			t.Errorf("%s: %s, want %s", name, written[name], want)
		}
	}
}
