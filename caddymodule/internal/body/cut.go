package body

import (
	"cmp"
	"io"
	"slices"
)

// segment is a run of bytes in a file, end not included.
type segment struct{ start, end int64 }

// Cut removes spans from a whole body: the bytes from Start up to End, as offsets in the
// body as it reads now. They may be in any order, touch and overlap. The body must not have
// been passed on.
func Cut[S ~struct{ Start, End int }](b *Body, spans []S) {
	var room [8]segment
	cuts := room[:0]
	for _, s := range spans {
		span := struct{ Start, End int }(s)
		c := segment{max(int64(span.Start), 0), min(int64(span.End), b.size)}
		if c.start < c.end {
			cuts = append(cuts, c)
		}
	}
	if len(cuts) == 0 || !b.whole {
		return
	}
	slices.SortFunc(cuts, func(a, b segment) int { return cmp.Compare(a.start, b.start) })
	b.acquire()
	defer b.release()
	if b.over {
		return
	}
	b.cut = true
	if b.inFile {
		b.kept = without(b.kept, cuts)
		b.size = 0
		for _, k := range b.kept {
			b.size += k.end - k.start
		}
		return
	}
	text := b.text[:0]
	at := int64(0)
	for _, c := range cuts {
		text = append(text, b.text[at:max(c.start, at)]...)
		at = max(at, c.end)
	}
	b.text = append(text, b.text[at:]...)
	b.size = int64(len(b.text))
}

// without returns the segments without the cuts, which are sorted offsets in the text that
// the segments make up.
func without(kept, cuts []segment) (left []segment) {
	off := int64(0) // of the segment in the text
	for _, k := range kept {
		shift := k.start - off
		off += k.end - k.start
		for _, c := range cuts {
			start, end := c.start+shift, c.end+shift // in the file
			if end <= k.start {
				continue
			}
			if start >= k.end {
				break
			}
			if k.start < start {
				left = append(left, segment{k.start, start})
			}
			k.start = min(end, k.end)
		}
		if k.start < k.end {
			left = append(left, k)
		}
	}
	return left
}

// readFile reads what is kept of the file.
func (b *Body) readFile(p []byte, off int64) (n int, err error) {
	for _, k := range b.kept {
		if n == len(p) {
			return n, nil
		}
		if length := k.end - k.start; off >= length {
			off -= length
			continue
		}
		size := min(int64(len(p)-n), k.end-k.start-off)
		m, err := b.file.f.ReadAt(p[n:n+int(size)], k.start+off)
		n += m
		if int64(m) < size {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		off = 0
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
