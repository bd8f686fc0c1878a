package demo

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// log passes on a process's output, such as warnings about forged claims. While the
// process starts, its output is held, and shown only if it fails.
type log struct {
	name string
	to   io.Writer

	mu    sync.Mutex
	held  bool
	lines []string // the last ones, while held
	rest  []byte   // an incomplete line
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		if l.held {
			l.lines = append(l.lines[max(0, len(l.lines)-4):], string(line))
		} else {
			fmt.Fprintf(l.to, "%s: %s\n", l.name, line)
		}
		l.rest = rest
	}
}

func (l *log) hold(held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.lines = held, nil
}

// last returns the last lines that were held.
func (l *log) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}
