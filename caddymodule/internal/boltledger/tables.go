package boltledger

import (
	"bytes"
	"encoding/binary"
	"errors"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// tables are the buckets in a transaction.
type tables struct {
	header, entries, byExpiry, byOwner *bbolt.Bucket
}

func tablesOf(tx *bbolt.Tx) (tables, error) {
	t := tables{tx.Bucket(headerName), tx.Bucket(entriesName), tx.Bucket(byExpiryName), tx.Bucket(byOwnerName)}
	if t.header == nil || t.entries == nil || t.byExpiry == nil || t.byOwner == nil {
		return t, damaged("a bucket is missing")
	}
	return t, nil
}

// get returns the key's record, ended or not, nil if there is none.
func (t tables) get(key ledger.Key) (*record, error) {
	value := t.entries.Get(key[:])
	if value == nil {
		return nil, nil
	}
	r, err := parseRecord(key[:], value)
	return &r, err
}

// forgotten returns the latest end of a removed entry.
func (t tables) forgotten() (int64, error) {
	return parseForgotten(t.header.Get(forgottenKey))
}

// memory returns the file's memory.
func (t tables) memory() (memory, error) {
	return parseMemory(t.header.Get(memoryKey))
}

// countLive returns how many keys the owner's share has at that time, up to limit.
func (t tables) countLive(owner ledger.Key, now int64, limit int) (n int) {
	c := t.byOwner.Cursor()
	first := ownerKey(owner, now+1, ledger.Key{}) // live is what ends later than now
	for k, _ := c.Seek(first); n < limit && bytes.HasPrefix(k, owner[:]); k, _ = c.Next() {
		n++
	}
	return n
}

// remember replaces the file's memory.
func (t tables) remember(m *memory) error { return t.header.Put(memoryKey, m.value()) }

// replace replaces the record of a key, which is nil for none.
func (t tables) replace(old, next *record) error {
	if !t.entries.Writable() {
		return bolterrors.ErrTxNotWritable
	}
	var errs [6]error
	if r := old; r != nil {
		errs[0] = t.byExpiry.Delete(expiryKey(r.until, r.key))
		if r.owner != noOwner {
			errs[1] = t.byOwner.Delete(ownerKey(r.owner, r.until, r.key))
		}
		if next == nil {
			errs[2] = t.entries.Delete(r.key[:])
		}
	}
	if r := next; r != nil {
		errs[3] = t.entries.Put(r.key[:], r.value())
		errs[4] = t.byExpiry.Put(expiryKey(r.until, r.key), nil)
		if r.owner != noOwner {
			errs[5] = t.byOwner.Put(ownerKey(r.owner, r.until, r.key), nil)
		}
	}
	return errors.Join(errs[:]...)
}

// sweep removes up to limit entries that ended at that time or before, and records the
// latest end.
func (t tables) sweep(horizon int64, limit int) (removed int, err error) {
	forgotten, err := t.forgotten()
	if err != nil {
		return 0, err
	}
	var ended []*record // collected first, since a cursor does not survive a removal
	c := t.byExpiry.Cursor()
	for k, _ := c.First(); k != nil && len(ended) < limit; k, _ = c.Next() {
		if len(k) != untilSize+digestSize {
			return 0, damaged("its index has a row of the wrong length")
		}
		until := int64(binary.BigEndian.Uint64(k))
		if until > horizon {
			break
		}
		r, err := t.get(ledger.Key(k[untilSize:]))
		if err != nil {
			return 0, err
		}
		if r == nil || r.until != until {
			return 0, damaged("its index names an entry that is not there")
		}
		ended = append(ended, r)
		forgotten = max(forgotten, until)
	}
	if len(ended) == 0 {
		return 0, nil
	}
	for _, r := range ended {
		if err := t.replace(r, nil); err != nil {
			return 0, err
		}
	}
	return len(ended), t.header.Put(forgottenKey, binary.BigEndian.AppendUint64(nil, uint64(forgotten)))
}
