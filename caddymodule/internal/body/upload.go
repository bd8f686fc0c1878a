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

// MemoryLimit is the maximum size of an upload that is kept in memory, in bytes. A larger one
// goes to a file.
const MemoryLimit = 1 << 20

// Upload says how to read an upload.
type Upload struct {
	// Limit is the largest body, in bytes.
	Limit int64
	// Client is the sender's address. An unknown client, the zero value, has no share of
	// its own to exceed.
	Client netip.Addr
	// Deadline sets the deadline of reads, as the SetReadDeadline of an
	// [http.ResponseController] does; the zero time removes it. Without it, or if it
	// returns an error, a stall is noticed only when the next bytes arrive.
	Deadline func(time.Time) error
	// Sink receives the whole body while it arrives. It may be nil. Its error ends the
	// reading, and is returned.
	Sink io.Writer
}

// Spool reads the whole body: into memory up to [MemoryLimit] bytes, else into a file of the
// spool.
//
// The errors are the sink's and [ErrTooLarge], [ErrBroken], [ErrStalled] and [ErrNoRoom];
// after one there is no file. A file is removed when ctx is done, at the latest.
func (b *Body) Spool(ctx context.Context, s *Spool, u Upload) error {
	b.asked = true
	if u.Sink == nil {
		u.Sink = io.Discard
	}
	switch {
	case b.whole && b.size > u.Limit, !b.whole && (b.length > u.Limit || !b.beyond.empty()):
		return ErrTooLarge
	case b.whole: // by an earlier handler
		return b.CopyTo(u.Sink)
	}
	client := clientOf(u.Client)
	if b.length > MemoryLimit {
		if err := s.room(client, b.length, b.length); err != nil {
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
		b.acquire()
		b.stop = context.AfterFunc(ctx, b.End)
		b.release()
	}
	return err
}

// collect reads as much as is kept in memory, and one more byte if there is one.
func (b *Body) collect(u Upload, pace *pacer) error {
	limit := min(u.Limit, MemoryLimit)
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
		case b.whole, int64(fed) > limit:
			return nil
		}
		err := b.more(limit+1, min(b.length, limit)+1)
		if err := b.stalled(err, pace, len(b.text)-fed); err != nil {
			return err
		}
	}
}

// store moves what was collected to a file, and reads the rest into it.
func (b *Body) store(s *Spool, client netip.Prefix, u Upload, pace *pacer) (err error) {
	f, err := s.create(client, b.length)
	if err != nil {
		return err
	}
	kept := false
	defer func() { // after a panic of the sink, too
		if !kept {
			f.close()
			b.whole, b.err = false, cmp.Or(err, ErrBroken) // the rest must not be taken for the body
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
	b.kept = []segment{{0, size}}
	kept = true
	return nil
}

// stalled returns the error of a read that returned n bytes and err, at that pace.
func (b *Body) stalled(err error, pace *pacer, n int) error {
	switch {
	case err == nil && !b.whole:
		return pace.add(n)
	case err == ErrBroken && errors.Is(b.err, os.ErrDeadlineExceeded):
		return ErrStalled
	}
	return err
}
