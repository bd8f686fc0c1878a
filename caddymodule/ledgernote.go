package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/durable"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// ledgerNote is what a gateway remembers of its ledger, by id, apart from it: the
// one it used last, and the one that is its own. Any other takes a lost one's
// place, until an operator accepts that: also one that was its own before, which
// does not know what was recorded since.
type ledgerNote struct{ last, own string }

// maxPlaces is how many other places of ledgers are remembered.
const maxPlaces = 16

// line is the note of a ledger at a place, as it is written.
func (n *ledgerNote) line(place string) string {
	return n.last + " " + n.own + "\t" + place
}

// knows reports whether the ledger is this gateway's own, and the one that it used
// last.
func (n *ledgerNote) knows(id string) bool { return *n == ledgerNote{id, id} }

// notePlace is where the note is: with the widgets and in Caddy's data directory,
// since either may be lost, or another one, when the ledger is. It has a line for
// each place that the configuration has named, the latest first.
type notePlace struct {
	store  widgets.Store
	place  string   // of the ledger
	others []string // the lines of other places
	before string   // the place that was named last, if it was another
	stored string   // what the widgets' store has
	aside  string   // what the data directory has
}

// noteName is that of this gateway's note. Gateways of one machine that share
// their widgets have data directories of their own, or one note.
func noteName() string {
	sum := sha256.Sum256([]byte(caddy.AppDataDir()))
	return "ledger-" + hex.EncodeToString(sum[:8])
}

// read returns the notes that there are. What says that this was another ledger
// before counts, whichever says it.
func (p *notePlace) read(ctx context.Context) (notes []*ledgerNote, err error) {
	if p.stored, err = p.store.Note(ctx, noteName()); err != nil {
		return nil, err
	}
	if p.aside, err = durable.ReadLine(dataPath(noteName())); err != nil {
		return nil, err
	}
	for _, text := range []string{p.aside, p.stored} { // the widgets' last, whose other lines are kept
		if text == "" {
			continue
		}
		p.others, p.before = nil, ""
		if note := p.parse(text); note != nil {
			notes = append(notes, note)
		}
	}
	return notes, nil
}

// parse returns the note of the place. Of a text that is damaged, no ledger is the
// gateway's own.
func (p *notePlace) parse(text string) (note *ledgerNote) {
	for i, line := range strings.Split(text, "\n") {
		ids, place, ok := strings.Cut(line, "\t")
		switch fields := strings.Fields(ids); {
		case !ok || len(fields) != 2:
			p.others, p.before = nil, ""
			return new(ledgerNote)
		case place == p.place:
			note = &ledgerNote{fields[0], fields[1]}
		case i == 0:
			p.before = place
			fallthrough
		default:
			p.others = append(p.others, line)
		}
	}
	return note
}

// write notes it in both places. Where the widgets' store takes none, and has none,
// the data directory will do.
func (p *notePlace) write(ctx context.Context, note *ledgerNote) error {
	text := strings.Join(append([]string{note.line(p.place)}, p.others[:min(len(p.others), maxPlaces)]...), "\n")
	aside := p.aside == text
	if !aside && durable.WriteLine(dataPath(noteName()), text) == nil {
		p.aside, aside = text, true
	}
	if p.stored == text {
		return nil
	}
	err := p.store.SetNote(ctx, noteName(), text)
	if err == nil {
		p.stored = text
	} else if p.stored == "" && aside {
		err = nil
	}
	return err
}
