package claimform

import (
	"slices"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

// A speller draws a graph of all spellings in which some parser takes a field
// for a watched one:
//   - letters are folded, as by parsers that ignore their case;
//   - outer blanks do not count, which PHP, Rack and hand-written parsers cut,
//     nor a byte-order mark, which readers of text drop, a leading question mark,
//     which WHATWG URL's URLSearchParams drops, or leading brackets, which Rack
//     and qs drop;
//   - nor does a leading '!' or '_' (for PHP also written '.'), Spring's markers
//     of a field's default and of one that was left empty;
//   - the name ends at a NUL, as PHP's does;
//   - '.', blanks and a bracket that nothing closes are '_', as for PHP;
//   - what follows a bracket makes it an array or object of that name, as for
//     PHP, Rack and qs;
//   - between the tokens of a nested name stand dots, brackets or both, in
//     brackets also quotes (Spring), and indexes of arrays.
type speller struct {
	runes   []rune // of symbols from first on, sorted
	edges   [][]edge
	accepts []int // by state, the name that has been spelled, or none
	sticky  []bool
	begin   []int // the states in which a name may begin
}

type edge struct {
	symbol uint32
	to     int
}

// Symbols that are no single rune.
const (
	other uint32 = iota
	nul
	blank
	first
)

const none = -1

func newSpeller(names []Name) *speller {
	s := &speller{runes: []rune(`.[]?!_'"0123456789CHARSET`)}
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
	s.edges, s.accepts, s.sticky = append(s.edges, nil), append(s.accepts, none), append(s.sticky, false)
	return len(s.edges) - 1
}

func (s *speller) edge(from, to int, symbols ...uint32) {
	for _, symbol := range symbols {
		s.edges[from] = append(s.edges[from], edge{symbol, to})
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
	blanks := 0
	for _, r := range name {
		switch {
		case r == 0:
			return form
		case isBlank(r):
			blanks++
			continue
		case len(form) == 0 && (r == '[' || r == ']' || r == '?'):
			blanks = 0
			continue
		case r == '.' || r == '[':
			r = '_'
		}
		if len(form) > 0 {
			form = append(form, slices.Repeat([]rune{'_'}, blanks)...)
		}
		form, blanks = append(form, names.Fold(r)), 0
	}
	return form
}

// spell draws the spellings of a name, and says whether it has no more than one.
func (s *speller) spell(name Name, i int) (bare bool) {
	form := normalise(name.Path[0])
	if bare = len(form) == 0; bare {
		s.literal(name.Path[0], i)
		return true
	}
	if len(name.Path) == 1 {
		s.flat(form, name.Way, i)
		return false
	}
	at := s.word(s.begin, form, nil)
	for _, token := range name.Path[1:] {
		separated, _ := s.separator(at)
		at = s.word([]int{separated}, normalise(token), nil)
	}
	s.end(at, "'\"", ".[]", name.Way, i)
	return false
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
	s.accepts[at[0]] = i
}

// flat draws the spellings of a field that is no nested one. Once '[' has been
// read as '_', no ']' may follow.
func (s *speller) flat(form []rune, way bool, i int) {
	open := map[int]int{} // the state that is reached with such a bracket
	s.end(s.word(s.begin, form, open), "", "[]", way, i)
	if at, ok := open[len(form)]; ok {
		s.end(at, "", "[", way, i)
	}
}

// word draws the characters of a normal form. If open is not nil, '[' is '_', and
// open gets the state that is reached so by each length.
func (s *speller) word(from []int, form []rune, open map[int]int) (at int) {
	for i, r := range form {
		at = s.state()
		symbols := s.symbols(string(r))
		if r == '_' {
			symbols = append(s.symbols("_."), blank)
		}
		for _, state := range from {
			s.edge(state, at, symbols...)
		}
		if open != nil {
			opened, ok := open[i]
			if ok || r == '_' {
				open[i+1] = s.state()
			}
			if r == '_' {
				for _, state := range from {
					s.edge(state, open[i+1], s.symbols("[")...)
				}
			}
			if ok {
				s.edge(opened, open[i+1], symbols...)
				if r == '_' {
					s.edge(opened, open[i+1], s.symbols("[")...)
				}
			}
		}
		from = []int{at}
	}
	return at
}

// separator draws what may stand between two tokens, and returns the state after
// it, and the one in which an index may end.
func (s *speller) separator(at int) (separated, index int) {
	around := append(s.symbols(`'"`), blank)
	before := s.state()
	separated, index = s.state(), s.state()
	for _, from := range []int{at, before, index} {
		s.edge(from, before, around...)
		s.edge(from, separated, s.symbols(".[]")...)
	}
	s.edge(separated, separated, append(around, s.symbols(".[]")...)...)
	for _, from := range []int{separated, index} {
		s.edge(from, index, s.symbols("0123456789")...)
	}
	return separated, index
}

// end draws what may follow a name: ignored characters and blanks, a NUL and
// anything, and for what is no text on the way one of brackets and anything.
func (s *speller) end(at int, ignored, brackets string, way bool, i int) {
	trail, rest := s.state(), s.state()
	s.sticky[rest] = true
	for _, from := range []int{at, trail} {
		s.edge(from, trail, append(s.symbols(ignored), blank)...)
		s.edge(from, rest, nul)
		if !way {
			s.edge(from, rest, s.symbols(brackets)...)
		}
	}
	ends := []int{at, trail, rest}
	if way {
		separated, index := s.separator(at)
		s.edge(separated, rest, nul)
		s.edge(index, rest, nul)
		ends = append(ends, separated, index)
	}
	for _, state := range ends {
		s.accepts[state] = i
	}
}
