package filestore

import (
	"errors"
	"fmt"
	"hash"
	"strconv"

	"github.com/go-json-experiment/json"
)

// The file is lines of JSON: the header, one record a line in the order of the
// ids, and a last line with the number of records and the SHA-256 of all bytes
// before it. Without its last line a file is not whole, and none of it counts.
const (
	format  = "chat_identity widgets"
	version = 1
	header  = `{"format":"chat_identity widgets","version":1}` + "\n"

	// lastLineStart cannot begin a record, which has no member of that name.
	lastLineStart = `{"widgets":`

	// maxLine bounds a line, in bytes: as many secrets as a widget may have, of
	// almost 6,000 bytes each.
	maxLine = 4 << 20
)

// errNewer says that a file is of a version that came after this one.
var errNewer = errors.New("it was written by a newer version of this program")

// damage is what is wrong with what a file says. It never quotes the file,
// which holds sealed secrets.
type damage struct {
	line int
	err  error
}

func (d *damage) Error() string { return fmt.Sprintf("line %d: %v", d.line, d.err) }

// Unwrap returns what is wrong with the line.
func (d *damage) Unwrap() error { return d.err }

// checkHeader takes one header only, but tells a later version from damage.
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

// appendLastLine appends the line that makes a file whole.
func appendLastLine(dst []byte, count int, sum hash.Hash) []byte {
	dst = append(dst, lastLineStart...)
	dst = strconv.AppendInt(dst, int64(count), 10)
	dst = append(dst, `,"sha256":"`...)
	dst = fmt.Appendf(dst, "%x", sum.Sum(nil))
	return append(dst, `"}`+"\n"...)
}
