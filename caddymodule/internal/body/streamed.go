package body

import (
	"io"
	"sync/atomic"
)

// Streamed is a body that passes unread except for its beginning, which is read again first.
type Streamed struct {
	head   []byte
	run    int64 // how often fill follows the head
	fill   byte
	tail   []byte
	err    error // of reading the rest, if it is known
	from   io.ReadCloser
	reason func(error) error

	stopped, closed atomic.Bool // a proxy may read and close at the same time
}

// stream moves what was read into a Streamed.
func (b *Body) stream() *Streamed {
	s := &Streamed{head: b.text, run: b.beyond.run, tail: b.beyond.tail, err: b.err, from: b.from, reason: b.reason}
	if s.run > 0 {
		s.fill = b.text[len(b.text)-1]
	}
	b.text, b.block = nil, nil // not reused, since it is unknown when it is read
	return s
}

// Stopped reports whether the client stopped sending, which a proxy takes for a fault of its
// upstream.
func (s *Streamed) Stopped() bool { return s.stopped.Load() }

// Read implements [io.Reader].
func (s *Streamed) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	switch {
	case len(s.head) > 0:
		n = copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	case s.run > 0:
		p = p[:min(int64(len(p)), s.run)]
		for i := range p {
			p[i] = s.fill
		}
		s.run -= int64(len(p))
		return len(p), nil
	case len(s.tail) > 0:
		n = copy(p, s.tail)
		s.tail = s.tail[n:]
		return n, nil
	case s.err != nil:
		err = s.err
	default:
		n, err = s.from.Read(p)
	}
	if err != nil && err != io.EOF && !s.closed.Load() && s.reason(err) == ErrBroken {
		s.stopped.Store(true)
	}
	return n, err
}

// WriteTo implements [io.WriterTo].
func (s *Streamed) WriteTo(w io.Writer) (int64, error) {
	return copyTo(w, s)
}

// Close implements [io.Closer].
func (s *Streamed) Close() error {
	s.closed.Store(true)
	return s.from.Close()
}
