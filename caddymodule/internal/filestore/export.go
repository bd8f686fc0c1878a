package filestore

import (
	"bufio"
	"io"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// Write writes records, in the order of their ids, as a file that a store could
// be opened with.
func Write(w io.Writer, records []*widgets.Record) error {
	buffered := bufio.NewWriter(w)
	if _, err := encode(buffered, records); err != nil {
		return err
	}
	return buffered.Flush()
}

// Read reads a file of records, if it is whole. Its errors say what is wrong
// with which line, and quote nothing of it.
func Read(r io.Reader) ([]*widgets.Record, error) {
	s, _, err := decode(r)
	if err != nil {
		return nil, err
	}
	return s.sorted, nil
}
