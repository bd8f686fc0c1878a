package filestore

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// encode writes a file of records, which are in the order of their ids, and
// returns its last line. An error wraps [widgets.ErrRecord] where a record
// could not be read back, else it is the writer's.
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
			return nil, fmt.Errorf("%w of widget %s: it takes more than %d bytes", widgets.ErrRecord, records[i].ID, maxLine)
		}
	}
	last := appendLastLine(nil, len(records), sum)
	_, err := w.Write(last)
	return last, err
}
