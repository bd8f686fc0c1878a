// Command testsummary runs go test and says at the end what failed, in at most
// 40 lines. Everything the tests wrote is kept below test-logs, a file for each
// package.
//
//	testsummary -race ./a ./b -- -run X ./c
//
// Each list of arguments is a go test of its own; they run at the same time.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

const folder = "test-logs"

func main() {
	if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o750)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := newSummary(os.Stdout, folder)
	var parts sync.WaitGroup
	for _, part := range split(os.Args[1:]) {
		parts.Go(func() {
			s.run(exec.Command("go", slices.Concat([]string{"test"}, part, []string{"-json", "-count=1"})...))
		})
	}
	parts.Wait()
	if lines := s.failures(); lines != nil {
		fmt.Println("\n" + strings.Join(lines, "\n"))
		os.Exit(1)
	}
}

// split returns the lists of arguments between "--".
func split(args []string) (parts [][]string) {
	for {
		i := slices.Index(args, "--")
		if i < 0 {
			return append(parts, args)
		}
		parts, args = append(parts, args[:i]), args[i+1:]
	}
}

// run runs one go test. What it writes to standard error is passed on, and kept
// in case nothing else tells why it failed.
func (s *summary) run(command *exec.Cmd) {
	var complaint bytes.Buffer
	command.Stderr = io.MultiWriter(os.Stderr, &complaint)
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err == nil {
		p := &part{summary: s, packages: map[string]*pkg{}}
		lines := bufio.NewReader(out)
		for {
			line, end := lines.ReadBytes('\n')
			var e event
			if json.Unmarshal(line, &e) == nil {
				p.take(e)
			} else if len(line) > 0 {
				complaint.Write(line)
			}
			if end != nil {
				break
			}
		}
		err = command.Wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && len(s.failed) == 0 {
		s.failed = append(s.failed, failure{"go test: " + err.Error(), strings.Split(strings.TrimSpace(complaint.String()), "\n")})
	}
}
