// Command testsummary runs go test and ends with what failed, in at most 40
// lines. All output is kept in test-logs, in one file per package.
//
//	testsummary -race ./a ./b -- -run X ./c
//
// Each list of arguments is a go test of its own; they run concurrently.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

func main() {
	s := &summary{progress: os.Stdout, folder: "test-logs"}
	if err := errors.Join(os.RemoveAll(s.folder), os.Mkdir(s.folder, 0o750)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var runs sync.WaitGroup
	for args := range strings.SplitSeq(strings.Join(os.Args[1:], "\n"), "\n--\n") {
		runs.Go(func() {
			s.run(exec.Command("go", slices.Concat([]string{"test"}, strings.Split(args, "\n"), []string{"-json", "-count=1"})...))
		})
	}
	runs.Wait()
	if lines := s.failures(); lines != nil {
		fmt.Println("\n" + strings.Join(lines, "\n"))
		os.Exit(1)
	}
}

// A summary collects the failures of all runs.
type summary struct {
	progress io.Writer
	folder   string
	mu       sync.Mutex
	failed   []output
}

// An output is what a test or a package has written.
type output struct {
	name  string
	lines []string
}

// A pkg is a package whose tests are running.
type pkg struct {
	log  strings.Builder
	open []*output // of the tests that have not ended, and of the package itself, ""
}

// An event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
	Elapsed                                                float64
}

// run runs one go test. Its standard error is reported only if nothing else says
// why it failed.
func (s *summary) run(command *exec.Cmd) {
	var rest bytes.Buffer
	command.Stderr = io.MultiWriter(os.Stderr, &rest)
	out, err := command.StdoutPipe()
	if err = errors.Join(err, command.Start()); err == nil {
		packages, decoder := map[string]*pkg{}, json.NewDecoder(out)
		for e := (event{}); decoder.Decode(&e) == nil; e = (event{}) {
			s.take(packages, &e)
		}
		_, _ = io.Copy(&rest, io.MultiReader(decoder.Buffered(), out)) // empty, unless it is not JSON
		err = command.Wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && len(s.failed) == 0 {
		s.failed = append(s.failed, output{"go test: " + err.Error(), strings.Split(strings.TrimSpace(rest.String()), "\n")})
	}
}

func (s *summary) take(packages map[string]*pkg, e *event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := e.Package + e.ImportPath // of a package, or of what is built for it
	if packages[name] == nil {
		packages[name] = new(pkg)
	}
	p := packages[name]
	i := slices.IndexFunc(p.open, func(o *output) bool { return o.name == e.Test })
	if i < 0 {
		i, p.open = len(p.open), append(p.open, &output{name: e.Test})
	}
	test := p.open[i]
	switch e.Action {
	case "output", "build-output":
		p.log.WriteString(e.Output)
		test.lines = append(test.lines, strings.TrimRight(e.Output, "\n"))
	case "build-fail":
		s.fail(name, test.lines)
	case "pass", "skip", "fail":
		p.open = slices.Delete(p.open, i, i+1)
		switch {
		case e.Test == "":
			s.finish(p, e, test)
		case e.Action == "fail":
			s.fail(name+" "+e.Test, reasons(test.lines))
		}
	}
}

// finish ends a package. If it failed, the tests that are still open are those
// during which it crashed or ran out of time.
func (s *summary) finish(p *pkg, e *event, own *output) {
	if e.Action == "fail" && e.FailedBuild == "" {
		for _, test := range append(p.open, own) {
			if lines := reasons(test.lines); len(lines) > 0 {
				s.fail(strings.TrimSpace(e.Package+" "+test.name), lines)
			}
		}
		if !slices.ContainsFunc(s.failed, func(f output) bool { return strings.HasPrefix(f.name+" ", e.Package+" ") }) {
			s.fail(e.Package, own.lines)
		}
	}
	if e.Action != "skip" {
		fmt.Fprintf(s.progress, "%-4s %s %.1fs\n", map[string]string{"pass": "ok", "fail": "FAIL"}[e.Action], e.Package, e.Elapsed)
	}
	// Two runs may test the same package.
	file, err := os.OpenFile(filepath.Join(s.folder, strings.ReplaceAll(e.Package, "/", "_")+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(p.log.String())
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		fmt.Fprintln(s.progress, err)
	}
}

// fail records a failure, unless a test has no message beyond those of its subtests.
func (s *summary) fail(name string, lines []string) {
	if len(lines) > 0 || !slices.ContainsFunc(s.failed, func(f output) bool { return strings.HasPrefix(f.name, name+"/") }) {
		fmt.Fprintln(s.progress, "FAIL", name)
		s.failed = append(s.failed, output{name, lines})
	}
}

// reasons returns the lines that say why a test failed: its own messages, which
// are indented, and reports of panics and data races, but no logs of the programs
// that it ran.
func reasons(lines []string) (found []string) {
	report := 0 // how many more lines of it to keep
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "), line == "WARNING: DATA RACE":
			report = 16
		case strings.HasPrefix(line, "=== "), strings.HasPrefix(strings.TrimSpace(line), "--- "):
			report = 0
			continue
		}
		if report > 0 || strings.HasPrefix(line, "    ") {
			found = append(found, line)
		}
		report--
	}
	return found
}

// failures returns the report, or nil if nothing failed.
func (s *summary) failures() (lines []string) {
	const limit = 37 // 40 with the blank line and the last two
	shown := s.failed[:min(len(s.failed), limit/2)]
	for _, f := range shown {
		lines = append(lines, "--- FAIL: "+f.name)
		if share := limit/len(shown) - 1; len(f.lines) > share { // the first ones, and the last, which ended the test
			f.lines = slices.Concat(f.lines[:(share+1)/2], f.lines[len(f.lines)-share/2:])
		}
		for _, line := range f.lines {
			lines = append(lines, fmt.Sprintf("%.300s", line))
		}
	}
	if more := len(s.failed) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more", more))
	}
	if lines != nil {
		lines = append(lines, fmt.Sprintf("%d failed; the output is in %s/.", len(s.failed), s.folder))
	}
	return lines
}
