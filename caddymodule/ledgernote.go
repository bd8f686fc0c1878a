package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// ledgerNote is what a gateway remembers of its ledger, by id, apart from it: the
// one it used last, and those that are its own. A ledger that is not is one that
// takes a lost one's place, until an operator accepts that. One that is, but was
// not used last, does not know what was used in between.
type ledgerNote struct {
	last     string
	accepted []string // the latest last
}

// maxAccepted is how many ledgers are remembered. Gateways that share a data
// directory have more than one.
const maxAccepted = 16

// parseLedgerNote reads a note. Of one that is damaged, no ledger is the
// gateway's own.
func parseLedgerNote(text string) *ledgerNote {
	ids := strings.Fields(text)
	if len(ids) < 2 {
		return new(ledgerNote)
	}
	return &ledgerNote{ids[0], ids[1:]}
}

func (n *ledgerNote) String() string {
	return strings.Join(append([]string{n.last}, n.accepted...), " ")
}

func (n *ledgerNote) equal(other *ledgerNote) bool {
	return n != nil && n.last == other.last && slices.Equal(n.accepted, other.accepted)
}

// accept returns the note with the ledger for the gateway's own.
func (n *ledgerNote) accept(id string) *ledgerNote {
	accepted := append(slices.Clone(n.accepted), id)
	return &ledgerNote{id, accepted[max(0, len(accepted)-maxAccepted):]}
}

// notePlace is where the note is: with the widgets, or in Caddy's data directory
// where their store takes none. Once there is one, it stays where it is.
type notePlace struct {
	store   widgets.Store
	written bool // it is with the widgets
	aside   bool // it is in the data directory
}

// noteName is that of this gateway's note. Gateways of one machine that share
// their widgets have data directories of their own, or one note.
func noteName() string {
	sum := sha256.Sum256([]byte(caddy.AppDataDir()))
	return "ledger-" + hex.EncodeToString(sum[:8])
}

// read returns the note, nil where there is none.
func (p *notePlace) read(ctx context.Context) (*ledgerNote, error) {
	text, err := p.store.Note(ctx, noteName())
	if p.written = text != ""; err == nil && !p.written {
		text, err = widgets.ReadNote(dataPath(noteName()))
		p.aside = text != ""
	}
	if err != nil || text == "" {
		return nil, err
	}
	return parseLedgerNote(text), nil
}

func (p *notePlace) write(ctx context.Context, note *ledgerNote) error {
	if !p.aside {
		err := p.store.SetNote(ctx, noteName(), note.String())
		if err == nil || p.written {
			p.written = true
			return err
		}
	}
	err := widgets.WriteNote(dataPath(noteName()), note.String())
	p.aside = p.aside || err == nil
	return err
}
