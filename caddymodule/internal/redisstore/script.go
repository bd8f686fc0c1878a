package redisstore

import (
	"context"
	"crypto/rand"
	"strconv"

	"github.com/redis/rueidis"
)

// script replaces all given records if their values are those that the writer has seen, or
// else none and answers 0. The first keys are the ids, the dialects, the version and the
// store's name, then one per record. The first argument is the new version, and the name of
// a store that has none; then there are five per record: the id, the old and the new value,
// empty for none, and the dialects of the two. SET comes first, since it is what Redis
// refuses when its memory is full.
const script = `
local retired = redis.call('GET', KEYS[3]) == false
for i = 5, #KEYS do
  local at = (i - 5) * 5 + 1
  local seen = redis.call('GET', KEYS[i])
  if (seen or '') ~= ARGV[at + 2] then return 0 end
  if seen then retired = true end
end
for i = 5, #KEYS do
  local at = (i - 5) * 5 + 1
  local id, next, from, to = ARGV[at + 1], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  if next ~= '' then
    redis.call('SET', KEYS[i], next)
    redis.call('ZADD', KEYS[1], 0, id)
  else
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[1], id)
  end
  if from ~= to then
    if from ~= '' and redis.call('HINCRBY', KEYS[2], from, -1) <= 0 then
      redis.call('HDEL', KEYS[2], from)
    end
    if to ~= '' then redis.call('HINCRBY', KEYS[2], to, 1) end
  end
end
if retired then redis.call('SET', KEYS[3], ARGV[1]) end
if not redis.call('GET', KEYS[4]) then redis.call('SET', KEYS[4], ARGV[1]) end
return 1`

// write is the replacement of a record.
type write struct {
	id       string
	seen     string // the old value, empty for none
	next     string // the new value, empty for none
	from, to string // their dialects
}

// replace runs the script, and reports whether no other writer was faster. It uses EVAL,
// since a program in FIPS 140 mode must not compute the SHA-1 for EVALSHA.
func (s *Store) replace(ctx context.Context, client rueidis.Client, writes []write) (done bool, err error) {
	names := append(make([]string, 0, 4+len(writes)), s.keys.ids, s.keys.dialects, s.keys.version, s.keys.store)
	args := append(make([]string, 0, 1+5*len(writes)), newName())
	for i := range writes {
		w := &writes[i]
		names = append(names, s.keys.record(w.id))
		args = append(args, w.id, w.seen, w.next, w.from, w.to)
	}
	n, err := client.Do(ctx, client.B().Arbitrary("EVAL", script, strconv.Itoa(len(names))).Keys(names...).Args(args...).Build()).AsInt64()
	return n == 1, err
}

// newName returns a random text for a version or a store.
func newName() string { return rand.Text() }

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
	return keys{
		records:  prefix + "{w}:",
		ids:      prefix + "{w}ids",
		dialects: prefix + "{w}dialects",
		version:  prefix + "{w}version",
		store:    prefix + "{w}store",
		notes:    prefix + "{w}note:",
		probe:    prefix + "{w}probe",
	}
}

func (k *keys) record(id string) string { return k.records + id }
