package boltledger

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"go.etcd.io/bbolt"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

// A ledger is a bolt file of four buckets.
var (
	// header: format, version, the memory, and the latest end of a dropped entry.
	headerName = []byte("ledger")
	// entries: key → until, holder, the share's owner if any, checksum.
	entriesName = []byte("entries")
	// by_expiry: until, key → nothing. The first to end comes first.
	byExpiryName = []byte("by_expiry")
	// by_owner: owner, until, key → nothing. What an owner still holds comes last.
	byOwnerName = []byte("by_owner")
)

var (
	formatKey    = []byte("format")
	versionKey   = []byte("version")
	forgottenKey = []byte("forgotten")
	memoryKey    = []byte("memory")
)

const (
	formatName    = "chat_identity ledger"
	formatVersion = 2

	digestSize = 32
	untilSize  = 8
	sumSize    = 4
	plainSize  = untilSize + digestSize + sumSize
	sharedSize = plainSize + digestSize
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	noOwner    ledger.Key
)

// record is an entry in the file.
type record struct {
	key    ledger.Key
	holder ledger.Holder
	until  int64      // Unix time, in seconds
	owner  ledger.Key // of the share; zero without one
}

func (r *record) entry() ledger.Entry {
	return ledger.Entry{Holder: r.holder, Until: time.Unix(r.until, 0).UTC()}
}

// value ends with a checksum, which bolt's pages lack.
func (r *record) value() []byte {
	v := make([]byte, 0, sharedSize)
	v = binary.BigEndian.AppendUint64(v, uint64(r.until))
	v = append(v, r.holder[:]...)
	if r.owner != noOwner {
		v = append(v, r.owner[:]...)
	}
	return binary.BigEndian.AppendUint32(v, checksum(r.key[:], v))
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func parseRecord(key, value []byte) (record, error) {
	var r record
	if len(key) != digestSize || len(value) != plainSize && len(value) != sharedSize {
		return r, damaged("an entry has the wrong length")
	}
	rest := len(value) - sumSize
	if checksum(key, value[:rest]) != binary.BigEndian.Uint32(value[rest:]) {
		return r, damaged("an entry does not match its checksum")
	}
	copy(r.key[:], key)
	r.until = int64(binary.BigEndian.Uint64(value))
	copy(r.holder[:], value[untilSize:])
	if r.holder == (ledger.Holder{}) {
		return r, damaged("an entry has no holder")
	}
	if len(value) == sharedSize {
		copy(r.owner[:], value[untilSize+digestSize:])
	}
	return r, nil
}

func expiryKey(until int64, key ledger.Key) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, untilSize+digestSize), uint64(until)), key[:]...)
}

func ownerKey(owner ledger.Key, until int64, key ledger.Key) []byte {
	k := make([]byte, 0, 2*digestSize+untilSize)
	k = append(k, owner[:]...)
	k = binary.BigEndian.AppendUint64(k, uint64(until))
	return append(k, key[:]...)
}

// parseForgotten reads the latest end of a dropped entry.
func parseForgotten(value []byte) (int64, error) {
	if len(value) != untilSize {
		return 0, damaged("its header does not say what it has dropped")
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

func createTables(tx *bbolt.Tx) error {
	header, err := tx.CreateBucket(headerName)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{entriesName, byExpiryName, byOwnerName} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return errors.Join(
		header.Put(formatKey, []byte(formatName)),
		header.Put(versionKey, binary.BigEndian.AppendUint64(nil, formatVersion)),
		header.Put(forgottenKey, make([]byte, untilSize)),
		header.Put(memoryKey, newMemory().value()),
	)
}
