package claimform

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode"
	"unicode/utf8"
)

// machine is a speller's graph as a table: whatever a name is, each of its
// characters costs one look-up.
type machine struct {
	symbols [3][256]uint8 // by coding and byte; escape where more than one byte is one character
	long    []longRune    // symbols of runes beyond ASCII, sorted
	shift   uint32
	next    []uint32 // by state<<shift | symbol
	found   [][]int  // by state, the names that end there
	start   uint32
	settled uint32 // states below it lead nowhere but to themselves
}

const (
	dead   = 0
	stop   = 0xfe // no part of a name
	escape = 0xff
)

type longRune struct {
	r      rune
	symbol uint32
}

// symbol returns that of a rune.
func (m *machine) symbol(r rune) uint32 {
	if r < utf8.RuneSelf {
		return uint32(m.symbols[plain][r])
	}
	if isBlank(r) {
		return blank
	}
	if len(m.long) > 0 && m.long[0].r <= r && r <= m.long[len(m.long)-1].r {
		i, ok := slices.BinarySearchFunc(m.long, r, func(e longRune, r rune) int { return cmp.Compare(e.r, r) })
		if ok {
			return m.long[i].symbol
		}
	}
	return other
}

func (s *speller) compile() (m machine) {
	for i, folded := range s.runes {
		symbol := first + uint32(i)
		for r := folded; ; {
			if r < utf8.RuneSelf {
				m.symbols[plain][r] = uint8(symbol)
			} else {
				m.long = append(m.long, longRune{r, symbol})
			}
			if r = unicode.SimpleFold(r); r == folded {
				break
			}
		}
	}
	slices.SortFunc(m.long, func(a, b longRune) int { return cmp.Compare(a.r, b.r) })
	for c := range m.symbols[plain] {
		switch {
		case c == 0:
			m.symbols[plain][c] = uint8(nul)
		case c >= utf8.RuneSelf:
			m.symbols[plain][c] = escape
		case isBlank(rune(c)):
			m.symbols[plain][c] = uint8(blank)
		}
	}
	for _, c := range []coding{percent, query} {
		m.symbols[c] = m.symbols[plain]
		m.symbols[c]['%'] = escape
	}
	m.symbols[query]['+'] = uint8(blank)
	for _, c := range "=&;" {
		m.symbols[query][c] = stop
	}
	s.determine(&m)
	return m
}

// determine makes a table of the graph: a state of the table is the set of all
// states that the same spelling reaches.
func (s *speller) determine(m *machine) {
	symbols := first + uint32(len(s.runes))
	m.shift = uint32(bits.Len32(symbols - 1))
	sets, index := [][]int{nil}, map[string]uint32{"": dead}
	number := func(set []int) uint32 {
		slices.Sort(set)
		set = slices.Compact(set)
		var key []byte
		for _, state := range set {
			key = binary.AppendUvarint(key, uint64(state))
		}
		if _, ok := index[string(key)]; !ok {
			index[string(key)] = uint32(len(sets))
			sets = append(sets, set)
		}
		return index[string(key)]
	}
	start := number(slices.Clone(s.begin[:1]))
	for i := 0; i < len(sets); i++ {
		reached := make([][]int, symbols)
		for _, state := range sets[i] {
			for _, e := range s.edges[state] {
				reached[e.symbol] = append(reached[e.symbol], e.to)
			}
			if s.sticky[state] {
				for symbol := range reached {
					reached[symbol] = append(reached[symbol], state)
				}
			}
		}
		row := make([]uint32, 1<<m.shift)
		for symbol, set := range reached {
			row[symbol] = number(set)
		}
		m.next = append(m.next, row...)
		m.found = append(m.found, s.accepted(sets[i]))
	}
	m.settle(start, symbols)
}

// accepted returns the names that end in one of the states.
func (s *speller) accepted(states []int) (names []int) {
	for _, state := range states {
		names = append(names, s.accepts[state]...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// settle puts the states first that lead nowhere else, the dead one before all.
func (m *machine) settle(start, symbols uint32) {
	var order, open []uint32 // old numbers
	for state := range uint32(len(m.found)) {
		stays := true
		for _, to := range m.next[state<<m.shift:][:symbols] {
			stays = stays && to == state
		}
		if stays {
			order = append(order, state)
		} else {
			open = append(open, state)
		}
	}
	m.settled = uint32(len(order))
	order = append(order, open...)
	number := make([]uint32, len(order))
	for to, from := range order {
		number[from] = uint32(to)
	}
	next, found := make([]uint32, len(m.next)), make([][]int, len(order))
	for to, from := range order {
		found[to] = m.found[from]
		for i, state := range m.next[from<<m.shift:][:symbols] {
			next[to<<m.shift+i] = number[state]
		}
	}
	m.next, m.found, m.start = next, found, number[start]
}
