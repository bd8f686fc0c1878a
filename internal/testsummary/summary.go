package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// An event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
	ImportPath, FailedBuild       string
	Elapsed                       float64
}

// A failure is a test or a package that failed, with what it said about it.
type failure struct {
	name  string
	lines []string
}

// A summary collects the failures of all parts.
type summary struct {
	progress io.Writer
	folder   string
	mu       sync.Mutex
	failed   []failure
}

func newSummary(progress io.Writer, folder string) *summary {
	return &summary{progress: progress, folder: folder}
}

// A part is one go test: two may run tests of the same package.
type part struct {
	*summary
	packages map[string]*pkg // by import path; what is built for a test has one, too
}

// A pkg is what a package's tests have written so far.
type pkg struct {
	log    strings.Builder
	open   []string            // tests that have not ended; "" is the package itself
	output map[string][]string // of the open tests
}

func (p *part) take(e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.packages[e.Package+e.ImportPath]
	if k == nil {
		k = &pkg{output: map[string][]string{}}
		p.packages[e.Package+e.ImportPath] = k
	}
	switch e.Action {
	case "output", "build-output":
		k.log.WriteString(e.Output)
		k.output[e.Test] = append(k.output[e.Test], strings.TrimRight(e.Output, "\n"))
		if !slices.Contains(k.open, e.Test) {
			k.open = append(k.open, e.Test)
		}
	case "build-fail":
		p.fail(e.ImportPath, k.output[""])
	case "pass", "skip", "fail":
		if e.Action == "fail" && e.Test != "" {
			p.fail(e.Package+" "+e.Test, reasons(k.output[e.Test]))
		}
		if e.Test == "" {
			p.finish(e, k)
		}
		k.open = slices.DeleteFunc(k.open, func(test string) bool { return test == e.Test })
		delete(k.output, e.Test)
	}
}

// finish notes that a package has ended. Tests that have not are those during
// which it crashed or ran out of time.
func (p *part) finish(e event, k *pkg) {
	if e.Action == "fail" && e.FailedBuild == "" {
		for _, test := range k.open {
			if lines := reasons(k.output[test]); len(lines) > 0 {
				p.fail(strings.TrimSpace(e.Package+" "+test), lines)
			}
		}
		if !slices.ContainsFunc(p.failed, func(f failure) bool { return strings.HasPrefix(f.name+" ", e.Package+" ") }) {
			p.fail(e.Package, k.output[""])
		}
	}
	if e.Action != "skip" {
		fmt.Fprintf(p.progress, "%s %s %.1fs\n", map[string]string{"pass": "ok  ", "fail": "FAIL"}[e.Action], e.Package, e.Elapsed)
	}
	file, err := os.OpenFile(p.logFile(e.Package), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = file.WriteString(k.log.String())
		err = file.Close()
	}
	if err != nil {
		fmt.Fprintln(p.progress, err)
	}
}

func (p *part) logFile(name string) string {
	return filepath.Join(p.folder, strings.ReplaceAll(path.Clean(name), "/", "_")+".log")
}

// fail notes a failure. A test is not noted beside its subtests, if it says nothing itself.
func (p *part) fail(name string, lines []string) {
	if len(lines) == 0 && slices.ContainsFunc(p.failed, func(f failure) bool { return strings.HasPrefix(f.name, name+"/") }) {
		return
	}
	fmt.Fprintln(p.progress, "FAIL", name)
	p.failed = append(p.failed, failure{name, lines})
}

// reasons returns the lines in which a test says why it failed: its own messages,
// which are indented, and reports of panics and data races. What the programs
// that it ran have logged is left out.
func reasons(output []string) (lines []string) {
	report := 0 // lines of it that are still of interest
	for _, line := range output {
		switch {
		case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "), line == "WARNING: DATA RACE":
			report = 16
		case strings.HasPrefix(line, "=== "), strings.HasPrefix(strings.TrimSpace(line), "--- "):
			report = 0
			continue
		}
		if report > 0 || strings.HasPrefix(line, "    ") {
			lines = append(lines, line)
		}
		report--
	}
	return lines
}

// failures returns the report, or nil where nothing failed.
func (s *summary) failures() (lines []string) {
	if len(s.failed) == 0 {
		return nil
	}
	const limit = 37 // with the first line and the last
	shown := s.failed[:min(len(s.failed), limit/2)]
	share := limit/len(shown) - 1
	for _, f := range shown {
		lines = append(lines, "--- FAIL: "+f.name)
		if len(f.lines) > share { // the first and the last, which ended the test
			f.lines = slices.Concat(f.lines[:(share+1)/2], f.lines[len(f.lines)-share/2:])
		}
		for _, line := range f.lines {
			lines = append(lines, fmt.Sprintf("%.300s", line))
		}
	}
	if rest := len(s.failed) - len(shown); rest > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", rest))
	}
	return append(lines, fmt.Sprintf("%d failed; all that was written is in %s/.", len(s.failed), s.folder))
}
