package names

// A reading is one way in which some reader may have taken the text so far:
// how much of a name that was, and which escapes are open: an inner one writes
// a character of the outer. It is small, since readings are copied and compared
// for every byte.
type reading struct {
	node         uint32
	nulls        nulls
	outer, inner escape
}

// nulls counts the NULs that UTF-16 and UTF-32 have between two characters of
// ASCII: between the name and a letter or digit before it, or free; behind the
// last other byte; and the most between two bytes of the name.
type nulls uint32

func newNulls(before uint8) nulls { return nulls(before) << 16 }

func (n nulls) before() uint8 { return uint8(n >> 16) }
func (n nulls) last() uint8   { return uint8(n >> 8) }
func (n nulls) most() uint8   { return uint8(n) }

// counted returns n behind a byte that is no NUL.
func (n nulls) counted() nulls { return n&^0xffff | nulls(max(n.last(), n.most())) }

const oneMore nulls = 1 << 8

const (
	// maxReadings is how many readings a text may have at once. Honest ones have
	// two or three, and a program file as JSON within JSON within JSON 27; of what
	// has more it cannot be told.
	maxReadings = 64
	// maxNulls is how many NULs UTF-32 has between two other bytes: three between
	// characters of ASCII, two more beside U+10000.
	maxNulls = 5
	// free says that neither a letter nor a digit is before a name.
	free = 0xff
	// context is how many bytes around a name decide whether it is bounded.
	context = 16
)

// A scanner follows all readings of a text at once, byte by byte.
type scanner struct {
	set   *Set
	found int // 1 + the index of a name
	text  []byte
	at    int // the end of what was read of the text
	now   int // which of the lists is current, the other is being made
	lists [2]list
	work  *Work // what is left of it, nil for no bound
}

type list struct {
	length   int
	readings [maxReadings]reading
}

// scan reads text[from:to]. What surrounds it, at least context bytes or as
// many as there are, is only looked at.
func (s *scanner) scan(text []byte, from, to int) {
	s.text = text
	for s.at = from; s.at < to && s.found == 0; {
		if s.lists[s.now].length == 0 {
			if s.at = s.set.skip(text, s.at, to); s.at == to {
				return
			}
		}
		s.read(text[s.at], s.set.begins(text[s.at:]))
	}
}

// read takes the next byte of the text, with which a name may begin, or not.
func (s *scanner) read(c byte, begins bool) {
	readings := s.lists[s.now].readings[:s.lists[s.now].length]
	s.now = 1 - s.now
	s.lists[s.now].length = 0
	if !s.work.spend(1 + len(readings)) {
		s.found = max(s.found, 1)
	}
	var first reading
	if begins {
		first, begins = s.begin(c)
	}
	s.at++
	if begins {
		s.feed(first, rune(c), plain)
	}
	for _, r := range readings {
		if c != 0 {
			r.nulls = r.nulls.counted()
			s.feed(r, rune(c), plain)
		} else if r.nulls.last() < maxNulls {
			r.nulls += oneMore
			s.add(r)
		}
	}
}

// begin returns the reading in which the next byte, which is c, is the first of
// a name, or of an escape before one.
func (s *scanner) begin(c byte) (r reading, ok bool) {
	before := s.bounds()
	if before == 0 && isAlphanumeric(c) && (s.at+1 == len(s.text) || s.text[s.at+1] != 0) {
		return r, false // within a word, and not in UTF-16 behind half of another character
	}
	r.nulls = newNulls(before)
	return r, true
}

// An origin is where a value comes from.
type origin uint8

const (
	plain   origin = iota // a byte of the text
	literal               // a byte behind a backslash, standing for itself
	decoded               // what an escape stands for
)

// feed has a reading take a value.
func (s *scanner) feed(r reading, v rune, from origin) {
	if r.outer == 0 {
		s.step(r, v, from)
	} else {
		s.within(r, v, from)
	}
	k := opens(v)
	if k == backslash && from != plain {
		k = written
	}
	switch {
	case k == 0:
	case r.outer == 0:
		r.outer = begun(k, 0, 0)
		s.add(r)
	case r.inner == 0 && k != ampersand && !(k == backslash && r.outer.kind() == backslash):
		r.inner = begun(k, 0, 0)
		s.add(r)
	}
}

// within has the innermost open escape of a reading take a value.
func (s *scanner) within(r reading, v rune, from origin) {
	if v == 0 {
		s.add(r) // which may stand for nothing
	}
	e, still, popped := r.outer, r, r
	if r.inner != 0 {
		e, popped.inner = r.inner, 0
	} else {
		popped.outer = 0
	}
	after, open, value, done := e.next(v)
	if r.inner != 0 && after.kind() == octal {
		open, done = false, false // no digit of another escape: it could be read in too many ways
	}
	if open {
		if r.inner != 0 {
			still.inner = after
		} else {
			still.outer = after
		}
		s.add(still)
	}
	if k := e.kind(); k == backslash || k == written {
		s.feed(popped, v, max(from, literal)) // any character behind it may stand for itself
	}
	if !done {
		return
	}
	if value == nothing {
		s.add(popped)
	} else {
		s.feed(popped, value, decoded)
	}
}

// step has a reading without an open escape take a value.
func (s *scanner) step(r reading, v rune, from origin) {
	switch {
	case r.node == 0:
		if from == decoded && !isLetter(v) {
			s.add(reading{nulls: newNulls(free)})
		}
		if from != plain && r.nulls.before() == r.nulls.most() {
			return // an escape within a word
		}
	case v == 0:
		s.add(r) // which may stand for nothing
	}
	n := &s.set.nodes[r.node]
	for _, e := range n.by(v) {
		s.follow(r, e.to)
	}
	if len(n.high) > 0 && 0x7f < v && v < 0x100 && !(from != decoded && s.inUTF8()) {
		for _, to := range n.high {
			s.follow(r, to)
		}
	}
}

func (s *scanner) follow(r reading, to int) {
	r.node = uint32(to)
	n := &s.set.nodes[to]
	if n.ends != 0 && (s.found == 0 || n.ends < s.found) && s.bounded(r.nulls) {
		s.found = n.ends
	}
	if len(n.edges) > 0 || len(n.high) > 0 {
		s.add(r)
	}
}

// add adds a reading to the list that is being made.
func (s *scanner) add(r reading) {
	l := &s.lists[s.now]
	for i := range l.length {
		if l.readings[i] == r {
			return
		}
	}
	if l.length == maxReadings {
		s.found = max(s.found, 1)
		return
	}
	l.readings[l.length] = r
	l.length++
}
