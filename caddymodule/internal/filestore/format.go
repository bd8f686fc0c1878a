package filestore

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"unique"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// The file consists of lines of JSON: the header, one record per line in the order of the
// ids, and a last line with the number of records and the SHA-256 of all bytes before it.
// A file without its last line is incomplete, and not used.
const (
	format  = "chat_identity widgets"
	version = 1
	header  = `{"format":"chat_identity widgets","version":1}` + "\n"

	// lastLineStart cannot begin a record, which has no member of that name.
	lastLineStart = `{"widgets":`

	// maxLine bounds a line, in bytes: the maximum number of secrets, of almost 6,000
	// bytes each.
	maxLine = 4 << 20
)

// errNewer says that a file has a later version.
var errNewer = errors.New("it was written by a newer version of this program")

// damage is what is wrong with a file's content. It never quotes the file, which contains
// encrypted secrets.
type damage struct {
	line int
	err  error
}

func (d *damage) Error() string { return fmt.Sprintf("line %d: %v", d.line, d.err) }

// Unwrap returns what is wrong with the line.
func (d *damage) Unwrap() error { return d.err }

// checkHeader accepts exactly one header, and distinguishes a later version from damage.
func checkHeader(line []byte) error {
	if string(line) == header {
		return nil
	}
	var is struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(line, &is); err == nil && is.Format == format && is.Version > version {
		return errNewer
	}
	return errors.New("it is not the first line of a file of chat widgets")
}

// lastLine returns the last line of a file.
func lastLine(count int, sum hash.Hash) []byte {
	return fmt.Appendf(nil, `%s%d,"sha256":"%x"}`+"\n", lastLineStart, count, sum.Sum(nil))
}

// encode writes a file of records, which must be in the order of their ids, and returns its
// last line. An error wraps [widgets.ErrRecord] if a record could not be read back, else it
// is the writer's.
func encode(w io.Writer, records []*widgets.Record) ([]byte, error) {
	sum := sha256.New()
	var line bytes.Buffer
	line.WriteString(header)
	for i := 0; ; i++ {
		sum.Write(line.Bytes())
		if _, err := w.Write(line.Bytes()); err != nil {
			return nil, err
		}
		if i == len(records) {
			break
		}
		line.Reset()
		if err := json.MarshalWrite(&line, records[i]); err != nil {
			return nil, fmt.Errorf("%w of %s: %w", widgets.ErrRecord, widgets.NameOf(records[i].ID), err)
		}
		line.WriteByte('\n')
		if line.Len() > maxLine {
			return nil, fmt.Errorf("%w of %s: it has more than %d bytes", widgets.ErrRecord, widgets.NameOf(records[i].ID), maxLine)
		}
	}
	last := lastLine(len(records), sum)
	_, err := w.Write(last)
	return last, err
}

// Write writes records, in the order of their ids, as a store's file.
func Write(w io.Writer, records []*widgets.Record) error {
	buffered := bufio.NewWriter(w)
	if _, err := encode(buffered, records); err != nil {
		return err
	}
	return buffered.Flush()
}

// Read reads a store's file. Its errors name the line and quote nothing of it.
func Read(r io.Reader) ([]*widgets.Record, error) {
	s, _, err := decode(r)
	if err != nil {
		return nil, err
	}
	return s.sorted, nil
}

// decode reads a file and returns its records and its last line. An error is a [*damage] if
// the content is wrong, else the reader's.
func decode(r io.Reader) (*snapshot, []byte, error) {
	in := lines{Reader: bufio.NewReaderSize(r, 64<<10)}
	line, err := in.next()
	if err != nil {
		return nil, nil, err
	}
	if err := checkHeader(line); err != nil {
		return nil, nil, &damage{1, err}
	}
	sum := sha256.New()
	var records []*widgets.Record
	last := ""
	for {
		sum.Write(line)
		if line, err = in.next(); err != nil {
			return nil, nil, err
		}
		if bytes.HasPrefix(line, []byte(lastLineStart)) {
			break
		}
		record, err := decodeRecord(line, last)
		if err != nil {
			return nil, nil, &damage{in.n, err}
		}
		records = append(records, record)
		last = record.ID
	}
	want := lastLine(len(records), sum)
	if !bytes.Equal(line, want) {
		return nil, nil, &damage{in.n, errors.New("its count or checksum is not that of the lines before it")}
	}
	if _, err := in.Peek(1); err == nil {
		return nil, nil, &damage{in.n + 1, errors.New("there is text after the last line")}
	} else if err != io.EOF {
		return nil, nil, err
	}
	return newSnapshot(records), want, nil
}

// decodeRecord reads a record, whose id must come after last. It does not return the JSON
// library's errors, which quote the file.
func decodeRecord(line []byte, last string) (*widgets.Record, error) {
	r := new(widgets.Record)
	// Members that this version would not write back are refused.
	if err := json.Unmarshal(line, r, json.RejectUnknownMembers(true)); err != nil {
		what, offset := "it is not a record of a widget", int64(0)
		switch {
		case errors.Is(err, json.ErrUnknownName):
			what = "it has an unknown member"
		case errors.Is(err, jsontext.ErrDuplicateName):
			what = "it has a duplicate member"
		}
		if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
			offset = semantic.ByteOffset
		} else if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			offset = syntactic.ByteOffset
		}
		return nil, fmt.Errorf("%s (at byte %d)", what, offset)
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	switch {
	case r.ID == last:
		return nil, fmt.Errorf("widget %s appears more than once", last)
	case r.ID < last:
		return nil, fmt.Errorf("widget %s is not in order", r.ID)
	}
	// Of texts that many records have in common, only one copy is kept.
	r.Mode, r.Dialect = unique.Make(r.Mode).Value(), unique.Make(r.Dialect).Value()
	for i := range r.Secrets {
		r.Secrets[i].KeyID = unique.Make(r.Secrets[i].KeyID).Value()
	}
	return r, nil
}

// lines reads a file line by line.
type lines struct {
	*bufio.Reader
	n    int    // the number of the current line, from 1
	line []byte // valid until the next one
}

// next returns the next line with its newline.
func (l *lines) next() ([]byte, error) {
	l.n++
	l.line = l.line[:0]
	for {
		part, err := l.ReadSlice('\n')
		l.line = append(l.line, part...)
		switch {
		case len(l.line) > maxLine:
			return nil, &damage{l.n, fmt.Errorf("it is longer than %d bytes", maxLine)}
		case err == nil:
			return l.line, nil
		case err == io.EOF && l.n == 1 && len(l.line) == 0:
			return nil, &damage{l.n, errors.New("the file is empty")}
		case err == io.EOF:
			return nil, &damage{l.n, errors.New("the file ends here, without its last line: it was cut off, or is still being written")}
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}
