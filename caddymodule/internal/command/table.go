package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	jsonv2 "github.com/go-json-experiment/json"
)

// maxPlain is how many bytes of a text are shown.
const maxPlain = 2 << 10

// plain makes a server's text safe for a terminal: one line, in which everything
// unprintable is replaced.
func plain(text string) string {
	if len(text) > maxPlain {
		text = text[:maxPlain] + "..."
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}

// orDash returns a cell's text, or a dash if there is none.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return plain(text)
}

// localTime formats a time in the local time zone.
func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// writeTable writes aligned rows of plain text.
func writeTable(w io.Writer, rows [][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if _, err := io.WriteString(table, strings.Join(row, "\t")+"\n"); err != nil {
			return err
		}
	}
	return table.Flush()
}

// writeValue writes a value as JSON.
func writeValue(w io.Writer, value any) error {
	text, err := jsonv2.Marshal(value)
	if err != nil {
		return err
	}
	return writeJSON(w, json.RawMessage(text))
}

// writeJSON writes a server's JSON on one line and escapes what is not printable,
// which JSON allows only in strings.
func writeJSON(w io.Writer, document json.RawMessage) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return err
	}
	line := make([]byte, 0, compact.Len()+1)
	for _, r := range compact.String() {
		if unicode.IsPrint(r) {
			line = utf8.AppendRune(line, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			line = fmt.Appendf(line, `\u%04x`, unit)
		}
	}
	_, err := w.Write(append(line, '\n'))
	return err
}
