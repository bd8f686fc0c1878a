package filestore

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"unique"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// strict refuses members that this version would not write back.
var strict = json.RejectUnknownMembers(true)

// decode reads a file and returns its records and its last line. An error is a [*damage] if
// the content is wrong, else the reader's.
func decode(r io.Reader) (*snapshot, []byte, error) {
	in := newLines(r)
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
		share(record)
		records = append(records, record)
		last = record.ID
	}
	want := appendLastLine(nil, len(records), sum)
	if !bytes.Equal(line, want) {
		return nil, nil, &damage{in.n, errors.New("its count or checksum is not that of the lines before it")}
	}
	switch more, err := in.Scan(), in.Err(); {
	case more, err == io.ErrUnexpectedEOF, err == bufio.ErrTooLong:
		return nil, nil, &damage{in.n + 1, errors.New("there is text after the last line")}
	case err != nil:
		return nil, nil, err
	}
	return newSnapshot(records), want, nil
}

// share keeps only one copy of texts that many records have in common.
func share(r *widgets.Record) {
	one := func(text *string) { *text = unique.Make(*text).Value() }
	one(&r.Mode)
	one(&r.Dialect)
	for i := range r.Secrets {
		one(&r.Secrets[i].KeyID)
	}
}

// decodeRecord reads a record, whose id must come after last. It does not return the JSON
// library's errors, which quote the file.
func decodeRecord(line []byte, last string) (*widgets.Record, error) {
	record := new(widgets.Record)
	if err := json.Unmarshal(line, record, strict); err != nil {
		var semantic *json.SemanticError
		var syntactic *jsontext.SyntacticError
		what, offset := "it is not a record of a widget", int64(0)
		switch {
		case errors.Is(err, json.ErrUnknownName):
			what = "it has an unknown member"
		case errors.Is(err, jsontext.ErrDuplicateName):
			what = "it has a duplicate member"
		}
		if errors.As(err, &semantic) {
			offset = semantic.ByteOffset
		} else if errors.As(err, &syntactic) {
			offset = syntactic.ByteOffset
		}
		return nil, fmt.Errorf("%s (at byte %d)", what, offset)
	}
	if err := record.Check(); err != nil {
		return nil, err
	}
	if record.ID == last {
		return nil, fmt.Errorf("widget %s appears more than once", last)
	}
	if record.ID < last {
		return nil, fmt.Errorf("widget %s is not in order", record.ID)
	}
	return record, nil
}

// lines reads a file line by line.
type lines struct {
	*bufio.Scanner
	n int // the number of the current line, from 1
}

func newLines(r io.Reader) lines {
	in := lines{Scanner: bufio.NewScanner(r)}
	in.Buffer(make([]byte, 64<<10), maxLine+1)
	in.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if end := bytes.IndexByte(data, '\n') + 1; end > 0 {
			return end, data[:end], nil
		}
		if atEOF && len(data) > 0 {
			return 0, nil, io.ErrUnexpectedEOF
		}
		return 0, nil, nil
	})
	return in
}

// next returns the next line with its newline. It is valid until the next call.
func (l *lines) next() ([]byte, error) {
	l.n++
	more := l.Scan()
	switch err := l.Err(); {
	case more:
		return l.Bytes(), nil
	case err == bufio.ErrTooLong:
		return nil, &damage{l.n, fmt.Errorf("it is longer than %d bytes", maxLine)}
	case err == nil && l.n == 1:
		return nil, &damage{l.n, errors.New("the file is empty")}
	case err == nil, err == io.ErrUnexpectedEOF:
		return nil, &damage{l.n, errors.New("the file ends here, without its last line: it was cut off, or is still being written")}
	default:
		return nil, err
	}
}
