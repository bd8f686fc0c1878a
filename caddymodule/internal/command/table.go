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

	"github.com/spf13/cobra"
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

// localTime formats a time in the local time zone, or is a dash if there is none.
func localTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

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

// output is how a command prints what it found.
type output struct{ json bool }

func (o *output) flag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.json, "json", false, "Print a JSON object")
}

// print writes a value as JSON if that is asked for, and by text otherwise.
func (o *output) print(cmd *cobra.Command, value any, text func(io.Writer) error) error {
	if o.json {
		return printJSON(cmd, value)
	}
	return text(cmd.OutOrStdout())
}

// printJSON writes a value, which may be a server's JSON, on one line and escapes what
// is not printable, which JSON allows only in strings.
func printJSON(cmd *cobra.Command, value any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	_, err := cmd.OutOrStdout().Write(append(escaped(strings.TrimSuffix(text.String(), "\n")), '\n'))
	return err
}

// escaped writes JSON with escapes for what is not printable, which is in strings alone.
func escaped(text string) (line []byte) {
	for _, r := range text {
		if unicode.IsPrint(r) {
			line = utf8.AppendRune(line, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			line = fmt.Appendf(line, `\u%04x`, unit)
		}
	}
	return line
}
