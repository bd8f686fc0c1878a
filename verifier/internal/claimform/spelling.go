package claimform

import (
	"slices"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// A speller draws a graph of all spellings in which some parser takes a field
// for a watched one:
//   - letters are folded, as by parsers that ignore their case;
//   - outer spaces do not count, which PHP, Rack and hand-written parsers cut,
//     nor does a byte-order mark, which readers of text drop, a leading question
//     mark, which WHATWG URL's URLSearchParams drops, or leading brackets, which
//     Rack and qs drop;
//   - nor does a leading '!' or '_' (for PHP also written '.'), Spring's markers
//     of a field's default and of one that was left empty;
//   - the name ends at a NUL, as PHP's does;
//   - '.', spaces and a bracket that nothing closes are '_', as for PHP;
//   - what follows a bracket makes it an array or object of that name, as for
//     PHP, Rack and qs.
//
// Of a nested name it draws how it begins. Names that begin alike share states.
type speller struct {
	runes   []rune // of symbols from first on, sorted
	edges   [][]edge
	accepts [][]int // by state, the names that have been spelled
	sticky  []bool
	begin   []int // the states in which a name may begin

	letters map[letter]int
	opened  map[int]int // by state, that of the same characters with a bracket read as '_'
	tails   map[tail][]int
}

type edge struct {
	symbol uint32
	to     int
}

type letter struct {
	from int
	r    rune
}

// tail is what may follow a name.
type tail struct {
	at                int
	ignored, brackets string
}

// Symbols that are no single rune.
const (
	other uint32 = iota
	nul
	blank
	first
)

func newSpeller(names []Name) *speller {
	s := &speller{
		runes:   []rune(`.[]?!_'"CHARSET`),
		letters: make(map[letter]int),
		opened:  make(map[int]int),
		tails:   make(map[tail][]int),
	}
	for _, name := range names {
		for _, token := range name.Path {
			s.runes = append(s.runes, normalise(token)...)
		}
	}
	slices.Sort(s.runes)
	s.runes = slices.Compact(s.runes)

	start, bang, mark := s.state(), s.state(), s.state()
	s.begin = []int{start, bang, mark}
	for _, state := range s.begin {
		s.edge(state, state, blank)
		s.edge(state, state, s.symbols("[]?")...)
	}
	s.edge(start, bang, s.symbols("!")...)
	for _, state := range s.begin[:2] {
		s.edge(state, mark, s.symbols("_.")...)
	}
	return s
}

func (s *speller) state() int {
	s.edges, s.accepts, s.sticky = append(s.edges, nil), append(s.accepts, nil), append(s.sticky, false)
	return len(s.edges) - 1
}

func (s *speller) edge(from, to int, symbols ...uint32) {
	for _, symbol := range symbols {
		s.edges[from] = append(s.edges[from], edge{symbol, to})
	}
}

func (s *speller) accept(name int, states ...int) {
	for _, state := range states {
		s.accepts[state] = append(s.accepts[state], name)
	}
}

// symbols returns those of some characters.
func (s *speller) symbols(of string) (list []uint32) {
	for _, r := range of {
		i, _ := slices.BinarySearch(s.runes, r)
		list = append(list, first+uint32(i))
	}
	return list
}

// normalise returns a name folded, without what is cut from names, and with '_'
// for what PHP reads so.
func normalise(name string) (form []rune) {
	spaces := 0
	for _, r := range name {
		switch {
		case r == 0:
			return form
		case isBlank(r):
			spaces++
			continue
		case len(form) == 0 && (r == '[' || r == ']' || r == '?'):
			spaces = 0
			continue
		case r == '.' || r == '[':
			r = '_'
		}
		if len(form) > 0 {
			form = append(form, slices.Repeat([]rune{'_'}, spaces)...)
		}
		form, spaces = append(form, names.Fold(r)), 0
	}
	return form
}

// spell draws the spellings of a name, and reports whether it has no more than one.
func (s *speller) spell(name string, i int) (bare bool) {
	form := normalise(name)
	if len(form) == 0 {
		s.literal(name, i)
		return true
	}
	s.end(tail{s.word(s.begin, form), "", "[]"}, i)
	if open, ok := s.open(form); ok {
		s.end(tail{open, "", "["}, i)
	}
	return false
}

// root draws how nested names begin.
func (s *speller) root(form []rune, i int) {
	s.end(tail{s.word(s.begin, form), `'"`, ".[]"}, i)
}

// literal draws a name in one spelling.
func (s *speller) literal(name string, i int) {
	at := s.begin
	for _, r := range name {
		next := s.state()
		for _, from := range at {
			switch {
			case r == 0:
				s.edge(from, next, nul)
			case isBlank(r):
				s.edge(from, next, blank)
			default:
				s.edge(from, next, s.symbols(string(r))...)
			}
		}
		at = []int{next}
	}
	s.accept(i, at[0])
}

// word draws the characters of a normal form, and returns the state after them.
func (s *speller) word(from []int, form []rune) (at int) {
	for _, r := range form {
		next, ok := s.letters[letter{from[0], r}]
		if !ok {
			next = s.state()
			s.letters[letter{from[0], r}] = next
			for _, state := range from {
				s.edge(state, next, s.spelled(r)...)
			}
		}
		from = []int{next}
	}
	return from[0]
}

// spelled returns the symbols that stand for a character of a normal form, but
// for a bracket.
func (s *speller) spelled(r rune) []uint32 {
	if r == '_' {
		return append(s.symbols("_."), blank)
	}
	return s.symbols(string(r))
}

// open draws the characters of a normal form with '[' for at least one '_', behind
// which no ']' may follow. It returns the state after them, if there is any '_'.
func (s *speller) open(form []rune) (at int, ok bool) {
	from, last, opened := s.begin, 0, false
	for _, r := range form {
		next := s.letters[letter{from[0], r}]
		at, ok = s.opened[next]
		if !ok && (r == '_' || opened) {
			at, ok = s.state(), true
			s.opened[next] = at
			if r == '_' {
				for _, state := range from {
					s.edge(state, at, s.symbols("[")...)
				}
			}
			if opened {
				s.edge(last, at, s.spelled(r)...)
				if r == '_' {
					s.edge(last, at, s.symbols("[")...)
				}
			}
		}
		from, last, opened = []int{next}, at, ok
	}
	return at, ok
}

// end draws what may follow a name: spaces and what is ignored, then nothing, a
// NUL and anything, or one of brackets and anything.
func (s *speller) end(t tail, name int) {
	ends, ok := s.tails[t]
	if !ok {
		trail, rest := s.state(), s.state()
		s.sticky[rest] = true
		for _, from := range []int{t.at, trail} {
			s.edge(from, trail, append(s.symbols(t.ignored), blank)...)
			s.edge(from, rest, append(s.symbols(t.brackets), nul)...)
		}
		ends = []int{t.at, trail, rest}
		s.tails[t] = ends
	}
	s.accept(name, ends...)
}
