package ledgers

import (
	"context"
	"errors"
	"strings"
)

// Note is where a text is kept: "" where there is none yet.
type Note struct {
	Read  func(context.Context) (string, error)
	Write func(context.Context, string) error // durably
}

// note is what a gateway remembers of its ledger, by id, apart from it: the one
// it used last, and the one that is its own. Any other takes a lost one's place,
// until an operator accepts that: also one that was its own before, which does
// not know what was recorded since.
type note struct{ last, own string }

// maxPlaces is how many other places of ledgers are remembered.
const maxPlaces = 16

// notebook is a gateway's notes, which say the same. Each has a line for every
// place that the configuration has named, the latest first.
type notebook struct {
	notes  []Note
	place  string   // of the ledger
	texts  []string // what the notes say
	others []string // the lines of other places
	moved  string   // the place that was named last, if it was another
}

// read returns what is noted of the place, where the ledger of that id is now. A
// note that says that it was another one counts, whichever says it. The first
// that has a text says what was at other places.
func (b *notebook) read(ctx context.Context, id string) (found *note, err error) {
	b.texts, b.others, b.moved = make([]string, len(b.notes)), nil, ""
	for i := range b.notes {
		if b.texts[i], err = b.notes[i].Read(ctx); err != nil {
			return nil, err
		}
	}
	found = &note{id, id}
	for i := len(b.texts) - 1; i >= 0; i-- {
		if b.texts[i] == "" {
			continue
		}
		b.others, b.moved = nil, ""
		if n := b.parse(b.texts[i]); n != nil && *n != (note{id, id}) {
			found = n
		}
	}
	return found, nil
}

// parse returns what a text says of the place. Of one that is damaged, no ledger
// is the gateway's own.
func (b *notebook) parse(text string) (n *note) {
	for i, line := range strings.Split(text, "\n") {
		ids, place, ok := strings.Cut(line, "\t")
		last, own, two := strings.Cut(ids, " ")
		switch {
		case !ok || !two:
			b.others, b.moved = nil, ""
			return new(note)
		case place == b.place:
			n = &note{last, own}
			continue
		case i == 0:
			b.moved = place
		}
		b.others = append(b.others, line)
	}
	return n
}

// write has every note say it that can be written. One that cannot must not say
// anything else.
func (b *notebook) write(ctx context.Context, n *note) error {
	lines := append([]string{n.last + " " + n.own + "\t" + b.place}, b.others[:min(len(b.others), maxPlaces)]...)
	text := strings.Join(lines, "\n")
	var failed error
	written := false
	for i := range b.notes {
		if b.texts[i] != text {
			if err := b.notes[i].Write(ctx, text); err != nil {
				failed = errors.Join(failed, err)
				if b.texts[i] != "" {
					return failed
				}
				continue
			}
			b.texts[i] = text
		}
		written = true
	}
	if written {
		return nil
	}
	return failed
}
