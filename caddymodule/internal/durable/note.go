package durable

import "go.uber.org/zap"

// Note is a file of one line in which a process notes what a store had, so that it notices
// the loss of that after a restart, too.
type Note struct {
	// Path is the file's, "" for none.
	Path string
	// May reports whether the file may be written yet: a configuration that is only
	// validated writes nothing.
	May func() bool

	text   string
	failed bool
}

// Read returns the text, "" if there is none. It logs why that is unknown.
func (n *Note) Read(log *zap.Logger) string {
	var err error
	if n.Path != "" {
		n.text, err = ReadLine(n.Path)
	}
	if err != nil {
		log.Error("it is unknown which widgets this gateway knew before, so their loss would go unnoticed: make the note readable", zap.Error(err))
	}
	return n.text
}

// Set makes the text the note's once it may. It logs the first error of several in a row.
func (n *Note) Set(text string, log *zap.Logger) {
	if n.Path == "" || n.text == text || !n.May() {
		return
	}
	err := WriteLine(n.Path, text)
	if err == nil {
		n.text = text
	} else if !n.failed {
		log.Warn("which widgets this gateway knows cannot be noted, so their loss would go unnoticed after a restart: make the note writable",
			zap.String("note", n.Path), zap.Error(err))
	}
	n.failed = err != nil
}
