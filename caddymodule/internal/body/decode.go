package body

import (
	"bufio"
	"compress/flate"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the window that RFC 8878 recommends decoders of zstd to support, in bytes. A
// body with a larger one is [Unclear].
const maxWindow = 8 << 20

// decoded returns how a body begins once it is decoded. The text is what has arrived of it,
// all of it if ended. At most limit bytes of the decoded text are examined. After Unclear,
// more says whether more of the text might help.
//
// No decoder is kept between calls, since its window of some megabytes would wait for a slow
// client.
func (d *Declaration) decoded(text []byte, ended bool, limit int64) (begins Beginning, more bool) {
	choices := 1
	for _, c := range d.codings {
		if c == deflated {
			choices *= 2 // RFC 9110 means zlib, and some send and take the bare stream
		}
	}
	begins = Opaque
	for choice := range choices {
		t := &tape{text: text, ended: ended}
		switch d.decodedFrom(t, choice, limit) {
		case Object:
			return Object, false
		case Unclear:
			begins, more = Unclear, more || t.starved
		}
	}
	return begins, more
}

// decodedFrom decodes in one way. choice has a bit for each deflate. A text that does not
// decode is Opaque.
func (d *Declaration) decodedFrom(t *tape, choice int, limit int64) Beginning {
	var from source = t
	for i := len(d.codings) - 1; i >= 0; i-- {
		var r io.Reader
		switch d.codings[i] {
		case gzipped:
			r = &inflater{from: from, header: gzipHeader, members: true}
		case deflated:
			r = &inflater{from: from, header: zlibHeader}
			if choice&1 != 0 {
				r = &inflater{from: from, header: noHeader}
			}
			choice >>= 1
		case zstandard:
			z, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return Unclear
			}
			defer z.Close()
			r = z
		}
		from = bufio.NewReaderSize(r, 512)
	}
	var s start
	var piece [512]byte
	for left := limit; left > 0; {
		n, err := from.Read(piece[:])
		if begins := s.feed(piece[:n]); begins != Unclear {
			return begins
		}
		left -= int64(n)
		switch {
		case err == nil:
		case t.starved, errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrUnknownDictionary):
			return Unclear
		case err == io.EOF:
			return s.end()
		default:
			return Opaque
		}
	}
	return Unclear
}

// source is what a decoder reads. ReadByte keeps it from reading more than it needs.
type source interface {
	io.Reader
	io.ByteReader
}

// tape is a text that may not have arrived completely.
type tape struct {
	text    []byte
	ended   bool
	starved bool // a read found that the rest is missing
}

var errStarved = errors.New("body: more has to arrive")

// Read implements [io.Reader].
func (t *tape) Read(p []byte) (int, error) {
	if len(t.text) == 0 {
		if t.ended {
			return 0, io.EOF
		}
		t.starved = true
		return 0, errStarved
	}
	n := copy(p, t.text)
	t.text = t.text[n:]
	return n, nil
}

// ReadByte implements [io.ByteReader].
func (t *tape) ReadByte() (byte, error) {
	var c [1]byte
	_, err := t.Read(c[:])
	return c[0], err
}

var errCoding = errors.New("body: not coded as it says")

// inflater decodes a header, a DEFLATE stream (RFC 1951) and a trailer. It does not verify
// the trailer's checksum, since not all readers do.
type inflater struct {
	from    source
	header  func(source) error
	members bool // of gzip, which follow each other; of zlib there is one
	plain   io.Reader
}

// Read implements [io.Reader].
func (f *inflater) Read(p []byte) (int, error) {
	for {
		if f.plain == nil {
			if err := f.header(f.from); err != nil {
				return 0, err
			}
			f.plain = flate.NewReader(f.from)
		}
		n, err := f.plain.Read(p)
		if err != io.EOF || !f.members {
			return n, err
		}
		f.plain = nil
		if err := skip(f.from, 8); err != nil || n > 0 {
			return n, err
		}
	}
}

// gzipHeader reads the header of the next member of RFC 1952. It returns io.EOF if there is
// none.
func gzipHeader(from source) error {
	var head [10]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return err
	}
	if head[0] != 0x1f || head[1] != 0x8b || head[2] != 8 {
		return errCoding
	}
	const headerCRC, extra, name, comment = 2, 4, 8, 16
	flags := head[3]
	if flags&extra != 0 {
		if _, err := io.ReadFull(from, head[:2]); err != nil {
			return err
		}
		if err := skip(from, int64(head[0])|int64(head[1])<<8); err != nil {
			return err
		}
	}
	for _, text := range [...]byte{name, comment} {
		for c := byte(1); flags&text != 0 && c != 0; {
			var err error
			if c, err = from.ReadByte(); err != nil {
				return err
			}
		}
	}
	if flags&headerCRC != 0 {
		return skip(from, 2)
	}
	return nil
}

// zlibHeader reads the header of RFC 1950.
func zlibHeader(from source) error {
	var head [2]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return err
	}
	const method, deflate, dictionary = 0x0f, 8, 0x20
	if head[0]&method != deflate || (int(head[0])<<8|int(head[1]))%31 != 0 {
		return errCoding
	}
	if head[1]&dictionary != 0 {
		return skip(from, 4)
	}
	return nil
}

func noHeader(source) error { return nil }

func skip(from source, n int64) error {
	_, err := io.CopyN(io.Discard, from, n)
	return err
}
