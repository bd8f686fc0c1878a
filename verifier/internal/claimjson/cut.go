package claimjson

import "slices"

// Span is a range of bytes in a body: Start up to, but not with, End.
type Span = struct{ Start, End int }

// Cut appends to dst the body without the spans, which must be in order and
// apart, as Scan leaves them in Found.Cuts.
func Cut(dst, body []byte, cuts []Span) []byte {
	at := 0
	for _, c := range cuts {
		dst = append(dst, body[at:c.Start]...)
		at = c.End
	}
	return append(dst, body[at:]...)
}

// A trimmer decides, within one object, which bytes go with its cut members.
// A cut member takes the comma that follows it. The last ones have none to
// take: they need the comma before their run, which is known to be theirs only
// at the object's end.
type trimmer struct {
	run   int // where the spans of the current run of cut members begin in cuts; -1: the last member stays
	comma int // the comma after the last member that stays; -1: none does
}

// remove records a cut member that ends, with its comma, at end.
func (t *trimmer) remove(f *Found, start, end int) {
	if f.full() {
		return
	}
	if t.run < 0 {
		t.run = len(f.Cuts)
	} else if last := &f.Cuts[len(f.Cuts)-1]; last.End == start {
		last.End = end
		return
	}
	f.Cuts = append(f.Cuts, Span{start, end})
}

// keep notes a member that stays and is followed by the comma.
func (t *trimmer) keep(comma int) {
	t.run, t.comma = -1, comma
}

// close is called at the end of an object whose last member is cut.
func (t *trimmer) close(f *Found) {
	if t.comma < 0 || f.full() {
		return
	}
	if first := &f.Cuts[t.run]; first.Start == t.comma+1 {
		first.Start = t.comma
		return
	}
	f.Cuts = slices.Insert(f.Cuts, t.run, Span{t.comma, t.comma + 1})
}
