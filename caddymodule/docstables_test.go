package caddymodule

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/judgment"
	"github.com/chatidentity/caddy-chat-identity/verifier"
)

// TestDocsAnswers compares the statuses of the documents with those of the code.
func TestDocsAnswers(t *testing.T) {
	var reasons []string
	for _, row := range table(t, "docs/backends.md", "## Answers") {
		reason := judgment.Reason(strings.Trim(row[1], "`"))
		reasons = append(reasons, string(reason))
		always := !strings.HasPrefix(row[2], "forwarded")
		for column, dialect := range map[int]string{3: "nextcap", 4: "bookbag", 5: "replybubble"} {
			d, err := verifier.LookupDialect(dialect)
			must(t, err)
			known, err := answersFor(d.Answers, nil)
			must(t, err)
			want := known[reason]
			switch row[0] {
			case "a multipart body that brings less than 64 KiB in 30 s":
				want.status = 408
			case "no room for the temporary file of a multipart body", "no key to sign the [assertion](#the-assertion) with":
				want.always = true
			}
			if row[column] != strconv.Itoa(want.status) || always != want.always || always && row[2] != row[column] {
				t.Errorf("%s, %s: %q and %q, want %+v", reason, dialect, row[2], row[column], want)
			}
		}
	}
	var known []string
	for _, reason := range judgment.Reasons {
		known = append(known, string(reason))
	}
	same(t, "reasons", reasons, known)
}

// TestVerifierStatuses compares the statuses that the library's manual tells with those
// that this gateway answers with, and the files that the package comment tells with those
// that there are.
func TestVerifierStatuses(t *testing.T) {
	text, err := os.ReadFile("../verifier/doc.go")
	must(t, err)
	told := regexp.MustCompile(`(?m)^//\t(Err[A-Za-z]+) +(\d+)  `).FindAllStringSubmatch(string(text), -1)
	errs := map[string]error{
		"ErrTooLarge": verifier.ErrTooLarge, "ErrMalformed": verifier.ErrMalformed, "ErrAmbiguous": verifier.ErrAmbiguous,
		"ErrMissing": verifier.ErrMissing, "ErrPartial": verifier.ErrPartial, "ErrInvalid": verifier.ErrInvalid, "ErrExpired": verifier.ErrExpired,
	}
	if len(told) != len(errs) {
		t.Errorf("%q", told)
	}
	for _, row := range told {
		equal(t, row[2], strconv.Itoa(answers[judgment.ReasonOf(errs[row[1]])].status), "%s", row[1])
	}
	text, err = os.ReadFile("doc.go")
	must(t, err)
	files := regexp.MustCompile(`[a-z]+\.go\b`).FindAllString(string(text), -1)
	if len(files) < 15 {
		t.Errorf("%q", files)
	}
	for _, file := range files {
		_, err := os.Stat(file)
		must(t, err)
	}
}

// TestDocsHeaders compares the headers for backends, and the outcomes in them.
func TestDocsHeaders(t *testing.T) {
	var names, outcomes, keys []string
	for _, row := range table(t, "docs/backends.md", "## Headers") {
		name := strings.Trim(row[0], "`")
		if names = append(names, name); name == headerDefaults[headerOutcome] {
			outcomes = quoted(row[2])
		}
	}
	same(t, "headers", names, slices.Clone(headerDefaults[:]))
	var known []string
	for _, outcome := range judgment.Outcomes {
		known = append(known, string(outcome))
	}
	same(t, "outcomes", outcomes, known)
	for _, row := range table(t, "docs/configuration.md", "## The directive") {
		if _, list, ok := strings.Cut(row[2], "Names: "); ok {
			keys = quoted(list)
		}
	}
	same(t, "names of headers", keys, slices.Clone(headerKeys[:]))
}

// TestDocsOutcomes compares the outcome of each reason.
func TestDocsOutcomes(t *testing.T) {
	var reasons, known []string
	for _, row := range table(t, "docs/backends.md", "A request has the outcome of its reason:") {
		for _, name := range quoted(row[0]) {
			reasons = append(reasons, name)
			equal(t, quoted(row[1])[0], string(judgment.Reason(name).Outcome()), "outcome of %s", name)
		}
	}
	for _, reason := range judgment.Reasons {
		known = append(known, string(reason))
	}
	same(t, "reasons", reasons, known)
}

// TestDocsMetrics compares the metrics and their labels.
func TestDocsMetrics(t *testing.T) {
	var documented, known []string
	for _, row := range table(t, "docs/operations.md", "## Metrics") {
		documented = append(documented, quoted(row[0])...)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		appMetrics{}.Describe(descs)
		close(descs)
	}()
	for desc := range descs {
		m := regexp.MustCompile(`fqName: "` + metricPrefix + `([a-z_]+)".*variableLabels: \{([a-z_,]*)\}`).FindStringSubmatch(desc.String())
		if m == nil {
			t.Fatal(desc)
		}
		name := m[1]
		if m[2] != "" {
			name += "{" + m[2] + "}"
		}
		known = append(known, name)
	}
	same(t, "metrics", documented, known)
}

// TestDocsRequests compares the calls of the admin API with those of its code.
func TestDocsRequests(t *testing.T) {
	source := read(t, "internal/admin/admin.go")
	var documented, known []string
	for _, m := range regexp.MustCompile(`(?m)^\t"([A-Z]+) ([^"]+)":`).FindAllStringSubmatch(string(source), -1) {
		known = append(known, m[1]+" /chat_identity/"+strings.ReplaceAll(m[2], "{id}", "<id>"))
	}
	for _, row := range table(t, "docs/admin-api.md", "## Requests") {
		documented = append(documented, quoted(row[0])[0])
	}
	same(t, "requests", documented, known)

	page := documents(t)["docs/admin-api.md"]
	_, _, err := runCommand(t, "", "unknown")
	_, list, ok := strings.Cut(err.Error(), ": use one of ")
	if !ok {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(list, ", ") {
		if !regexp.MustCompile("(`|chat-identity )" + name + "\\b").MatchString(page) {
			t.Errorf("the page on the admin API lacks the command %s", name)
		}
	}
}

// TestDocsRights compares the rights of Redis users with those that the packages
// say, which are tested there.
func TestDocsRights(t *testing.T) {
	right := regexp.MustCompile(`\+[a-z|]+`)
	_, text, _ := strings.Cut(documents(t)["docs/fleet.md"], "## Rights of the Redis user")
	text, _, _ = strings.Cut(text, "\n## ")
	var known []string
	for _, file := range []string{"internal/redisstore/store.go", "internal/redisledger/ledger.go"} {
		source := read(t, file)
		doc, _, _ := strings.Cut(string(source), "\npackage ")
		known = append(known, right.FindAllString(doc, -1)...)
	}
	same(t, "rights", right.FindAllString(strings.ReplaceAll(text, `\|`, "|"), -1), known)
}
