package names

// Search is Stand for a text that comes in pieces, be they as small as a byte:
// the memory that it takes is the same for all. It is not safe for concurrent
// use.
type Search struct {
	scanner
	// window holds what was written last: that which is scanned already, of which
	// the end is context, and that which is not.
	window  [16 << 10]byte
	scanned int
	length  int
}

// Search returns a new search, of which it cannot be told when no work is left. A
// nil work has no bound.
func (s *Set) Search(work *Work) *Search { return &Search{scanner: scanner{set: s, work: work}} }

// Write reads the next piece of the text. Its error is always nil.
func (q *Search) Write(piece []byte) (int, error) {
	written := len(piece)
	for len(piece) > 0 && q.found == 0 {
		n := copy(q.window[q.length:], piece)
		q.length += n
		piece = piece[n:]
		if q.length < len(q.window) {
			break
		}
		q.scanTo(q.length - context)
		kept := copy(q.window[:], q.window[q.scanned-context:])
		q.scanned, q.length = context, kept
	}
	return written, nil
}

// Close ends the text. Its error is always nil.
func (q *Search) Close() error {
	q.scanTo(q.length)
	return nil
}

func (q *Search) scanTo(end int) {
	q.scan(q.window[:q.length], q.scanned, end)
	q.scanned = end
}

// Found returns the watched name that can stand in the text, as Stand does.
// Before Close, a name near the end of what was written may not be found yet.
func (q *Search) Found() (name string, ok bool) { return q.name() }
