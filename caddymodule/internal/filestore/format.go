package filestore

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"

	"github.com/go-json-experiment/json"

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

// appendLastLine appends the last line of a file.
func appendLastLine(dst []byte, count int, sum hash.Hash) []byte {
	dst = append(dst, lastLineStart...)
	dst = strconv.AppendInt(dst, int64(count), 10)
	dst = append(dst, `,"sha256":"`...)
	dst = fmt.Appendf(dst, "%x", sum.Sum(nil))
	return append(dst, `"}`+"\n"...)
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
			return nil, fmt.Errorf("%w of widget %s: %w", widgets.ErrRecord, records[i].ID, err)
		}
		line.WriteByte('\n')
		if line.Len() > maxLine {
			return nil, fmt.Errorf("%w of widget %s: it has more than %d bytes", widgets.ErrRecord, records[i].ID, maxLine)
		}
	}
	last := appendLastLine(nil, len(records), sum)
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
