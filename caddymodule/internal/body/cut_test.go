package body

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// spooled is a whole body that is in a file even if it is short.
func spooled(t testing.TB, s *Spool, text []byte) *Body {
	t.Helper()
	b, _ := received(bytes.NewReader(text), -1)
	pace := &pacer{Pace: s.Pace.withDefaults()}
	pace.begin()
	if err := b.more(MemoryLimit, 0); err != nil && !b.whole {
		t.Fatal(err)
	}
	b.whole = false // as if there were more
	if b.err = nil; len(text) > 0 {
		if err := b.store(s, clientOf(testClient), Upload{Limit: 1 << 30, Sink: io.Discard}, pace); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(b.End)
	return b
}

// reads are all ways to read a body, each from its beginning.
func reads(t testing.TB, b *Body) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	note := func(how string, text []byte, err error) {
		if all[how] = bytes.Clone(text); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
	var each bytes.Buffer
	err := b.CopyTo(&each)
	note("Each", each.Bytes(), err)
	text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Len()))
	note("ReadAt", text, err)
	text, err = io.ReadAll(onlyReader{b})
	note("Read", text, err)
	b.at = 0
	if b.Len() < 10_000 {
		text, err = io.ReadAll(iotest.OneByteReader(b))
		note("Read byte by byte", text, err)
		b.at = 0
	}
	var to bytes.Buffer
	n, err := io.Copy(&to, b)
	if n != b.Len() {
		t.Errorf("WriteTo wrote %d bytes of %d", n, b.Len())
	}
	note("WriteTo", to.Bytes(), err)
	b.at = 0
	return all
}

func TestCut(t *testing.T) {
	const text = "0123456789"
	s := testSpool(t)
	for _, c := range []struct {
		spans [][]Span
		want  string
	}{
		{nil, text},
		{[][]Span{{}}, text},
		{[][]Span{{{3, 3}}}, text},
		{[][]Span{{{0, 3}}}, "3456789"},
		{[][]Span{{{7, 10}}}, "0123456"},
		{[][]Span{{{0, 10}}}, ""},
		{[][]Span{{{2, 4}, {6, 8}}}, "014589"},
		{[][]Span{{{6, 8}, {2, 4}}}, "014589"},
		{[][]Span{{{2, 4}, {4, 6}}}, "016789"},
		{[][]Span{{{2, 6}, {4, 8}}}, "0189"},
		{[][]Span{{{2, 8}, {3, 4}}}, "0189"},
		{[][]Span{{{8, 20}, {-5, 1}}}, "1234567"},
		{[][]Span{{{20, 30}, {5, 2}}}, text},
		{[][]Span{{{2, 4}}, {{2, 4}}}, "016789"},
		{[][]Span{{{2, 4}}, {{1, 3}}}, "056789"},
		{[][]Span{{{2, 4}, {6, 8}}, {{0, 1}, {3, 4}}, {{3, 4}}}, "148"},
		{[][]Span{{{0, 10}}, {{0, 1}}}, ""},
	} {
		for name, b := range map[string]*Body{"memory": first(whole(t, text)), "a file": spooled(t, s, []byte(text))} {
			for _, spans := range c.spans {
				Cut(b, spans)
			}
			if b.Len() != int64(len(c.want)) {
				t.Errorf("%v in %s: length %d", c.spans, name, b.Len())
			}
			if name == "memory" && string(b.Text()) != c.want || name == "a file" && b.Text() != nil {
				t.Errorf("%v in %s: text %q", c.spans, name, b.Text())
			}
			for how, got := range reads(t, b) {
				if string(got) != c.want {
					t.Errorf("%v in %s: %s finds %q, not %q", c.spans, name, how, got, c.want)
				}
			}
		}
	}
	// Of a body that nobody has read nothing is cut.
	b, r := received(bytes.NewReader([]byte(text)), -1)
	Cut(b, []Span{{0, 5}})
	b.Pass(r)
	if got, _ := io.ReadAll(r.Body); string(got) != text {
		t.Errorf("%q", got)
	}
}

func first(b *Body, _ any) *Body { return b }

// FuzzCut holds a body in memory and one in a file to what a slice would be.
func FuzzCut(f *testing.F) {
	f.Add([]byte("0123456789"), uint64(1), 3)
	f.Add(bytes.Repeat([]byte("abc"), 2_000), uint64(2), 5)
	s := testSpool(f)
	f.Fuzz(func(t *testing.T, text []byte, seed uint64, rounds int) {
		if len(text) > MemoryLimit || len(text) == 0 {
			return
		}
		random := rand.New(rand.NewPCG(seed, 1))
		memory, file := first(whole(t, string(text))), spooled(t, s, text)
		want := bytes.Clone(text)
		for range min(max(rounds, 0), 5) {
			var spans []Span
			gone := make([]bool, len(want))
			for range random.IntN(5) {
				at, length := random.IntN(len(want)+1), random.IntN(len(want)/2+2)
				spans = append(spans, Span{at, at + length})
				for i := at; i < min(at+length, len(want)); i++ {
					gone[i] = true
				}
			}
			var left []byte
			for i, c := range want {
				if !gone[i] {
					left = append(left, c)
				}
			}
			want = left
			Cut(memory, spans)
			Cut(file, spans)
		}
		for _, b := range []*Body{memory, file} {
			if got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Len())); !bytes.Equal(got, want) || err != nil {
				t.Fatalf("%d bytes, not %d: %v", len(got), len(want), err)
			}
		}
		file.End()
		memory.End()
	})
}
