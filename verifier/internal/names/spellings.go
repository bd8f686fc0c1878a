package names

import (
	"slices"
	"sort"
	"unicode"
)

// A node is a place in the watched names. From the first, all names begin; an
// edge leads on by a value, which is a byte of the text, or what an escape
// stands for: a byte or a code point.
type node struct {
	edges []edge    // in the order of their values
	bytes [4]uint64 // the values below 256, a bit for each
	// high are the nodes to which any byte beyond ASCII leads: under one of the
	// charsets of one byte it may be any letter.
	high  []int
	ends  int  // 1 + the index of the name that ends here
	inner bool // within a character of several bytes
}

type edge struct {
	value rune
	to    int
}

// by returns the edges with value v.
func (n *node) by(v rune) []edge {
	if uint32(v) < 256 && n.bytes[v>>6]>>(v&63)&1 == 0 {
		return nil
	}
	first := sort.Search(len(n.edges), func(i int) bool { return n.edges[i].value >= v })
	end := first
	for end < len(n.edges) && n.edges[end].value == v {
		end++
	}
	return n.edges[first:end]
}

// A graph is made of names, so that every spelling of one in bytes and code
// points is a path.
type graph struct{ nodes []node }

func newGraph(names []string) *graph {
	g := &graph{nodes: make([]node, 1)}
	type step struct {
		from int
		r    rune
	}
	steps := make(map[step]int)
	for i, name := range names {
		at := 0
		for _, r := range characters(name) {
			s := step{at, likeness(r)}
			to, ok := steps[s]
			if !ok {
				to = g.add(false)
				steps[s] = to
				for _, alike := range lookalikes(r) {
					g.link(at, alike, to)
				}
			}
			at = to
		}
		if at != 0 && g.nodes[at].ends == 0 {
			g.nodes[at].ends = 1 + i
		}
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		slices.SortStableFunc(n.edges, func(a, b edge) int { return int(a.value - b.value) })
		for _, e := range n.edges {
			if e.value < 256 {
				n.bytes[e.value>>6] |= 1 << (e.value & 63)
			}
		}
	}
	return g
}

// characters returns what a name consists of: its code points, and the bytes
// of it that are not UTF-8. NULs are not looked for, since those of the text
// are skipped.
func characters(name string) []rune {
	var list []rune
	for i, r := range name {
		if r == unicode.ReplacementChar && name[i] < 0xef {
			r = rune(name[i])
		}
		if r != 0 {
			list = append(list, r)
		}
	}
	return list
}

// underscores are one character for PHP, whose variables have no other: what
// else stands in a name there is replaced by the first. The last is a space in
// forms.
const underscores = "_. [+"

// likeness returns the character that stands for all those that some reader
// takes for r.
func likeness(r rune) rune {
	if slices.Contains([]rune(underscores), r) {
		return '_'
	}
	return Fold(r)
}

// lookalikes returns all characters that some reader takes for r.
func lookalikes(r rune) []rune {
	if likeness(r) == '_' {
		return []rune(underscores)
	}
	list := []rune{r}
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		list = append(list, next)
	}
	return list
}

func (g *graph) add(inner bool) int {
	g.nodes = append(g.nodes, node{inner: inner})
	return len(g.nodes) - 1
}

// link has every spelling of r lead from one node to another.
func (g *graph) link(from int, r rune, to int) {
	if r > 0xffff { // UTF-16's surrogates, which CESU-8 and JSON write one by one
		middle := g.add(true)
		g.link(from, 0xd800+(r-0x10000)>>10, middle)
		g.link(middle, 0xdc00+(r-0x10000)&0x3ff, to)
	}
	g.path(from, to, r)
	for length := 2; length <= 4; length++ { // overlong where fewer would do
		if r < 1<<(5*length+1) {
			g.path(from, to, utf8Form(r, length)...)
		}
	}
	if r > 0xff {
		// UTF-16 or UTF-32, whose NULs are skipped.
		big := []rune{r >> 16, r >> 8 & 0xff, r & 0xff}
		big = slices.DeleteFunc(big, func(v rune) bool { return v == 0 })
		g.path(from, to, big...)
		slices.Reverse(big)
		g.path(from, to, big...)
	}
	if likeness(r) > 0x7f && !(0xd800 <= r && r < 0xe000) { // no such charset has the lookalikes of ASCII's letters
		g.nodes[from].high = append(g.nodes[from].high, to)
	}
}

// utf8Form returns the bytes of r in that many, though RFC 3629 allows but the
// shortest form, and no surrogates.
func utf8Form(r rune, length int) []rune {
	form := make([]rune, length)
	for i := length - 1; i > 0; i-- {
		form[i] = 0x80 | r&0x3f
		r >>= 6
	}
	form[0] = 0xf00>>length&0xff | r
	return form
}

// path has the values, one after the other, lead from one node to another.
func (g *graph) path(from, to int, values ...rune) {
	last := len(values) - 1
	for _, v := range values[:last] {
		from = g.through(from, v)
	}
	if e := (edge{values[last], to}); !slices.Contains(g.nodes[from].edges, e) {
		g.nodes[from].edges = append(g.nodes[from].edges, e)
	}
}

// through returns the node within a character to which a value leads.
func (g *graph) through(from int, v rune) int {
	for _, e := range g.nodes[from].edges {
		if e.value == v && g.nodes[e.to].inner {
			return e.to
		}
	}
	to := g.add(true)
	g.nodes[from].edges = append(g.nodes[from].edges, edge{v, to})
	return to
}
