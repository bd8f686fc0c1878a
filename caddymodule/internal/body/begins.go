package body

import "io"

// Begins reports how the body begins, reading as far as necessary: at most limit bytes, and
// beyond them a run of the same byte, as in a file full of NULs. If that does not suffice,
// the error is [ErrTooLarge].
//
// A body with a known Content-Encoding that is not declared to be media is decoded, too:
// the answer is Object if an object begins in the decoded text, and Unclear if that is
// unknown. Of a body with an unknown coding only the encoded text is examined.
func (b *Body) Begins(d *Declaration, limit int64) (Beginning, error) {
	begins, err := b.begins(d, limit)
	if err != nil || begins == Object || d.Coding != CodingKnown || d.Media {
		return begins, err
	}
	for {
		text, ended, err := b.beginning(limit)
		if err != nil {
			return Unclear, err
		}
		begins, more := d.decoded(text, ended, limit)
		if !more || b.whole || int64(len(text)) >= limit {
			return begins, nil
		}
		for enough := min(limit, 2*int64(len(text))+1); int64(len(b.text)) < enough && !b.whole; {
			if err := b.more(limit, 0); err != nil {
				return Unclear, err
			}
		}
	}
}

// begins reports how the encoded text begins.
func (b *Body) begins(d *Declaration, limit int64) (Beginning, error) {
	if b.start == nil {
		b.start = &start{framed: d.Kinds == KindFramed && !d.Several}
	}
	s := b.start
	switch {
	case s.known != Unclear:
		return s.known, nil
	case b.inFile:
		if err := b.CopyTo(s); err != nil && s.known == Unclear {
			return Unclear, err
		}
		return s.end(), nil
	}
	for {
		if s.feed(b.text[b.started:]); s.known != Unclear {
			return s.known, nil
		}
		b.started = len(b.text)
		switch {
		case b.whole:
			return s.end(), nil
		case !b.beyond.empty():
			return Unclear, ErrTooLarge
		case int64(len(b.text)) >= limit:
			return b.beyond.read(b)
		}
		if err := b.more(limit, 0); err != nil {
			return Unclear, err
		}
	}
}

// beginning returns the beginning of the encoded text, and whether that is all of it.
func (b *Body) beginning(limit int64) (text []byte, all bool, err error) {
	if !b.inFile {
		return b.text, b.whole, nil
	}
	text = make([]byte, min(b.size, limit))
	if n, err := b.ReadAt(text, 0); n < len(text) {
		return nil, false, err
	}
	return text, b.size <= limit, nil
}

// beyond is what was read of a body beyond its text: a run of the text's last byte, which
// is only counted, and what follows until it is clear how the body begins.
type beyond struct {
	run  int64
	tail []byte
}

func (v *beyond) empty() bool { return v.run == 0 && v.tail == nil }

func (v *beyond) read(b *Body) (Beginning, error) {
	buf := copyBuffers.Get().(*[copySize]byte)
	defer copyBuffers.Put(buf)
	last := b.text[len(b.text)-1]
	begins := Unclear
	for b.err == nil && begins == Unclear && len(v.tail) < copySize {
		n, err := b.from.Read(buf[:])
		b.err = err
		begins = b.start.feed(buf[:n])
		run := 0
		for v.tail == nil && run < n && buf[run] == last {
			run++
		}
		v.run += int64(run)
		v.tail = append(v.tail, buf[run:n]...)
	}
	switch {
	case begins == Unclear && b.err == io.EOF:
		begins = b.start.end()
	case begins == Unclear && b.err != nil:
		return Unclear, b.reason(b.err)
	}
	if begins != Opaque {
		return Unclear, ErrTooLarge
	}
	return Opaque, nil
}
