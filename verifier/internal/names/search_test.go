package names_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/chatidentity/caddy-chat-identity/verifier/internal/names"
)

var _ io.WriteCloser = new(names.Search)

// pieceSizes are those of a test, around the sizes at which something happens.
var pieceSizes = []int{1, 2, 3, 7, 15, 16, 17, 33}

func searched(set *names.Set, pieces ...[]byte) (name string, ok bool) {
	q := set.Search(nil)
	for _, piece := range pieces {
		_, _ = q.Write(piece)
	}
	_ = q.Close()
	return q.Found()
}

// TestSearch asserts that a text in pieces is the text, however it is cut.
func TestSearch(t *testing.T) {
	set := names.Compile(watched)
	for _, c := range spelled {
		for _, written := range c.text {
			for _, text := range [][]byte{[]byte(written), encodings[0].encode(written), encodings[3].encode(written)} {
				name, ok := set.Stand(text)
				for i := range len(text) + 1 {
					if n, found := searched(set, text[:i], text[i:]); n != name || found != ok {
						t.Errorf("%q, then %q: %q stands, %v; in the whole %q, %v", text[:i], text[i:], n, found, name, ok)
					}
				}
				for _, size := range pieceSizes {
					if n, found := searched(set, slices.Collect(slices.Chunk(text, size))...); n != name || found != ok {
						t.Errorf("%q in pieces of %d: %q stands, %v; in the whole %q, %v", text, size, n, found, name, ok)
					}
				}
			}
		}
	}
}

// TestSearchLong has names at and across all places of the search's window, and
// more between two characters than the window holds.
func TestSearchLong(t *testing.T) {
	set := names.Compile(watched)
	const window = 16 << 10
	noise := bytes.Repeat([]byte(`{"user":"ids"}, `), 3*window/16)
	name := []byte(`"us\u0065r_i%64"`)
	for _, at := range []int{0, 1, window, 2 * window} {
		for shift := range 64 {
			i := max(0, at-shift)
			text := slices.Concat(noise[:i], []byte("-"), name, noise[i:])
			if _, ok := searched(set, text); !ok {
				t.Errorf("none stands at %d", i)
			}
			near := slices.Concat(noise[:i], []byte("-x"), name[1:], noise[i:])
			if found, ok := searched(set, near); ok {
				t.Errorf("%q stands at %d, where it is within a word", found, i)
			}
		}
	}
	for _, c := range []struct{ before, repeated, behind string }{
		{"us", `\`, "er_id"}, {"us", "\\\n", "er_id"}, {"us", "=\r\n", "er_id"}, {"us", "=\n", "er_id"},
		{`\u{`, "0", "75}ser_id"}, {"&#", "0", "117;ser_id"}, {`\`, "u", "0075ser_id"}, {"%", "25", "75ser_id"}, {"us=", " ", "\ner_id"},
	} {
		text := c.before + strings.Repeat(c.repeated, 3*window) + c.behind
		if _, ok := searched(set, []byte(text)); !ok {
			t.Errorf("none stands in %s, much of %q, and %s", c.before, c.repeated, c.behind)
		}
	}
}

// FuzzSearch asserts the same of any text.
func FuzzSearch(f *testing.F) {
	set := names.Compile(watched)
	f.Add([]byte(`{"us\u0065r_i%64":1}`), uint16(3))
	f.Add(encodings[1].encode("x%22user_id"), uint16(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		name, ok := set.Stand(text)
		if n, found := searched(set, slices.Collect(slices.Chunk(text, 1+int(size)))...); n != name || found != ok {
			t.Errorf("in pieces %q stands, %v; in the whole %q, %v", n, found, name, ok)
		}
		text = append(make([]byte, 32<<10-len(text)%(16<<10)), text...)
		if n, found := searched(set, text); n != name || found != ok {
			t.Errorf("far behind %q stands, %v; alone %q, %v", n, found, name, ok)
		}
	})
}
