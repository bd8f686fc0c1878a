package filestore

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// strict refuses what this version would not write back.
var strict = json.RejectUnknownMembers(true)

// decode reads a file and returns its records and its last line. An error is a
// [*damage] where the file says something wrong, else the reader's.
func decode(r io.Reader) (*snapshot, []byte, error) {
	in := lines{r: bufio.NewReaderSize(r, 64<<10)}
	line, err := in.next()
	if err != nil {
		return nil, nil, err
	}
	if err := checkHeader(line); err != nil {
		return nil, nil, &damage{1, err}
	}
	sum := sha256.New()
	var records []*widgets.Record
	shared := make(shared)
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
		shared.use(record)
		records = append(records, record)
		last = record.ID
	}
	want := appendLastLine(nil, len(records), sum)
	if !bytes.Equal(line, want) {
		return nil, nil, &damage{in.n, errors.New("its count or checksum is not that of the lines before it")}
	}
	if _, err := in.r.ReadByte(); err == nil {
		return nil, nil, &damage{in.n + 1, errors.New("there is text behind the last line")}
	} else if err != io.EOF {
		return nil, nil, err
	}
	return newSnapshot(records), want, nil
}

// decodeRecord reads the record after that of the last id. The errors of the
// JSON library are left out: they quote what they read.
func decodeRecord(line []byte, last string) (*widgets.Record, error) {
	record := new(widgets.Record)
	if err := json.Unmarshal(line, record, strict); err != nil {
		var semantic *json.SemanticError
		var syntactic *jsontext.SyntacticError
		what, offset := "it is no record of a widget", int64(0)
		switch {
		case errors.Is(err, json.ErrUnknownName):
			what = "it has a member that is not known"
		case errors.Is(err, jsontext.ErrDuplicateName):
			what = "it has a member twice"
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
		return nil, fmt.Errorf("widget %s is there twice", last)
	}
	if record.ID < last {
		return nil, fmt.Errorf("widget %s is not in the order of the ids", record.ID)
	}
	return record, nil
}

// lines reads a file by lines.
type lines struct {
	r    *bufio.Reader
	n    int    // the number of the last line, from 1
	long []byte // a line that is longer than the reader's buffer
}

// next returns the next line with its newline. It is valid until the next call.
func (l *lines) next() ([]byte, error) {
	l.n++
	line, err := l.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		l.long = l.long[:0]
		for err == bufio.ErrBufferFull && len(l.long) <= maxLine {
			l.long = append(l.long, line...)
			line, err = l.r.ReadSlice('\n')
		}
		l.long = append(l.long, line...)
		line = l.long
	}
	switch {
	case len(line) > maxLine:
		return nil, &damage{l.n, fmt.Errorf("it is longer than %d bytes", maxLine)}
	case err == io.EOF && l.n == 1 && len(line) == 0:
		return nil, &damage{l.n, errors.New("the file is empty")}
	case err == io.EOF:
		return nil, &damage{l.n, errors.New("the file ends here, without its last line: it was cut off, or is still being written")}
	case err != nil:
		return nil, err
	}
	return line, nil
}

// shared holds the texts that many records have in common, once each.
type shared map[string]string

func (s shared) use(r *widgets.Record) {
	s.one(&r.Mode)
	s.one(&r.Dialect)
	for i := range r.Secrets {
		s.one(&r.Secrets[i].KeyID)
	}
}

func (s shared) one(text *string) {
	if known, ok := s[*text]; ok {
		*text = known
	} else {
		s[*text] = *text
	}
}
