package boltledger

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/chatidentity/caddy-chat-identity/caddymodule/ledger"
)

const (
	idSize     = 26 // of rand.Text
	memorySize = idSize + 5*8 + sumSize
)

// memory says which ledger a file is, and which used signatures that still knows. A copy of
// the file has the same id.
type memory struct {
	id string
	ledger.Memory
}

func newMemory() *memory { return &memory{id: rand.Text()} }

// value ends with a checksum, like a record's.
func (m *memory) value() []byte {
	v := append(make([]byte, 0, memorySize), m.id...)
	for _, n := range [...]int64{
		int64(m.MaxAge), int64(m.Skew), int64(m.Narrow), unixOrZero(m.Extended), unixOrZero(m.Since),
	} {
		v = binary.BigEndian.AppendUint64(v, uint64(n))
	}
	return binary.BigEndian.AppendUint32(v, checksum(memoryKey, v))
}

func parseMemory(value []byte) (m memory, err error) {
	rest := memorySize - sumSize
	if len(value) != memorySize || checksum(memoryKey, value[:rest]) != binary.BigEndian.Uint32(value[rest:]) {
		return m, damaged("its header does not say which ledger it is")
	}
	m.id = string(value[:idSize])
	var n [5]int64
	for i := range n {
		n[i] = int64(binary.BigEndian.Uint64(value[idSize+8*i:]))
	}
	m.MaxAge, m.Skew, m.Narrow = time.Duration(n[0]), time.Duration(n[1]), time.Duration(n[2])
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
