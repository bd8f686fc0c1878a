package redisstore

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/redislink"
	"github.com/chatidentity/caddy-chat-identity/caddymodule/widgets"
)

// format is the version of values. A record with unknown members is refused, since they would
// be lost when it is written back.
const format = 1

type value struct {
	Format int             `json:"format"`
	Record *widgets.Record `json:"record"`
}

// badRecord is that the value of an id is not a record of it: an [widgets.ErrUnavailable] of
// that id, while the store is available.
type badRecord struct {
	key, id string
	cause   error
}

func (e *badRecord) Error() string {
	again := "create the widget again"
	if e.id == widgets.SigningKeysID {
		again = "a gateway stores the keys that it knows, or new ones"
	}
	return fmt.Sprintf("the record of %s cannot be used: %v: restore the key '%s' in Redis from a backup, or delete it there, and %s",
		widgets.NameOf(e.id), e.cause, e.key, again)
}

func (e *badRecord) Unwrap() []error { return []error{widgets.ErrUnavailable, e.cause} }

// encode returns the record's value. An error wraps [widgets.ErrRecord].
func encode(r *widgets.Record) (string, error) {
	text, err := json.Marshal(value{format, r})
	if err != nil {
		return "", fmt.Errorf("%w of %s: %w", widgets.ErrRecord, widgets.NameOf(r.ID), err)
	}
	return string(text), nil
}

// decode returns the record in an id's value. It does not return the JSON library's errors,
// which quote the value.
func decode(id, text string) (*widgets.Record, error) {
	var v value
	if err := json.Unmarshal([]byte(text), &v, json.RejectUnknownMembers(true)); err != nil {
		var newer struct {
			Format int `json:"format"`
		}
		if json.Unmarshal([]byte(text), &newer) == nil && newer.Format > format {
			return nil, fmt.Errorf("it was written by a newer version (format %d): run that", newer.Format)
		}
		return nil, errors.New("it cannot be decoded")
	}
	switch {
	case v.Format != format:
		return nil, fmt.Errorf("format %d is unknown", v.Format)
	case v.Record == nil:
		return nil, errors.New("it is empty")
	}
	if err := v.Record.Check(); err != nil {
		return nil, err
	}
	if v.Record.ID != id {
		return nil, fmt.Errorf("it is that of %s", widgets.NameOf(v.Record.ID))
	}
	return v.Record, nil
}

// keys are the store's keys in Redis. All have the same hash tag, so that a cluster keeps
// them in one slot and a script can change a record, the index of ids and the version
// together. One node holds millions of records.
type keys struct {
	records  string // the prefix of an id
	ids      string // a sorted set, all scores zero: ids in their order
	dialects string // a hash: the number of widgets by their own dialect
	version  string // a random text, first the store's, replaced by each change that retires a record
	store    string // a random text, and those of lost stores that this one replaces
	notes    string // the prefix of a machine's name and the note's
	probe    string // never exists: the answer to an empty write tells whether writes work
}

func newKeys(prefix string) keys {
	in := prefix + "{w}"
	return keys{in + ":", in + "ids", in + "dialects", in + "version", in + "store", in + "note:", in + "probe"}
}

func (k *keys) record(id string) string { return k.records + id }

var (
	errClosed     = fmt.Errorf("%w: it is closed", widgets.ErrUnavailable)
	errConnecting = fmt.Errorf("%w: widgets redis: it was not reached yet: wait a moment", widgets.ErrUnavailable)
)

// unreadable tells an operator what to do if Redis cannot be read.
func unreadable(err error) error {
	return fmt.Errorf("%w: widgets redis: %w", widgets.ErrUnavailable, redislink.Explain(err, heartbeat))
}

// unchanged says that a change was not begun, since Redis cannot be read.
func unchanged(err error) error {
	return fmt.Errorf("%w. Nothing was changed: repeat this change after that", err)
}

// unwritten tells an operator what to do if Redis refuses a change.
func unwritten(err error) error {
	return fmt.Errorf("%w: widgets redis: %w", widgets.ErrUnwritable, redislink.Explain(err, script))
}

// unsure says that a change was sent and its result is unknown.
func unsure(err error) error {
	return fmt.Errorf("%w: it is unknown whether all, some or nothing was changed, so check before you try again: widgets redis: %w",
		widgets.ErrUnavailable, redislink.Explain(err, script))
}
