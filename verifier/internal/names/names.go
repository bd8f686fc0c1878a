package names

import "slices"

// Set is a compiled set of watched names. It is immutable and safe for
// concurrent use.
type Set struct {
	names []string
	nodes []node
	// pairs says with which two bytes a name may begin, or an escape before one:
	// a bit for each second byte. Few places in a file pass for a beginning, which
	// is what makes a search fast.
	pairs [256][4]uint64
}

// Compile prepares names. Empty ones are ignored, and a set without names
// stands nowhere.
func Compile(names []string) *Set {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return len(characters(name)) == 0 })
	s := &Set{names: names, nodes: newGraph(names).nodes}
	if len(names) == 0 {
		return s
	}
	// The scanner itself tells what may begin: what leaves it a reading.
	scan := scanner{set: s}
	for c := range 256 {
		if !scan.goesOn(byte(c)) {
			continue
		}
		for d := range 256 {
			if scan.goesOn(byte(c), byte(d)) {
				s.pairs[c][d>>6] |= 1 << (d & 63)
			}
		}
	}
	return s
}

// goesOn reports whether a name may begin with these bytes.
func (s *scanner) goesOn(text ...byte) bool {
	s.text, s.at, s.found, s.lists[s.now].length = text, 0, 0, 0
	for i, c := range text {
		s.read(c, i == 0)
	}
	return s.found != 0 || s.lists[s.now].length > 0
}

// Stand returns the watched name that can stand in text, as the most generous
// reader would have it; ok is false if none can. Where it cannot be told which
// it is, name is the first of all.
func (s *Set) Stand(text []byte) (name string, ok bool) { return s.stand(text, nil) }

func (s *Set) stand(text []byte, work *Work) (name string, ok bool) {
	scan := scanner{set: s, work: work}
	scan.scan(text, 0, len(text))
	return scan.name()
}

func (s *scanner) name() (name string, ok bool) {
	if s.found == 0 {
		return "", false
	}
	return s.set.names[s.found-1], true
}

// skip returns the next place in text[at:to] at which a name may begin, or to.
func (s *Set) skip(text []byte, at, to int) int {
	for end := min(to, len(text)-1); at < end; at++ {
		d := text[at+1]
		if s.pairs[text[at]][d>>6]>>(d&63)&1 != 0 {
			return at
		}
	}
	return at // the last byte, which no other follows
}

// begins reports whether a name may begin where text does.
func (s *Set) begins(text []byte) bool {
	if len(text) == 1 {
		return true
	}
	d := text[1]
	return s.pairs[text[0]][d>>6]>>(d&63)&1 != 0
}

// Any returns the first name, for what it cannot be told of; ok is false if there
// is none.
func (s *Set) Any() (name string, ok bool) {
	if len(s.names) == 0 {
		return "", false
	}
	return s.names[0], true
}
