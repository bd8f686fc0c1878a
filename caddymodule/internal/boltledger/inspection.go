package boltledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"go.etcd.io/bbolt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/internal/boltcheck"
)

const (
	// acceptance is how to accept a loss, and what that means.
	acceptance = " ('caddy chat-identity ledger accept-loss'), after which claimed conversations are free to claim"
	// wayOut is what to do about a file that is refused.
	wayOut = ": restore it from a copy, or move it away and accept the loss" + acceptance
)

var (
	errEmpty     = errors.New("the file is empty, which a ledger never is" + wayOut)
	errNoLedger  = errors.New("the file is not a ledger, or its beginning is damaged" + wayOut)
	errOtherBolt = errors.New("the file is a bolt database, but not a ledger: give the ledger a file of its own")
)

func damaged(what string) error { return fmt.Errorf("%w: %s", boltcheck.ErrDamaged, what) }

// inspect reads the whole file once, before bolt maps it for writing. A ledger that has lost
// a page would answer that nobody holds the keys on it. So every entry must match its
// checksum, and the indexes must name exactly the entries: the sums of their hashes are
// compared, which do not depend on the order. A million entries take less than a second
// once the file is in memory.
func inspect(path string) (entries int, err error) {
	db, file, err := openBolt(path, &bbolt.Options{ReadOnly: true}) // locks writers out
	if err != nil {
		return 0, err
	}
	seed := maphash.MakeSeed()
	var expiry, owned uint64
	header := make(map[string][]byte)
	rows, err := boltcheck.Walk(file, db.Info().PageSize, func(bucket string, key, value []byte) error {
		switch bucket {
		case string(headerName):
			header[string(key)] = value
		case string(entriesName):
			r, err := parseRecord(key, value)
			if err != nil {
				return err
			}
			expiry += maphash.Bytes(seed, expiryKey(r.until, r.key))
			if r.owner != noOwner {
				owned += maphash.Bytes(seed, ownerKey(r.owner, r.until, r.key))
			}
		case string(byExpiryName):
			expiry -= maphash.Bytes(seed, key)
		case string(byOwnerName):
			owned -= maphash.Bytes(seed, key)
		}
		return nil
	})
	if err = errors.Join(err, db.Close()); err == nil {
		err = inspectHeader(rows, header)
	}
	if err == nil && (expiry != 0 || owned != 0) {
		err = damaged("its entries and its indexes do not agree")
	}
	return rows[string(entriesName)], err
}

func inspectHeader(rows map[string]int, header map[string][]byte) error {
	if _, ok := rows[string(headerName)]; !ok {
		return errOtherBolt
	}
	for _, name := range [][]byte{entriesName, byExpiryName, byOwnerName} {
		if _, ok := rows[string(name)]; !ok {
			return damaged("a bucket is missing")
		}
	}
	value := header[string(versionKey)]
	if string(header[string(formatKey)]) != formatName || len(value) != 8 {
		return damaged("its header is not that of a ledger")
	}
	if version := binary.BigEndian.Uint64(value); version != formatVersion {
		return fmt.Errorf("the file has format %d, and this version knows only %d: "+
			"use the version that wrote it, or give this one a file of its own", version, formatVersion)
	}
	_, memoryErr := parseMemory(header[string(memoryKey)])
	_, forgottenErr := parseForgotten(header[string(forgottenKey)])
	return errors.Join(memoryErr, forgottenErr)
}
