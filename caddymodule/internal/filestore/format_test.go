package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

var made = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// box is what stands for a sealed secret: enough bytes that are all the same.
func box(b byte) []byte { return bytes.Repeat([]byte{b}, 60) }

// widget returns a record with one secret.
func widget(id, dialect string) *widgets.Record {
	return &widgets.Record{
		ID: id, Dialect: dialect, Created: made, Rotated: made,
		Secrets: []widgets.Sealed{{Version: "V-" + id, KeyID: "00112233aabbccdd", Box: box('s')}},
	}
}

// rotated returns a record with two secrets, under two keys.
func rotated(id string) *widgets.Record {
	r := widget(id, "")
	r.Mode = "required"
	r.Rotated = made.Add(time.Hour)
	r.Secrets = append(r.Secrets, widgets.Sealed{Version: "V0", KeyID: "ffeeddccbbaa9988", Box: box('t'), Until: made.Add(2 * time.Hour)})
	return r
}

// encoded returns the file of the records.
func encoded(t testing.TB, records ...*widgets.Record) []byte {
	t.Helper()
	var file bytes.Buffer
	if _, err := encode(&file, records); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// whole makes a file of the lines, with the last line that belongs to them.
func whole(lines ...string) []byte {
	text := strings.Join(lines, "\n") + "\n"
	return fmt.Appendf(nil, "%s{\"widgets\":%d,\"sha256\":\"%x\"}\n", text, len(lines)-1, sha256.Sum256([]byte(text)))
}

const (
	firstLine = `{"format":"chat_identity widgets","version":1}`
	lineOfA   = `{"id":"a","created":"2026-03-04T05:06:07.089Z","rotated":"2026-03-04T05:06:07.089Z","secrets":[` +
		`{"version":"V-a","key":"00112233aabbccdd","sealed":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"}]}`
	lineOfB = `{"id":"b","mode":"required","created":"2026-03-04T05:06:07.089Z","rotated":"2026-03-04T06:06:07.089Z","secrets":[` +
		`{"version":"V-b","key":"00112233aabbccdd","sealed":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"},` +
		`{"version":"V0","key":"ffeeddccbbaa9988","sealed":"dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0","until":"2026-03-04T07:06:07.089Z"}]}`
	lineOfC = `{"id":"c","dialect":"bookbag","created":"2026-03-04T05:06:07.089Z","rotated":"2026-03-04T05:06:07.089Z","secrets":[` +
		`{"version":"V-c","key":"00112233aabbccdd","sealed":"c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"}]}`
)

// sample is the file that the damage is done to.
func sample(t testing.TB) []byte {
	return encoded(t, widget("a", ""), rotated("b"), widget("c", "bookbag"))
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		name    string
		records []*widgets.Record
		file    string
	}{
		{"no widgets", nil, firstLine + "\n" +
			`{"widgets":0,"sha256":"1a6c87b0aef6f3657603c9a63d0319555a98ced657512928b214c56d772de520"}` + "\n"},
		{"three", []*widgets.Record{widget("a", ""), rotated("b"), widget("c", "bookbag")},
			firstLine + "\n" + lineOfA + "\n" + lineOfB + "\n" + lineOfC + "\n" +
				`{"widgets":3,"sha256":"7a1a289beb9da415e120b42b9d4aae369c84ef600d411e095b4db7c4febf5e36"}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := encoded(t, c.records...)
			if string(file) != c.file {
				t.Fatalf("the file is\n%s\nwant\n%s", file, c.file)
			}
			read, last, err := decode(iotest.OneByteReader(bytes.NewReader(file)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasSuffix(file, last) {
				t.Errorf("last line %s", last)
			}
			if again := encoded(t, read.sorted...); !bytes.Equal(again, file) {
				t.Errorf("what was read is written as\n%s", again)
			}
		})
	}
}

func TestDecodeSharesTexts(t *testing.T) {
	read, _, err := decode(bytes.NewReader(encoded(t, widget("a", "bookbag"), widget("b", "bookbag"))))
	if err != nil {
		t.Fatal(err)
	}
	a, b := read.byID["a"], read.byID["b"]
	for name, pair := range map[string][2]string{
		"dialect": {a.Dialect, b.Dialect},
		"key id":  {a.Secrets[0].KeyID, b.Secrets[0].KeyID},
	} {
		if !sameMemory(pair[0], pair[1]) {
			t.Errorf("each record has a %s of its own", name)
		}
	}
}

func TestDecodeLongLines(t *testing.T) {
	long := widget("long", "")
	long.Secrets[0].Box = bytes.Repeat([]byte("x"), 200<<10)
	file := encoded(t, widget("a", ""), long, widget("z", ""))
	read, _, err := decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if again := encoded(t, read.sorted...); !bytes.Equal(again, file) {
		t.Error("a line longer than the buffer is not read as it was written")
	}
	long.Secrets[0].Box = make([]byte, maxLine)
	if _, err := encode(new(bytes.Buffer), []*widgets.Record{long}); !errors.Is(err, widgets.ErrRecord) {
		t.Errorf("a line that cannot be read is written: %v", err)
	}
	endless := iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 2*maxLine))) // fails where it is read on after the first time
	_, _, err = decode(endless)
	if !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("the reader's error became %v", err)
	}
	_, _, err = decode(strings.NewReader(firstLine + "\n" + strings.Repeat("x", 2*maxLine)))
	if err == nil || !strings.Contains(err.Error(), "line 2: it is longer than 4194304 bytes") {
		t.Errorf("a line without end: %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	far := widget("far", "")
	far.Created = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	text := widget("text", "")
	text.Secrets[0].Version = "\xff"
	for _, r := range []*widgets.Record{far, text} {
		if _, err := encode(new(bytes.Buffer), []*widgets.Record{r}); !errors.Is(err, widgets.ErrRecord) {
			t.Errorf("widget %s: %v", r.ID, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	file := sample(t)
	changed := func(old, new string) []byte {
		return whole(firstLine, strings.Replace(lineOfA, old, new, 1))
	}
	for _, c := range []struct {
		name, want string
		file       []byte
	}{
		{"empty", "line 1: the file is empty", nil},
		{"another file", "line 1: it is not the first line of a file of chat widgets", []byte("{}\n")},
		{"another format", "line 1: it is not the first line", whole(`{"format":"shop","version":2}`)},
		{"an older version", "line 1: it is not the first line", whole(`{"format":"chat_identity widgets","version":0}`)},
		{"the first line written in another way", "line 1: it is not the first line", whole(`{"version":1,"format":"chat_identity widgets"}`)},
		{"a newer version", "line 1: it was written by a newer version", whole(`{"format":"chat_identity widgets","version":2,"new":[]}`, "binary")},
		{"CRLF", "line 1: it is not the first line", bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n"))},
		{"no last line", "line 2: the file ends here", []byte(firstLine + "\n")},
		{"cut off", "line 4: the file ends here", file[:len(file)-300]},
		{"no newline at the end", "line 5: the file ends here", file[:len(file)-1]},
		{"a line more behind", "line 6: there is text after the last line", append(bytes.Clone(file), '\n')},
		{"another file behind", "line 6: there is text after the last line", append(bytes.Clone(file), file...)},
		{"a blank line", "line 2: it is not a record of a widget", whole(firstLine, "", lineOfA)},
		{"null", "line 2: widgets: bad record", whole(firstLine, "null")},
		{"two records on one line", "line 2: it is not a record of a widget", whole(firstLine, lineOfA+lineOfB)},
		{"twice the same widget", "line 3: widget a appears more than once", whole(firstLine, lineOfA, lineOfA)},
		{"not sorted", "line 3: widget a is not in order", whole(firstLine, lineOfB, lineOfA)},
		{"an unknown member", "line 2: it has an unknown member", changed(`"created"`, `"plan":"pro","created"`)},
		{"an unknown member of a secret", "line 2: it has an unknown member", changed(`"key"`, `"text":"","key"`)},
		{"a member in other letter case", "line 2: it has an unknown member", changed(`"created"`, `"Created"`)},
		{"a member twice", "line 2: it has a duplicate member", changed(`"created"`, `"id":"a","created"`)},
		{"another type", "line 2: it is not a record of a widget", changed(`"id":"a"`, `"id":1`)},
		{"no base64", "line 2: it is not a record of a widget", changed(`c3Nz`, `c3N!`)},
		{"no time", "line 2: it is not a record of a widget", changed(`2026-03-04T`, `yesterday T`)},
		{"a bad id", "line 2: widgets: bad record", changed(`"id":"a"`, `"id":".."`)},
		{"a bad mode", "line 2: widgets: bad record of widget a: unknown mode 'on'", changed(`"id":"a"`, `"id":"a","mode":"on"`)},
		{"no secrets", "line 2: widgets: bad record of widget a: 0 secrets", whole(firstLine, lineOfA[:strings.Index(lineOfA, "[")]+"[]}")},
		{"a count that is not so", "line 5: its count or checksum", bytes.Replace(file, []byte(`{"widgets":3`), []byte(`{"widgets":4`), 1)},
		{"a checksum in capitals", "line 5: its count or checksum", capitals(file)},
	} {
		t.Run(c.name, func(t *testing.T) {
			read, _, err := decode(bytes.NewReader(c.file))
			if read != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, %v; want: %s", read, err, c.want)
			}
			var wrong *damage
			if !errors.As(err, &wrong) {
				t.Errorf("%T is no damage", err)
			}
			if errors.Is(err, errNewer) != (c.name == "a newer version") {
				t.Errorf("%v: taken for a newer version, or not", err)
			}
			quotesNothing(t, err)
		})
	}
}

// TestTruncated: a file that is cut off anywhere is not taken.
func TestTruncated(t *testing.T) {
	file := sample(t)
	for n := range file {
		if _, _, err := decode(bytes.NewReader(file[:n])); err == nil {
			t.Fatalf("%d of %d bytes are taken for a file", n, len(file))
		}
	}
}

// TestFlipped: a file in which any bit is another is not taken, and what is
// said about it quotes no sealed secret.
func TestFlipped(t *testing.T) {
	file := sample(t)
	for i := range file {
		for bit := range 8 {
			file[i] ^= 1 << bit
			_, _, err := decode(bytes.NewReader(file))
			file[i] ^= 1 << bit
			if err == nil {
				t.Fatalf("bit %d of byte %d can be flipped", bit, i)
			}
			quotesNothing(t, err)
		}
	}
	if _, _, err := decode(bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
}

// quotesNothing fails where an error quotes a box.
func quotesNothing(t *testing.T, err error) {
	t.Helper()
	for _, b := range []byte("st") {
		text := base64.StdEncoding.EncodeToString(box(b))
		if strings.Contains(err.Error(), text[:8]) || strings.Contains(err.Error(), string(box(b)[:8])) {
			t.Fatalf("the error quotes what is sealed: %v", err)
		}
	}
}

func capitals(file []byte) []byte {
	i := bytes.LastIndex(file, []byte(`:"`)) + 2
	return append(bytes.Clone(file[:i]), bytes.ToUpper(file[i:])...)
}
