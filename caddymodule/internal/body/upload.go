package body

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"time"
)

// MemoryLimit is the size up to which an upload is kept in memory. A larger one
// is all in a file.
const MemoryLimit = 1 << 20

// Upload says how to read an upload.
type Upload struct {
	// Limit is the largest body, in bytes.
	Limit int64
	// Client is who sends it. The zero value is a client that is not known, and
	// is bound by what all may take only.
	Client netip.Addr
	// Deadline ends a read that takes too long, as the SetReadDeadline of an
	// [http.ResponseController] does; the zero time takes the deadline back.
	// Without one, or if it returns an error, a body that stalls is noticed when
	// something of it arrives.
	Deadline func(time.Time) error
	// Sink is given the body, from its first byte to its last, while it arrives.
	// It may be nil. An error that it returns ends the reading, and is returned.
	Sink io.Writer
}

// Spool reads the whole body: into memory up to [MemoryLimit] bytes, else into a
// file in that spool. While it arrives the sink is given it.
//
// The errors are the sink's and [ErrTooLarge], [ErrBroken], [ErrStalled] and
// [ErrNoRoom]; then nothing of the body is kept in a file. One that is kept in a
// file is gone when ctx is done, at the latest.
func (b *Body) Spool(ctx context.Context, s *Spool, u Upload) error {
	b.asked = true
	if u.Sink == nil {
		u.Sink = io.Discard
	}
	if b.whole { // by an earlier handler
		return b.feed(u)
	}
	if b.length > u.Limit || !b.beyond.empty() {
		return ErrTooLarge
	}
	client := clientOf(u.Client)
	if b.length > MemoryLimit {
		if err := s.room(client, b.length); err != nil {
			return err
		}
	}
	pace := &pacer{Pace: s.Pace.withDefaults(), deadline: u.Deadline}
	pace.begin()
	err := b.collect(u, pace)
	if err == nil && len(b.text) > MemoryLimit {
		err = b.store(s, client, u, pace)
	}
	pace.end(err)
	if b.inFile {
		b.wait(ctx)
	}
	return err
}

// feed gives a body that was read to the sink.
func (b *Body) feed(u Upload) (err error) {
	if b.size > u.Limit {
		return ErrTooLarge
	}
	broken := b.Each(func(chunk []byte) bool {
		_, err = u.Sink.Write(chunk)
		return err == nil
	})
	if err != nil {
		return err
	}
	return broken
}

// collect reads as much as is kept in memory, and one byte more if there is one.
func (b *Body) collect(u Upload, pace *pacer) error {
	most := min(u.Limit, MemoryLimit)
	for fed := 0; ; {
		if fed < len(b.text) {
			if _, err := u.Sink.Write(b.text[fed:]); err != nil {
				return err
			}
			fed = len(b.text)
		}
		switch {
		case int64(fed) > u.Limit:
			return ErrTooLarge
		case b.whole, int64(fed) > most:
			return nil
		}
		err := b.more(most+1, min(b.length, most)+1)
		if err := b.stalled(err, pace, len(b.text)-fed); err != nil {
			return err
		}
	}
}

// store moves to a file what was collected, and reads the rest into it.
func (b *Body) store(s *Spool, client netip.Prefix, u Upload, pace *pacer) (err error) {
	f, err := s.create(client, b.length)
	if err != nil {
		return err
	}
	kept := false
	defer func() { // also of a panic
		if !kept {
			f.close()
			b.whole, b.err = false, cmp.Or(err, ErrBroken) // what is left is not to be taken for the body
		}
	}()
	size := int64(len(b.text))
	err = f.write(b.text)
	b.text = nil
	b.block.free()
	b.block = nil
	buf := spoolBuffers.Get().(*[spoolSize]byte)
	defer spoolBuffers.Put(buf)
	for err == nil && !b.whole {
		n := 0
		for err == nil && !b.whole && n < len(buf) {
			var m int
			m, err = b.from.Read(buf[n:])
			n, size = n+m, size+int64(m)
			if size > u.Limit {
				return ErrTooLarge
			}
			err = b.stalled(b.ending(size, err), pace, m)
		}
		if err == nil {
			_, err = u.Sink.Write(buf[:n])
		}
		if err == nil {
			err = f.write(buf[:n])
		}
	}
	if err != nil {
		return err
	}
	b.file, b.inFile = f, true
	b.kept = append(b.room[:0], segment{0, size})
	kept = true
	return nil
}

// stalled says what became of a read that brought n bytes and that error.
func (b *Body) stalled(err error, pace *pacer, n int) error {
	switch {
	case err == nil && !b.whole:
		return pace.add(n)
	case err == ErrBroken && errors.Is(b.err, os.ErrDeadlineExceeded):
		return ErrStalled
	}
	return err
}
