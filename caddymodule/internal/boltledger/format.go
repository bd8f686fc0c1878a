package boltledger

import (
	"crypto/rand"
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
	idSize     = 26 // of rand.Text
	sumSize    = 4

	plainSize  = untilSize + digestSize
	sharedSize = plainSize + digestSize
	memorySize = idSize + 5*8
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

func (r *record) value() []byte {
	v := make([]byte, 0, sharedSize+sumSize)
	v = binary.BigEndian.AppendUint64(v, uint64(r.until))
	v = append(v, r.holder[:]...)
	if r.owner != noOwner {
		v = append(v, r.owner[:]...)
	}
	return sealed(r.key[:], v)
}

func parseRecord(key, value []byte) (r record, err error) {
	v, intact := unsealed(key, value)
	switch {
	case len(key) != digestSize || len(v) != plainSize && len(v) != sharedSize:
		return r, damaged("an entry has the wrong length")
	case !intact:
		return r, damaged("an entry does not match its checksum")
	}
	r.key, r.until = ledger.Key(key), int64(binary.BigEndian.Uint64(v))
	copy(r.holder[:], v[untilSize:])
	copy(r.owner[:], v[plainSize:])
	if r.holder == (ledger.Holder{}) {
		return r, damaged("an entry has no holder")
	}
	return r, nil
}

// sealed appends to a value the checksum, which bolt's pages lack.
func sealed(key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, checksum(key, value))
}

// unsealed returns a value without its checksum, and whether that is right.
func unsealed(key, value []byte) (v []byte, intact bool) {
	if len(value) < sumSize {
		return nil, false
	}
	v = value[:len(value)-sumSize]
	return v, checksum(key, v) == binary.BigEndian.Uint32(value[len(v):])
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
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

// memory says which ledger a file is, and which used signatures that still knows. A copy of
// the file has the same id.
type memory struct {
	id string
	ledger.Memory
}

func (m *memory) value() []byte {
	v := append(make([]byte, 0, memorySize+sumSize), m.id...)
	for _, n := range [...]int64{
		int64(m.MaxAge), int64(m.Skew), int64(m.Narrow), unixOrZero(m.Extended), unixOrZero(m.Since),
	} {
		v = binary.BigEndian.AppendUint64(v, uint64(n))
	}
	return sealed(memoryKey, v)
}

func parseMemory(value []byte) (m memory, err error) {
	v, intact := unsealed(memoryKey, value)
	if !intact || len(v) != memorySize {
		return m, damaged("its header does not say which ledger it is")
	}
	var n [5]int64
	for i := range n {
		n[i] = int64(binary.BigEndian.Uint64(v[idSize+8*i:]))
	}
	m.id, m.MaxAge, m.Skew, m.Narrow = string(v[:idSize]), time.Duration(n[0]), time.Duration(n[1]), time.Duration(n[2])
	m.Extended, m.Since = timeOrZero(n[3]), timeOrZero(n[4])
	return m, nil
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix() // not 0, see [clock.unix]
}

func timeOrZero(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
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
		header.Put(memoryKey, (&memory{id: rand.Text()}).value()),
	)
}
