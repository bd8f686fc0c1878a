//go:build fuzz

package parsertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// readers sends the corpus past the gateway. It lists the shapes that no parser
// reads: they hold for readers that are not here. A parser that reads next to
// nothing was asked in the wrong way.
func (r *fuzzRun) readers(backends []*Backend) {
	var unread []string
	read := make(map[string]int)
	for _, shape := range r.shapes {
		site := r.sites[shape.Site]
		as, path := unsigned, site.user
		if shape.Site == "path" { // in which only conversations are named
			as, path = conversation, site.conversation
		}
		request, _ := r.render(shape, as)
		answers, err := AskAll(backends, request)
		if err != nil {
			r.t.Error(err)
		}
		for _, answer := range answers {
			for parser := range answer {
				read[parser] += 0
			}
		}
		seen := mirrored{Answers: answers}
		found := seen.read(site.places, path)
		for _, f := range found {
			read[f.parser]++
		}
		if len(found) == 0 {
			unread = append(unread, shape.ID)
		}
	}
	r.t.Logf("%d parsers read as many shapes: %v", len(read), read)
	for parser, count := range read {
		if count < 3 {
			r.t.Errorf("%s reads only %d shapes", parser, count)
		}
	}
	r.t.Logf("%d of %d shapes are read by no parser that is here: %s", len(unread), len(r.shapes), strings.Join(unread, " "))
}

// add lists what was found in a request. Of changed requests alike, each parser
// has three examples.
func (r *fuzzRun) add(label string, s *said, found []finding, request *Request, example bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	label += "\t" + s.String()
	sent := ""
	if example {
		sent = fmt.Sprintf(" : %s %s %.200q %.400q", request.Method, request.Target, request.Header, request.Body)
	}
	for _, f := range found {
		if key := label + f.parser; example {
			if r.examples[key]++; r.examples[key] > 3 {
				continue
			}
		}
		if r.findings[label] == nil {
			r.findings[label] = make(map[string][]string)
		}
		what := sent
		if f.read != "" {
			what = fmt.Sprintf("read %.100q%s", f.read, sent)
		}
		r.findings[label][what] = append(r.findings[label][what], f.parser)
	}
}

// report prints the table, and fails for what is in it.
func (r *fuzzRun) report() {
	r.t.Logf("%d requests", r.sent)
	if len(r.findings) == 0 {
		return
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "shape\tsite\trole\tthe gateway says\tparsers read")
	for _, label := range slices.Sorted(maps.Keys(r.findings)) {
		for _, what := range slices.Sorted(maps.Keys(r.findings[label])) {
			fmt.Fprintf(table, "%s\t%s %s\n", label, strings.Join(r.findings[label][what], ", "), what)
		}
	}
	_ = table.Flush()
	r.t.Errorf("%d kinds of requests fail:\n%s", len(r.findings), text.String())
}
