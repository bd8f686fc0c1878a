package ledgers

import (
	"context"
	"errors"
	"strings"
)

// Note is a place for a text, "" before the first is written.
type Note struct {
	Read  func(context.Context) (string, error)
	Write func(context.Context, string) error // durably
}

// note has the ids of the ledger that a gateway used last and of its own one. Any other is
// a replacement for a lost one until an operator accepts that, even if the gateway owned it
// earlier: it does not know what was recorded since.
type note struct{ last, own string }

// maxPlaces bounds how many other places are noted.
const maxPlaces = 16

// notebook is a gateway's notes, all with the same text: a line for every place that a
// configuration has named, the latest first.
type notebook struct {
	notes  []Note
	place  string   // of the ledger
	texts  []string // of the notes
	others []string // the lines of other places
	moved  string   // the place that was named last, if it was another
}

// read returns what is noted about the place, at which there is now the ledger with that
// id. If any note names another ledger, that one counts. The first note with a text tells
// about other places.
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

// parse returns what a text says about the place. By a damaged one, no ledger is the
// gateway's own.
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

// write writes all notes. It succeeds if at least one could be written, and none of the
// others has another text.
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
