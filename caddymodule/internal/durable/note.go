package durable

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

// Read returns the text, "" if there is none.
func (n *Note) Read() (text string, err error) {
	if n.Path != "" {
		n.text, err = ReadLine(n.Path)
	}
	return n.text, err
}

// Set makes the text the note's once it may. It returns the first error of several in a row.
func (n *Note) Set(text string) error {
	if n.Path == "" || n.text == text || !n.May() {
		return nil
	}
	err := WriteLine(n.Path, text)
	if err == nil {
		n.text = text
	}
	again := n.failed
	if n.failed = err != nil; again {
		return nil
	}
	return err
}
