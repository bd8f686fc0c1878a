package filestore

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// FuzzRead: bytes are refused, or they are a file whose records are written to
// a file that reads as the same records. The second argument says whether a
// last line that fits is put behind the bytes, which no fuzzer would find.
func FuzzRead(f *testing.F) {
	lines := bytes.SplitAfter(sample(f), []byte("\n"))
	body := bytes.Join(lines[:len(lines)-2], nil)
	f.Add(sample(f), false)
	f.Add(encoded(f), false)
	f.Add(body, true)
	f.Add([]byte(firstLine+"\n"), true)
	f.Add([]byte(firstLine), true)
	f.Add(body[:len(body)/2], true)
	f.Add(append(bytes.Clone(body), lines[1]...), true)
	f.Add([]byte(`{"format":"chat_identity widgets","version":2}`+"\n"), true)
	f.Add(bytes.ReplaceAll(body, []byte("Z\""), []byte("+01:00\"")), true)
	f.Add(bytes.ReplaceAll(body, []byte("2026"), []byte("0000")), true)
	f.Add(bytes.ReplaceAll(body, []byte("V-"), []byte(`\u0000`)), true)
	f.Fuzz(func(t *testing.T, file []byte, finish bool) {
		if finish {
			rows := bytes.Split(bytes.TrimSuffix(file, []byte("\n")), []byte("\n"))
			texts := make([]string, len(rows))
			for i, row := range rows {
				texts[i] = string(row)
			}
			file = whole(texts...)
		}
		read, last, err := decode(bytes.NewReader(file))
		if err != nil {
			if read != nil {
				t.Fatal("there are records and an error")
			}
			return
		}
		if !bytes.HasSuffix(file, last) {
			t.Fatalf("the last line is not %s", last)
		}
		var written bytes.Buffer
		if _, err := encode(&written, read.sorted); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, _, err := decode(&written)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if err := differ(read, again); err != nil {
			t.Fatal(err)
		}
	})
}

// differ says in what two snapshots are not equal.
func differ(a, b *snapshot) error {
	same := slices.EqualFunc(a.sorted, b.sorted, func(x, y *widgets.Record) bool {
		return x.ID == y.ID && x.Mode == y.Mode && x.Dialect == y.Dialect &&
			x.Created.Equal(y.Created) && x.Rotated.Equal(y.Rotated) &&
			slices.EqualFunc(x.Secrets, y.Secrets, func(s, u widgets.Sealed) bool {
				return s.Version == u.Version && s.KeyID == u.KeyID && bytes.Equal(s.Box, u.Box) && s.Until.Equal(u.Until)
			})
	})
	switch {
	case !same:
		return fmt.Errorf("%d records differ from %d", len(a.sorted), len(b.sorted))
	case len(a.byID) != len(a.sorted) || len(b.byID) != len(b.sorted):
		return fmt.Errorf("of %d records, %d and %d are found by id", len(a.sorted), len(a.byID), len(b.byID))
	case !maps.Equal(a.dialects, b.dialects) || !maps.Equal(a.keys, b.keys):
		return fmt.Errorf("the counts differ")
	}
	return nil
}
