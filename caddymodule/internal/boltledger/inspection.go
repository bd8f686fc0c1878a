package boltledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"os"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

var (
	errEmpty     = errors.New("the file is empty, which a ledger never is" + wayOut)
	errNoLedger  = errors.New("the file is not a ledger, or its beginning is damaged" + wayOut)
	errOtherBolt = errors.New("the file is a bolt database, but not a ledger: give the ledger a file of its own")
)

// mappable checks what bolt needs for mapping the file: a meta page, and all of
// the pages that it speaks of, since reading a mapping beyond the end of its
// file kills a process. It needs no lock: a writer makes the file longer first.
func mappable(file *os.File) error {
	m, _, err := readMetas(file)
	info, statErr := file.Stat()
	switch {
	case statErr != nil:
		return statErr
	case info.Size() == 0:
		return errEmpty
	case errors.Is(err, errNoMeta):
		return errNoLedger
	case err != nil:
		return err
	case m.pages > uint64(info.Size())/m.pageSize:
		return damaged("it was cut short: it has %d bytes of %d", info.Size(), m.pages*m.pageSize)
	case m.pages <= 2 || m.root >= m.pages || m.freelist >= m.pages:
		return damaged("its meta page points beyond its end")
	}
	return nil
}

// inspect reads the whole file once. Bolt's pages have no checksums, and a
// ledger that has lost one answers that nobody holds what was on it. So every
// page that is pointed to must be in order, every entry match its checksum, and
// the indexes name exactly the entries there are. A million entries take less than
// a second once the file is in memory. Bolt's own check would be no help: it
// follows cycles and wild pointers.
func inspect(file *os.File) (entries int, err error) {
	if err := mappable(file); err != nil {
		return 0, err
	}
	m, both, err := readMetas(file)
	if err != nil {
		return 0, err
	}
	if !both {
		// Bolt would fall back to the other one and forget the last commit. A
		// commit that was cut off cannot have done this: what counts of a meta
		// page lies within one sector.
		return 0, damaged("one of its two meta pages is not whole")
	}
	w := newWalker(file, m)
	buckets := make(map[string][]byte)
	err = w.tree(m.root, 0, nil, nil, func(flags uint32, key, value []byte) error {
		if flags != bucketFlag {
			return errOtherBolt
		}
		buckets[string(key)] = bytes.Clone(value)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := inspectHeader(w, buckets); err != nil {
		return 0, err
	}
	entries, err = inspectEntries(w, buckets)
	if err != nil {
		return 0, err
	}
	return entries, w.free()
}

func inspectHeader(w *walker, buckets map[string][]byte) error {
	value, ok := buckets[string(headerName)]
	if !ok {
		return errOtherBolt
	}
	header := make(map[string][]byte)
	err := w.bucket(value, func(_ uint32, key, value []byte) error {
		header[string(key)] = bytes.Clone(value)
		return nil
	})
	if err != nil {
		return err
	}
	version := header[string(versionKey)]
	if string(header[string(formatKey)]) != formatName || len(version) != 8 {
		return damaged("its header is not a ledger's")
	}
	switch v := binary.BigEndian.Uint64(version); v {
	case formatVersion:
		if _, err := parseMemory(header[string(memoryKey)]); err != nil {
			return err
		}
	case formatBefore:
	default:
		return fmt.Errorf("the file has format %d, and this version knows only %d: "+
			"use the version that wrote it, or give this one a file of its own", v, formatVersion)
	}
	_, err = parseForgotten(header[string(forgottenKey)])
	return err
}

// inspectEntries compares the entries and the indexes without looking each one
// up: of the same rows, in any order, the hashes have the same sum.
func inspectEntries(w *walker, buckets map[string][]byte) (entries int, err error) {
	seed := maphash.MakeSeed()
	var expiry, owned uint64
	rows := func(sum *uint64) visitor {
		return func(flags uint32, key, value []byte) error {
			if flags != 0 || len(value) != 0 {
				return damaged("its index is not one")
			}
			*sum -= maphash.Bytes(seed, key)
			return nil
		}
	}
	for _, table := range []struct {
		name  []byte
		visit visitor
	}{
		{entriesName, func(flags uint32, key, value []byte) error {
			r, err := parseRecord(key, value)
			if err != nil {
				return err
			}
			if flags != 0 || r.holder == (ledger.Holder{}) {
				return damaged("an entry is none")
			}
			entries++
			expiry += maphash.Bytes(seed, expiryKey(r.until, r.key))
			if r.owner != noOwner {
				owned += maphash.Bytes(seed, ownerKey(r.owner, r.until, r.key))
			}
			return nil
		}},
		{byExpiryName, rows(&expiry)},
		{byOwnerName, rows(&owned)},
	} {
		value, ok := buckets[string(table.name)]
		if !ok {
			return 0, damaged("a bucket is missing")
		}
		if err := w.bucket(value, table.visit); err != nil {
			return 0, err
		}
	}
	if expiry != 0 || owned != 0 {
		return 0, damaged("its entries and its indexes do not agree")
	}
	return entries, nil
}
