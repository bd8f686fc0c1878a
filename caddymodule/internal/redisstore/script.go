package redisstore

import (
	"context"
	"crypto/rand"
	"strconv"

	"github.com/redis/rueidis"
)

// script replaces records if they are what the writer has seen. It does so for
// all it is given, or for none and answers 0. The first keys are the ids, the
// dialects and the version, then one for each record. The first argument is the
// version to come; then there are five for each record: the id, the value seen and
// that to come, empty for none, and the dialects of the two. SET comes first, since
// it is what Redis refuses when its memory is full.
const script = `
local retired = redis.call('GET', KEYS[3]) == false
for i = 4, #KEYS do
  local at = (i - 4) * 5 + 1
  local seen = redis.call('GET', KEYS[i])
  if (seen or '') ~= ARGV[at + 2] then return 0 end
  if seen then retired = true end
end
for i = 4, #KEYS do
  local at = (i - 4) * 5 + 1
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
return 1`

// write is a record to be replaced.
type write struct {
	id       string
	seen     string // its value, empty for none
	next     string // what it is to be, empty for none
	from, to string // the dialects
}

// replace runs the script, and reports whether nobody was faster. EVAL names the
// script by its text: a program that is held to FIPS 140 must not compute the
// SHA-1 that EVALSHA takes.
func (s *Store) replace(ctx context.Context, client rueidis.Client, writes []write) (done bool, err error) {
	names := append(make([]string, 0, 3+len(writes)), s.keys.ids, s.keys.dialects, s.keys.version)
	args := append(make([]string, 0, 1+5*len(writes)), rand.Text())
	for i := range writes {
		w := &writes[i]
		names = append(names, s.keys.record(w.id))
		args = append(args, w.id, w.seen, w.next, w.from, w.to)
	}
	n, err := client.Do(ctx, client.B().Arbitrary("EVAL", script, strconv.Itoa(len(names))).Keys(names...).Args(args...).Build()).AsInt64()
	return n == 1, err
}

// keys are the names of what the store has in Redis. All have one hash tag, so
// a cluster keeps them in one slot, on one node: a script changes a record, the
// index of ids and the version at once. A node holds millions of records.
type keys struct {
	records  string // the prefix of an id
	ids      string // a sorted set, all scores zero: ids in their order
	dialects string // a hash: how many widgets have the dialect of their own
	version  string // a random text, another one after each change that retires a record
	notes    string // the prefix of a machine's name and the note's
	probe    string // never there: what a write to it answers says whether writes work
}

func newKeys(prefix string) keys {
	return keys{
		records:  prefix + "{w}:",
		ids:      prefix + "{w}ids",
		dialects: prefix + "{w}dialects",
		version:  prefix + "{w}version",
		notes:    prefix + "{w}note:",
		probe:    prefix + "{w}probe",
	}
}

func (k *keys) record(id string) string { return k.records + id }
